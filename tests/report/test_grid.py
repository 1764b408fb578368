import io

from rich.console import Console
from rich.text import Text

from hwds.report.grid import grid_of
from hwds.report.leaderboard import print_grids

TITLES = [("model", "model"), ("value, USD", "value"), ("long", ""), ("empty", "empty")]


def test_markdown_has_all_columns_with_a_text_and_the_terminal_those_with_a_short_title():
    grid = grid_of(
        TITLES,
        [["a|b", "1.00", "x", ""], ["truth", "2.00", "y", ""]],
        own="a|b",
        caption="What it is.",
    )
    lines = grid.markdown().splitlines()
    assert lines[0] == "| model | value, USD | long |"
    assert lines[1] == "| :-- | --: | --: |"
    assert lines[2] == "| **a\\|b** | 1.00 | x |"
    out = io.StringIO()
    print_grids([grid, grid], ["a note"], "a sentence", Console(file=out, width=60))
    shown = out.getvalue()
    assert shown.count("What it is.") == 2
    assert "empty" not in shown
    assert "long" not in shown
    assert shown.endswith("a note\na sentence\n")


def test_the_own_model_and_the_truth_are_marked_and_a_grid_may_be_empty():
    grid = grid_of(TITLES[:1], [["own"], ["truth"], ["own"]], own="own")
    assert (grid.own, grid.truth, len(grid)) == (frozenset({0, 2}), frozenset({1}), 3)
    assert len(grid_of(TITLES, [])) == 0


def test_names_keep_their_side_where_a_column_is_left_out():
    grid = grid_of([("a", "a"), ("b", ""), ("c", "c")], [["x", "y", "1"]], names=2)
    assert [column.justify for column in grid.rich().columns] == ["left", "right"]


def test_a_long_name_is_broken_before_its_brackets_where_there_is_no_room():
    grid = grid_of(
        [("model", "model"), ("score", "score")],
        [["stack(combine=equal)", "1.0"], ["truth (floor)", "0.5"]],
    )
    assert list(grid.rich(27).columns[0].cells) == [
        Text("stack(combine=equal)"),
        Text("truth (floor)"),
    ]
    assert list(grid.rich(26).columns[0].cells) == [
        Text("stack\n (combine=equal)"),
        Text("truth (floor)"),
    ]


def test_a_grid_is_cut_but_for_the_own_model():
    grid = grid_of(TITLES[:1], [["a"], ["truth"], ["b"], ["own"]], own="own").cut(2)
    assert [column.cells for column in grid.columns] == [("a", "truth", "own")]
    assert (grid.own, grid.truth) == (frozenset({2}), frozenset({1}))


def shown(grid, width):
    out = io.StringIO()
    print_grids([grid], [], "", Console(file=out, width=width))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_name_is_broken_where_its_parts_meet_in_a_narrow_terminal():
    titles = [("model", "model"), ("score", "mase\n[m=12]"), ("series", "probability_low")]
    grid = grid_of(
        titles,
        [
            ["forecast/seasonal_naive", "1.000", "12,345"],
            ["forecast/lstm(units=128,layers=2)", "0.500", "6"],
        ],
    )
    assert shown(grid, 40) == [
        "                   mase  probability_",
        "model            [m=12]           low",
        "forecast/         1.000        12,345",
        " seasonal_naive",
        "forecast/lstm     0.500             6",
        " (units=128,",
        " layers=2)",
        "",
    ]
    assert shown(grid, 80)[2:4] == [
        "forecast/seasonal_naive             1.000           12,345",
        "forecast/lstm(units=128,layers=2)   0.500                6",
    ]


def test_a_column_that_has_no_room_is_left_out_whole_and_named():
    titles = [
        ("model", "model"),
        ("mean", "mean ± s.e."),
        ("skill, %", "skill\n%"),
        ("time", "time"),
    ]
    grid = grid_of(titles, [["forecast/seasonal_naive", "1.034 ± 0.314", "-39.5 ± 34.3", "12 s"]])
    assert shown(grid, 30) == [
        "model              mean ± s.e.",
        "forecast/        1.034 ± 0.314",
        " seasonal_naive",
        "On the page: skill %, time",
        "",
    ]
