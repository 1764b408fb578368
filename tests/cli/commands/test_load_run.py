"""What a notebook gets of a run: tables, figures, and a fragment in which what users named is
text.
"""

from html.parser import HTMLParser

import polars as pl
import pytest
from matplotlib.figure import Figure

from hwds import load_comparison, load_run
from hwds.core.errors import DataError, HwdsError
from hwds.report.grid import grid_of
from hwds.report.page_parts import fragment
from hwds.results.folder import RunFolder

from .conftest import SALES, run_id

PAIR = SALES.replace(
    "model=forecast/seasonal_naive", "model=forecast/naive rivals=[forecast/seasonal_naive]"
)
WICKED = "<script>alert('x')</script>"


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)


@pytest.fixture
def run(hwds, sales, once, tmp_path):
    def make():
        rows = pl.read_csv(tmp_path / "sales.csv").with_columns(
            pl.col("shop").str.replace("a", WICKED)
        )
        rows.write_csv(tmp_path / "sales.csv")
        assert hwds(PAIR).code == 0

    once(make)
    return load_run("adhoc")


def test_tables_config_and_figures(run, tmp_path):
    assert run.title == f"adhoc/{run_id(tmp_path)}"
    assert run.config["protocol"]["horizon"] == 6
    assert run.leaderboard["model"].to_list() == sorted(
        ("forecast/naive", "forecast/seasonal_naive"),
        key=lambda model: run.leaderboard.filter(pl.col("model") == model)["mean"][0],
    )
    assert set(run.predictions["model"]) == {"forecast/naive", "forecast/seasonal_naive"}
    assert run.conclusion in run._repr_html_().replace("&#x27;", "'")
    figures = run.figures()
    assert {"leaderboard", "forecasts", "by_step"} <= set(figures)
    assert all(isinstance(figure, Figure) for figure in figures.values())
    assert not list(run.folder.path.glob("forecasts.*")), "nothing is written"
    with pytest.raises(HwdsError, match="has no figure 'forecast'; did you mean 'forecasts'"):
        run.figure("forecast")
    (tmp_path / "sales.csv").unlink()
    assert isinstance(run.figure("leaderboard"), Figure)
    with pytest.raises(DataError):
        run.figures()


def test_runs_compare_and_differ(run, hwds, tmp_path):
    assert hwds(f"{SALES} seed=5").code == 0
    other = load_run(run_id(tmp_path))
    found = run.compare(resamples=200)
    assert "forecast/naive" in found.sentence
    assert found._repr_html_().count("<table>") == 2
    assert "Settings" in repr(run.diff(other))
    assert "<table>" in run.diff(other)._repr_html_()
    assert hwds(f"compare {run.title} --resamples 200").code == 0
    (kept,) = tmp_path.glob("outputs/comparisons/*")
    for name in (kept.name, kept.name[:6], kept):
        assert load_comparison(name)._repr_html_() == found._repr_html_()
    with pytest.raises(HwdsError, match="no comparison 'x' below"):
        load_comparison("x")


def test_what_users_named_is_text(run):
    for shown in (
        run._repr_html_(),
        run.compare(resamples=200)._repr_html_(),
        run.diff(run)._repr_html_(),
    ):
        assert "script" not in Tags(shown).tags
    wicked = grid_of([(WICKED, WICKED), ("b", "b")], [[WICKED, WICKED]], caption=WICKED)
    shown = fragment(WICKED, (wicked,), WICKED, (WICKED,))
    assert "script" not in Tags(shown).tags
    assert shown.count("&lt;script&gt;") >= 6


def test_an_unfinished_run_says_so(run):
    (run.folder.path / "scores.parquet").unlink()
    fresh = load_run(run.folder.path)
    assert "is not finished" in fresh._repr_html_()
    assert repr(fresh) == f"Run({run.title})"
    with pytest.raises(HwdsError, match="no run 'adhok'"):
        load_run("adhok")
    assert isinstance(fresh.folder, RunFolder)
