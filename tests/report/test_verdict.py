"""The one layout in which commands show what they found."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from hwds.report.grid import grid_of
from hwds.report.verdict import Shown, print_shown, verdict_lines
from hwds.report.words import BETTER, NOT_SURE, WORSE, verdict_word

TABLE = grid_of([("model", "model"), ("score", "score")], [["a", "1.0"]])


def shown(width=100, **parts):
    out = io.StringIO()
    print_shown(Shown(**parts), Console(file=out, width=width))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_word_is_that_of_the_interval():
    ends = {(0.1, 0.2): BETTER, (-0.2, -0.1): WORSE, (0.0, 0.2): NOT_SURE, (None, None): NOT_SURE}
    assert {each: verdict_word(*each) for each in ends} == ends


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "NOT SURE: a is 3 % better. More.\nLess.",
            ("NOT SURE", "a is 3 % better.", ["More.", "Less."]),
        ),
        ("ADOPT. By the labels it is cheaper.", ("ADOPT", "By the labels it is cheaper.", [])),
        ("MASE is 0.4.", ("", "MASE is 0.4.", [])),
        ("a has mase 0.4.", ("", "a has mase 0.4.", [])),
    ],
)
def test_a_verdict_is_a_word_a_sentence_and_notes(text, parts):
    assert verdict_lines(text) == parts


def test_the_word_of_a_decision_is_its_action():
    said = "CHANGE 4 of 5 cells: worth 9 USD."
    assert verdict_lines(said, "CHANGE") == ("CHANGE", "4 of 5 cells: worth 9 USD.", [])
    assert verdict_lines("It is dear.", "HOLD") == ("HOLD", "It is dear.", [])


def test_title_table_verdict_notes_next_and_paths_stand_in_this_order():
    lines = shown(
        title="lstm   sales · 2 cutoffs",
        grids=[TABLE, TABLE],
        said="BETTER: a is better.\nA note of it.",
        notes=["1 failed."],
        remarks=["Left out.", "One too many."],
        next="more",
        report="hwds report lstm",
        files=Path.cwd() / "outputs",
        seconds=3.0,
    )
    assert lines == [
        "lstm   sales · 2 cutoffs · 3.0 s",
        "",
        "model  score",
        "a        1.0",
        "",
        "BETTER    a is better.",
        "Note      1 failed.",
        "Note      A note of it.",
        "Note      Left out.",
        "Next      more",
        "Report    hwds report lstm (+1 note)     Files  outputs",
    ]


def test_a_decision_comes_first_with_its_table():
    lines = shown(decided="HOLD: it is dear.\nIt blocks 10 %.", decision=[TABLE], said="BETTER: b.")
    assert lines[:5] == [
        "HOLD      it is dear.",
        "",
        "model  score",
        "a        1.0",
        "BETTER    b.",
    ]
    assert lines[5:] == ["Note      It blocks 10 %."]


def test_no_line_is_longer_than_the_terminal_and_a_long_note_is_cut_to_two_lines():
    note = "word " * 100
    lines = shown(60, said=f"NOT SURE: {note}. B is next.", remarks=[note], report="hwds report x")
    assert max(map(len, lines)) <= 60
    assert lines[0].startswith("NOT SURE  word")
    assert lines[1].startswith("          word")
    assert sum(line.startswith(("Note", " " * 10)) and "..." in line for line in lines) == 1
    assert lines[-1] == "Report    hwds report x (+1 note)"


def test_words_have_colour_on_a_terminal_alone():
    for colour in (True, False):
        out = io.StringIO()
        print_shown(Shown(said="WORSE: a."), Console(file=out, width=80, force_terminal=colour))
        assert ("\x1b[1;31m" in out.getvalue()) == colour
