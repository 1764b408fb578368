import io

from rich.console import Console
from rich.text import Text

from hwds.report.grid import grid_of
from hwds.report.leaderboard import print_grids

TITLES = [("model", "model"), ("value, USD", "value"), ("long", ""), ("empty", "empty")]


def test_markdown_has_all_columns_with_a_text_and_the_terminal_those_with_a_short_title():
    grid = grid_of(TITLES, [["a|b", "1.00", "x", ""], ["truth", "2.00", "y", ""]], own="a|b", caption="What it is.")
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
    grid = grid_of([("model", "model"), ("score", "score")], [["stack(combine=equal)", "1.0"], ["truth (floor)", "0.5"]])
    assert list(grid.rich(27).columns[0].cells) == [Text("stack(combine=equal)"), Text("truth (floor)")]
    assert list(grid.rich(26).columns[0].cells) == [Text("stack\n (combine=equal)"), Text("truth (floor)")]


def test_a_grid_is_cut_but_for_the_own_model():
    grid = grid_of(TITLES[:1], [["a"], ["truth"], ["b"], ["own"]], own="own").cut(2)
    assert [column.cells for column in grid.columns] == [("a", "truth", "own")]
    assert (grid.own, grid.truth) == (frozenset({2}), frozenset({1}))
