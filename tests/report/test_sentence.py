from dataclasses import replace

import polars as pl
import pytest

from hwds.report.leaderboard import leaderboard_notes
from hwds.report.standings import run_conclusion, standings
from hwds.results.tables import Measure
from tests.support.result_tables import failure_line, model_lines, score, tables_of

LSTM, NAIVE, XGB = "forecast/lstm", "forecast/seasonal_naive", "forecast/xgboost"


def said(*lines, headline="mase", metrics=None, **more):
    return run_conclusion(standings(tables_of(*lines, metrics=metrics), headline, **more))


def test_a_model_that_beats_the_naive():
    assert said(*model_lines(LSTM, 0.81, 0.12), *model_lines(NAIVE, 0.92, 0.0, 0.0)) == (
        "BETTER: forecast/lstm is 12 % better than the seasonal naive (95 %: 6 to 18; 96 series)."
    )


@pytest.mark.parametrize(("skill", "side"), [(0.02, "2 % better"), (-0.02, "2 % worse")])
def test_an_interval_with_zero_inside_is_not_distinguishable(skill, side):
    text = said(*model_lines(LSTM, 0.9, skill, 0.04))
    assert text == (
        f"NOT SURE: forecast/lstm is {side} than the seasonal naive so far; 96 series cannot tell "
        f"(95 %: -6 to 10)."
    )


def test_an_interval_that_was_drawn_to_zero_is_not_sure():
    headline, skill = model_lines(LSTM, 0.5, 0.4, 0.05)
    text = said(headline, {**skill, "ci_low": 0.0})
    assert text.startswith("NOT SURE: forecast/lstm is 40 % better than the seasonal naive so far;")


def test_cutoffs_are_named_where_they_cannot_tell():
    """With cutoffs these, and not the series, are what is few."""
    tables = tables_of(*model_lines(LSTM, 0.5, 0.4, 0.25))
    rows = pl.DataFrame(
        {"series_id": ["a", "a", "b"], "cutoff": [1, 2, 1], "step": [1, 3, 2], "model": LSTM}
    )
    board = standings(replace(tables, predictions=rows), "mase")
    assert (board.cutoffs, board.steps) == (2, 3)
    assert "so far; 2 cutoffs cannot tell (95 %: -9 to 89)." in run_conclusion(board)
    few = replace(board, lines=tuple(replace(line, n=3) for line in board.lines))
    few = replace(few, own=few.lines[0])
    assert "so far; 3 series cannot tell (95 %: -9 to 89)." in run_conclusion(few)


@pytest.mark.parametrize("skill", [0.3, -0.3])
def test_an_interval_that_cannot_be_true_is_not_quoted(skill):
    headline, row = model_lines(LSTM, 0.5, skill, 0.05)
    text = said(headline, {**row, "ci_low": -468.0, "ci_high": 0.999})
    assert text.endswith("so far; 96 series are too few.")
    assert "-" not in text.removeprefix("NOT SURE")


def test_the_interval_decides_not_the_size():
    assert said(*model_lines(LSTM, 0.5, 0.4, 0.21)).startswith("NOT SURE")
    assert said(*model_lines(LSTM, 0.5, 0.01, 0.004)).startswith("BETTER")


def test_a_model_that_is_worse_and_the_naive_is_not_named_twice():
    text = said(*model_lines(LSTM, 1.0, -0.08, 0.02), *model_lines(NAIVE, 0.926, 0.0, 0.0))
    assert text == (
        "WORSE: forecast/lstm is 8 % worse than the seasonal naive (95 %: 4 to 12; 96 series)."
    )


def test_rivals_that_are_better_are_named():
    lines = (
        *model_lines(LSTM, 0.81, 0.12),
        *model_lines(XGB, 0.79, 0.14),
        *model_lines("truth", 0.5, 0.4),
    )
    assert said(*lines).endswith(
        "\nforecast/xgboost scores better (0.790); hwds compare tests that."
    )
    assert said(*lines, *model_lines("forecast/arima", 0.7, 0.2)).endswith(
        "\n2 rivals score better, best of them forecast/arima (0.700); hwds compare tests that."
    )


