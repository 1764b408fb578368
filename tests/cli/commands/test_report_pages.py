"""Reports of every task as a reader has them: in a browser, light and dark, on a desk and a phone,
with scripts and without.
"""

from __future__ import annotations

import datetime
import re
from itertools import product

import numpy as np
import polars as pl
import pytest

from hwds.cli import run as app_pictures
from hwds.cli import run as app_run
from tests.support.accessibility import complaints
from tests.support.browser import DESK, PHONE

DRAW, DRAW_MISSING = app_run.draw, app_pictures.draw_missing
WICKED = "<script>alert('x')</script>"
SMALL = "features=none compute=serial"
FORECAST = (
    f"model=forecast/naive rivals=[forecast/seasonal_naive] dataset=file dataset.path=sales.csv "
    f"{SMALL} protocol=walk_forward"
    " protocol.windows=2 protocol.horizon=3 protocol.segments=[kind] dataset.roles.series=shop "
    "dataset.roles.time=month"
    " dataset.roles.target=units dataset.roles.static=kind"
)
LINES = {
    "forecast": f"{FORECAST} decision=volume_bands",
    "bandit": f"+experiment=price_bandit {SMALL} rivals=[] protocol.replications=10 "
    f"dataset.horizon=500 decision=price_choice",
    "ab": f"+experiment=ab_price_test {SMALL} model=ab/welch rivals=[] protocol.replications=40",
    "ope": f"model=ope/snipw dataset=price_log dataset.rows=2000 protocol=off_policy {SMALL}",
    "detection": (
        f"dataset=gray_market dataset.days=90 protocol=prequential_gray decision=alert_policy "
        f"size=small {SMALL}"
        " model=classify/logistic protocol.resamples=40 decision.resamples=50"
    ),
    "sweep": f"{FORECAST} model=forecast/xgboost model.trees=5 rivals=[] sweep=random "
    f"sweep.trials=3 size=small",
}
"""By task what is run; the models of the forecast are compared too."""


@pytest.fixture
def drawn(hwds, once, tmp_path, monkeypatch):
    """Run a line with its pictures, in a folder with a shop of a wicked name; the folders of its
    reports.
    """
    monkeypatch.setattr("hwds.cli.run.draw", DRAW)
    monkeypatch.setattr("hwds.cli.run.draw_missing", DRAW_MISSING)
    rng = np.random.default_rng(0)
    month = pl.date_range(datetime.date(2019, 1, 1), datetime.date(2021, 12, 1), "1mo", eager=True)
    shops = (
        ("a&b", "web"),
        (WICKED, WICKED),
        ("é", "web"),
        ("c|d", WICKED),
        ("e", "web"),
        ("f", "web"),
    )
    parts = [
        pl.DataFrame(
            {
                "shop": [shop] * 36,
                "kind": [kind] * 36,
                "month": month,
                "units": rng.normal(100, 9, 36).round(2),
            }
        )
        for shop, kind in shops
    ]
    pl.concat(parts).write_csv(tmp_path / "sales.csv")

    def folders(task):
        kinds = ["outputs/sweeps/*/*"] if task == "sweep" else ["outputs/runs/*/*"]
        kinds += ["outputs/comparisons/*"] if task == "forecast" else []
        return [next(tmp_path.glob(kind)) for kind in kinds]

    def report(task):
        for line in [LINES[task]] + (["compare adhoc"] if task == "forecast" else []):
            said = hwds(line)
            assert said.code == 0, said.err
        for folder in folders(task):
            said = hwds(f"report {folder.name[:8]}")
            assert said.code == 0, said.err

    def written(task):
        once(lambda: report(task), task)
        return folders(task)

    return written


def visible(tab):
    """Whether the conclusion is on the screen before anything is scrolled."""
    box = tab.ask(
        "(b => [b.top, b.bottom, "
        "innerHeight])(document.querySelector('.lead').getBoundingClientRect())"
    )
    return box[0] >= 0 and box[1] <= box[2]


