import re

import pytest

from hwds.report.pictures import new_figure, save_png
from hwds.results.folder import RunFolder

from .conftest import SALES, run_id

PAIR = SALES.replace(
    "model=forecast/seasonal_naive", "model=forecast/naive rivals=[forecast/seasonal_naive]"
)


def test_a_run_and_a_comparison_have_a_report(hwds, sales, tmp_path, monkeypatch):
    monkeypatch.setenv("HWDS_PLANTED_KEY", "planted-secret-0123")
    shown = hwds(PAIR).out
    run = run_id(tmp_path)
    said = hwds(f"report {run[:6]}")
    assert said.code == 0
    folder = tmp_path / "outputs/runs/adhoc" / run
    html, markdown = (folder / "report.html").read_text(), (folder / "report.md").read_text()
    assert (folder / "conclusion.txt").read_text().strip() in markdown
    for wanted in (
        "Leaderboard",
        "How to have it again",
        "dataset.path=sales.csv",
        "The whole config",
        "numpy ",
        "<svg",
    ):
        assert wanted in html
    assert "planted-secret" not in html + markdown + shown
    assert len(html) < 1_000_000
    before = html
    hwds(f"report {run}")
    assert (folder / "report.html").read_text() == before

    assert hwds(f"compare {run}").code == 0
    comparison = next((tmp_path / "outputs/comparisons").iterdir())
    assert hwds(f"report {comparison.name[:6]}").code == 0
    text = (comparison / "report.html").read_text()
    assert "forecast/naive against each rival" in text
    assert f"python -m hwds compare {run}" in text


def interrupted_drawing(folder):
    figure = new_figure(1, 1)
    figure.add_subplot()
    with folder.drawing():
        save_png(figure, folder.path / "leaderboard.png")
        raise KeyboardInterrupt


def test_pictures_that_a_run_left_out_are_drawn_for_its_report(command, sales, tmp_path):
    def pictures():
        return {
            path.name: path.read_bytes()
            for path in tmp_path.glob("outputs/runs/*/*/*")
            if path.suffix in (".png", ".svg")
        }

    one_step = SALES.replace("horizon=6", "horizon=1")
    assert command(f"{one_step} pictures=true").code == 0
    with_the_run = pictures()
    assert {"leaderboard.png", "forecasts.svg"} <= set(with_the_run)
    (folder,) = tmp_path.glob("outputs/runs/*/*")
    (folder / "mine.png").write_bytes(b"no picture of hwds")
    asked = f"report adhoc/{run_id(tmp_path)}"
    assert command(asked).err == ""
    later = command(f"{one_step} pictures=false")
    assert "Report    hwds report adhoc" in later.out
    linked = re.findall(r"!\[.*\]\((.*)\)", (folder / "report.md").read_text())
    assert {"leaderboard.png", "mine.png"} <= set(linked) <= set(pictures()), (
        "the earlier report still finds its pictures"
    )
    moved = (tmp_path / "sales.csv").rename(tmp_path / "elsewhere.csv")
    changed = moved.read_text().splitlines()
    (tmp_path / "sales.csv").write_text("\n".join(changed[:-1]))
    said = command(asked)
    assert (said.code, set(pictures())) == (0, {"mine.png"}), (
        "an earlier command's are of its tables, this is somebody's"
    )
    assert "(mine.png)" in (folder / "report.md").read_text()
    (folder / "mine.png").unlink()
    assert "hwds: no pictures: dataset: has changed since run adhoc/" in said.err
    moved.rename(tmp_path / "sales.csv")
    with pytest.raises(KeyboardInterrupt):
        interrupted_drawing(RunFolder(folder))
    assert command(asked).err == ""
    assert pictures() == with_the_run
    (page,) = tmp_path.glob("outputs/runs/*/*/report.html")
    assert page.read_text().count("<figure") >= 2


def test_what_is_not_there_is_refused(hwds, sales):
    assert "must be followed by one run, sweep, study or comparison, got 0" in hwds("report").line
    assert "takes no flag, got '--fast'" in hwds("report --fast").line
    assert "no run, sweep, study or comparison 'x'" in hwds("report x").line