def test_the_naive_itself():
    assert said(*model_lines(NAIVE, 0.92, 0.0, 0.0)) == (
        "ALIKE: forecast/seasonal_naive scores as the seasonal naive does: mase[m=12] 0.920, 96 series."
    )


def test_one_series_has_no_standard_error():
    lines = [score(LSTM, "mase[m=12]", 0.81, n=1), score(LSTM, "skill_mase[m=12]", 0.1, n=1)]
    assert said(*lines) == (
        "NOT SURE: forecast/lstm is 10 % better than the seasonal naive so far; 1 series is too few."
    )


def test_a_model_that_failed_altogether():
    text = said(failure_line(LSTM), *model_lines(NAIVE, 0.92, 0.0, 0.0))
    assert text == (
        "NOT SURE: forecast/lstm has no score: 96 answers failed (ValueError: no luck);"
        " the best of its rivals is forecast/seasonal_naive (mase[m=12] 0.920)."
    )


def test_failures_and_fallbacks_are_said_once():
    lines = model_lines(LSTM, 0.81, 0.12, n_failed=3, n_fallback=1)
    assert "fail" not in said(*lines)
    board = standings(tables_of(*lines), "mase")
    assert list(leaderboard_notes(board)) == [
        "every model: 3 answers failed (), 1 series by a fallback"
    ]
    remarks = ["forecast/lstm: 1 of 96 series by a fallback, in 1 of 96 forecasts: short (1)."]
    assert "fallback" not in "".join(leaderboard_notes(board, remarks))


def test_a_headline_that_is_undefined_everywhere():
    assert said(score(LSTM, "mase[m=12]", None, n=0, n_undefined=5)) == (
        "NOT SURE: forecast/lstm has no mase[m=12]: it is undefined for all of its 5 series."
    )


def test_without_a_skill_the_rank_speaks():
    lines = (
        score(LSTM, "wql[3]", 0.31, 0.01),
        score(XGB, "wql[3]", 0.35, 0.01),
        score("truth", "wql[3]", 0.2),
    )
    assert said(*lines, headline="wql") == (
        "NOT SURE: forecast/lstm scores best of 2 models, wql[3] 0.310 (95 %: 0.290 to 0.330; "
        "96 series); the best possible is 0.200.\nNo test was made: hwds compare makes it."
    )
    assert said(lines[1], lines[0], headline="wql") == (
        "NOT SURE: forecast/lstm scores best of 2 models, wql[3] 0.310; forecast/xgboost is number "
        "2, wql[3] 0.350 (95 %: 0.330 to 0.370; 96 series).\nNo test was made: hwds compare makes it."
    )
    assert (
        said(lines[0], headline="wql")
        == "ESTIMATE: forecast/lstm has wql[3] 0.310 (95 %: 0.290 to 0.330; 96 series)."
    )


def test_another_task_where_high_is_good():
    lines = [
        score(name, "aucpr", value, 0.01, task="classify")
        for name, value in (("classify/a", 0.6), ("classify/b", 0.7))
    ]
    metrics = [Measure("aucpr", better="high", units="rows")]
    assert said(*lines, headline="aucpr", metrics=metrics) == (
        "NOT SURE: classify/b scores best of 2 models, aucpr 0.700; classify/a is number 2, aucpr "
        "0.600 (95 %: 0.580 to 0.620; 96 rows).\nNo test was made: hwds compare makes it."
    )


def test_another_task_has_another_reference():
    lines = score("bandit/ucb", "regret", 40.0, 1.0), score("bandit/ucb", "skill_regret", 0.2, 0.02)
    metrics = [Measure("regret", units="replications", reference="bandit/best_fixed_price")]
    assert said(*lines, headline="regret", metrics=metrics) == (
        "BETTER: bandit/ucb is 20 % better than the best fixed price (95 %: 16 to 24; "
        "96 replications)."
    )


def test_the_model_may_be_named_and_nothing_may_be_there():
    lines = *model_lines(NAIVE, 0.92, 0.0, 0.0), *model_lines(LSTM, 0.81, 0.12)
    assert said(*lines, model=LSTM).startswith("BETTER: forecast/lstm is 12 % better")
    assert said() == "Nothing was scored."
    assert said(model=LSTM) == "NOT SURE: forecast/lstm has no score: there is no answer of it."