@pytest.mark.chromium
@pytest.mark.parametrize("task", LINES)
def test_a_report_is_read_by_everybody_anywhere(drawn, browser, task):
    pages = [folder / "report.html" for folder in drawn(task)]
    for page, (size, dark) in product(pages, ((DESK, False), (DESK, True), (PHONE, False))):
        with browser.page(page, size, dark=dark) as tab:
            assert visible(tab)
            assert complaints(tab) == []
            assert tab.complaints == []
            assert tab.requests == [page.resolve().as_uri()]


@pytest.mark.chromium
def test_a_page_holds_wicked_names_answers_the_pointer_and_stands_without_scripts(drawn, browser):
    folder = drawn("forecast")[0]
    names_are_text(folder)
    page = folder / "report.html"
    with browser.page(page) as tab:
        assert tab.ask("document.scripts.length") == 1
        assert (
            tab.ask(
                f"[...document.querySelectorAll('th')].filter(e => e.textContent === "
                f"{WICKED!r}).length"
            )
            >= 2
        )
        answers_the_pointer(tab)
        assert tab.complaints == []
    with browser.page(page, script=False) as tab:
        assert complaints(tab) == []
        assert visible(tab)
        assert tab.ask("document.querySelectorAll('svg[role=img]').length") >= 9
        assert tab.ask("document.querySelectorAll('.toggles, th button').length") == 0


def names_are_text(folder):
    html = (folder / "report.html").read_text()
    assert WICKED not in html
    assert html.count("&lt;script&gt;alert") >= 5
    assert html.count("<script") == 1
    markdown = re.sub("```.*?```", "", (folder / "report.md").read_text(), flags=re.DOTALL)
    assert "<script" not in markdown
    for drawing in folder.glob("*.svg"):
        assert "<script" not in drawing.read_text()


def answers_the_pointer(tab):
    first = "section > .scroll table thead th:nth-child(2) button"
    models = (
        "[...document.querySelectorAll('section > .scroll table')[0].tBodies[0].rows].map(e => "
        "e.cells[0].textContent)"
    )
    before = tab.ask(models)
    tab.point(*tab.middle(first), click=True)
    assert (
        tab.ask(
            "document.querySelector('section > .scroll table th:nth-child(2)')"
            ".getAttribute('aria-sort')"
        )
        == "descending"
    )
    assert tab.ask(models) == before[::-1]
    tab.point(*tab.middle(".many svg"))
    assert tab.ask("document.querySelector('.tip').hidden") is False
    assert re.match(
        r"20\d\d-\d\d-01", tab.ask("document.querySelector('.tip').firstChild.textContent")
    )
    tab.point(*tab.middle(".toggles button"), click=True)
    assert (
        tab.ask("document.querySelector('.toggles button').getAttribute('aria-pressed')") == "false"
    )
    assert tab.ask("document.querySelectorAll('svg .away').length") >= 1


BAD = """<!DOCTYPE html><html><head><title></title></head><body bgcolor="white"><main>
<h1>a</h1><h3>b</h3><p style="color:#999">pale</p>
<img src="data:,"><svg width="10" height="10"><text x="40" y="5">cut</text></svg><button></button><a href="#gone">x</a>
<table><thead><tr><td>a</td></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table><i id="a">1</i><i id="a">2</i>
<div style="overflow-x:auto;width:50px"><p style="width:90px">wide</p></div><p style="width:3000px">wider</p>
</main></body></html>
"""


@pytest.mark.chromium
def test_what_is_wrong_with_a_page_is_found(browser, tmp_path):
    (tmp_path / "bad.html").write_text(BAD)
    with browser.page(tmp_path / "bad.html") as tab:
        found = {each.partition(":")[0] for each in complaints(tab)}
    assert {
        "no language or title",
        "a level of headings left out",
        'contrast 2.85 of "pale"',
        "picture without words",
        "drawing without words",
        'cut "cut"',
        "control without name",
        "a link to nowhere",
        "row without header",
        "ragged table",
        "an id twice",
        "scrolls out of reach",
        "the page scrolls sideways",
    } <= found
