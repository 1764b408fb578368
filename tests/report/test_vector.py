"""What a drawing knows of its curves, whoever drew it."""

from datetime import date
from html import unescape
from json import loads

import numpy as np
import pytest

from hwds.report.page_parts import chart_of, chart_tables
from hwds.report.pictures import MOST_POINTS, PART_PREFIX, as_svg, drawable, new_figure, save_png

WICKED = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def figure():
    made = new_figure(6, 4)
    dates, counts = made.subplots(1, 2)
    days = np.array([date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1)], "datetime64[D]")
    dates.plot(days, [1.0, np.nan, 3.0], label=WICKED)
    dates.fill_between(days, [0.0, 1.0, 2.0], [2.0, 3.0, 4.0], gid=WICKED)
    dates.axvline(days[1], label="cutoff")
    counts.stackplot([1, 2], [[0.25, 0.5], [0.75, 0.5]], labels=["a", "b"])
    counts.errorbar([1, 2], [0.1, 0.2], yerr=0.05, label="c")
    counts.plot(np.arange(1000) / 500, np.arange(1000), label="long")
    counts.plot([1, 2], [0.4, 0.5])
    made.suptitle("A & B")
    return made


@pytest.fixture(scope="module")
def chart(figure):
    return chart_of(as_svg(figure))


def test_named_curves_know_their_points_and_nothing_else_does(chart):
    assert chart["title"] == "A & B"
    assert chart["names"] == [WICKED, "cutoff", "c", "long", "a", "b"]
    line, band = chart["panels"][0]["curves"]
    assert (line["at"], line["is"]) == (["2024-01-01", "2024-03-01"], ["1.00", "3.00"])
    assert band["is"] == ["0.00 to 2.00", "1.00 to 3.00", "2.00 to 4.00"]
    told = {chart["names"][curve["of"]]: curve for curve in chart["panels"][1]["curves"]}
    assert list(told) == ["c", "long", "a", "b"]
    assert told["a"]["is"] == ["0.250", "0.500"], "a layer is told by its thickness"
    assert told["b"]["is"] == ["0.750", "0.500"]
    assert told["c"]["at"] == ["1", "2"]
    assert len(told["long"]["x"]) == MOST_POINTS
    assert told["long"]["at"][-1] == "1.998"


def test_points_lie_inside_their_panel_and_where_they_were_drawn(figure, chart):
    text = as_svg(figure)
    for panel in chart["panels"]:
        left, top, right, bottom = panel["box"]
        for curve in panel["curves"]:
            assert all(left - 0.2 <= x <= right + 0.2 for x in curve["x"])
            assert all(top - 0.2 <= y <= bottom + 0.2 for y in curve["y"])
    first = chart["panels"][0]["curves"][0]
    starts = [part.split(' d="M ')[1].split()[:2] for part in text.split('data-of="0"')[1:]]
    assert any(
        [float(x), float(y)] == pytest.approx([first["x"][0], first["y"][0]], abs=0.1)
        for x, y in starts
    )


def test_a_drawing_is_safe_and_leaves_its_figure_as_it_was(figure, tmp_path):
    assert save_png(figure, tmp_path / "a.png")
    text = as_svg(figure)
    assert (tmp_path / "a.svg").read_text() == text
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert "<script" not in text
    assert PART_PREFIX not in text
    assert {line.get_gid() for axes in figure.axes for line in axes.lines} == {None}
    assert loads(unescape(text.split('data-chart="')[1].split('"')[0]))["names"][0] == WICKED


def test_the_numbers_of_a_picture_are_tables(chart):
    dates, counts = chart_tables(chart)
    assert [column.title for column in dates.columns] == ["at", WICKED]
    assert [column.cells for column in dates.columns] == [
        ("2024-01-01", "2024-02-01", "2024-03-01"),
        ("1.00; 0.00 to 2.00", "1.00 to 3.00", "3.00; 2.00 to 4.00"),
    ]
    assert len(counts) == 40


def test_a_long_label_keeps_both_ends():
    assert drawable("forecast/stack(combine=median)", 20) == "forecast/...=median)"
    assert drawable("forecast/stack", 14) == "forecast/stack"
    assert drawable("\u0e01 a", 9) == "? a"
