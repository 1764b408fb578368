"""What the conclusion of a forecast adds: coverage off its level, searches, what would tell."""

import json
from dataclasses import replace

import polars as pl

from hwds.forecast.report import coverage_lines, more_cutoffs, search_lines
from hwds.forecast.rows import SEARCH_FACTS
from hwds.report.standings import ScoreValue, standings
from tests.support.result_tables import model_lines, tables_of

AUTO = "forecast/auto"
TABLES = tables_of(*model_lines(AUTO, 0.5, 0.4, 0.25))


def board_with(skill=None, beside=None, cutoffs=4):
    board = standings(TABLES, "mase")
    own = replace(board.own, skill=skill or board.own.skill, beside=beside or {})
    return replace(board, own=own, lines=(own,), cutoffs=cutoffs)


def test_bands_off_their_level_are_said_with_the_cure():
    def said(low, high, rows=TABLES):
        covers = {"coverage[80%]": ScoreValue(0.72, 0.01, low, high)}
        return list(coverage_lines(rows, board_with(beside=covers)))

    assert said(0.68, 0.76) == [
        "Its 80 % bands cover 72 % (95 %: 68 to 76): too narrow. protocol.intervals=conformal corrects them."
    ]
    assert said(0.68, 0.86) == said(None, None) == []
    calibrated = replace(TABLES, predictions=pl.DataFrame({"calibrated": [True]}))
    assert said(0.68, 0.76, calibrated) == [
        "Its 80 % bands cover 72 % (95 %: 68 to 76): too narrow."
    ]


def test_what_would_tell_is_said_with_its_cost():
    config = {"protocol": {"windows": 4}}
    unsure = board_with(ScoreValue(0.2, 0.1, -0.1, 0.5))
    assert more_cutoffs(config, unsure) == "9 cutoffs may tell: protocol.windows=9 (compute 2.2 s)"
    small = board_with(ScoreValue(0.01, 0.1, -0.1, 0.5))
    assert "3,600 cutoffs like these may tell; a shorter" in more_cutoffs(config, small)
    assert not more_cutoffs(config, board_with(ScoreValue(0.2, 0.1, 0.05, 0.5)))
    assert not more_cutoffs({"protocol": {}}, unsure)


def test_searches_are_told_for_the_whole_run():
    first = {
        "used": ["forecast/theta"],
        "dropped": ["forecast/ets", "forecast/naive"],
        "waiting": ["forecast/mlp"],
        "enough": "61s",
        "clocked": True,
    }
    second = {"used": ["forecast/theta", "adjusted(member=ces)"], "dropped": [], "waiting": []}
    facts = [first, {**second, "enough": "", "clocked": True}]
    columns = {"cutoff": [1, 2], SEARCH_FACTS: [*map(json.dumps, facts)]}
    rows = pl.DataFrame({"model": AUTO, **columns})
    assert list(search_lines(replace(TABLES, predictions=rows), board_with())) == [
        "forecast/auto used theta at 1 cutoff, a mixture at 1 cutoff.",
        "It dropped ets at 1 cutoff, naive at 1 cutoff.",
        "It had no time for mlp; model.budget=61s would try more.",
        "Seconds depend on the machine and its load. A budget in units, such as 300u, gives the same "
        "answer anywhere.",
    ]
    assert list(search_lines(TABLES, board_with())) == []
