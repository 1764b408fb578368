import pytest

from hwds.report.standings import run_conclusion, standings
from hwds.results.tables import Measure
from tests.support.result_tables import failure_line, model_lines, score, tables_of

LSTM, NAIVE, XGB = "forecast/lstm", "forecast/seasonal_naive", "forecast/xgboost"


def said(*lines, headline="mase", metrics=None, **more):
    return run_conclusion(standings(tables_of(*lines, metrics=metrics), headline, **more))


def test_a_model_that_beats_the_naive():
    assert said(*model_lines(LSTM, 0.81, 0.12), *model_lines(NAIVE, 0.92, 0.0, 0.0)) == (
        "forecast/lstm beats the seasonal naive by 12 % (95 %: 6 to 18; mase[m=12] 0.810 against "
        "0.920, 96 series)."
    )


def test_the_naive_it_is_held_against_is_that_of_its_own_rows():
    assert "mase[m=12] 0.810 against 0.900," in said(
        *model_lines(LSTM, 0.81, 0.1), *model_lines(NAIVE, 0.5, 0.0, 0.0)
    )


@pytest.mark.parametrize(("skill", "side"), [(0.02, "2 % better"), (-0.02, "2 % worse")])
def test_an_interval_with_zero_inside_is_not_distinguishable(skill, side):
    text = said(*model_lines(LSTM, 0.9, skill, 0.04))
    assert text.startswith(
        f"forecast/lstm does not beat the seasonal naive: it is {side}, not distinguishable (95 "
        f"%: -6 to 10;"
    )


def test_an_interval_that_was_drawn_to_zero_says_that_units_are_few():
    headline, skill = model_lines(LSTM, 0.5, 0.4, 0.05)
    text = said(headline, {**skill, "ci_low": 0.0})
    assert (
        "it is 40 % better, which fewer than 4 periods or series cannot make sure (95 %: 0 to "
        in text
    )
    assert "fewer than" not in said(headline, {**skill, "ci_low": -0.01})


def test_the_interval_decides_not_the_size():
    assert "does not beat" in said(*model_lines(LSTM, 0.5, 0.4, 0.21))
    assert "beats" in said(*model_lines(LSTM, 0.5, 0.01, 0.004))


def test_a_model_that_is_worse_and_the_naive_is_not_named_twice():
    text = said(*model_lines(LSTM, 1.0, -0.08, 0.02), *model_lines(NAIVE, 0.926, 0.0, 0.0))
    assert text.startswith(
        "forecast/lstm does not beat the seasonal naive: it is worse by 8 % (95 %: 4 to 12; "
        "mase[m=12] 1.00 against 0.926,"
    )
    assert "rival" not in text


def test_the_share_of_the_way_to_the_floor():
    lines = *model_lines(LSTM, 0.8, 0.2), *model_lines("truth", 0.6, 0.4)
    assert said(*lines).endswith(", and goes 50 % of the way to the floor (0.600).")
    beyond = *model_lines(LSTM, 0.5, 0.5), *model_lines("truth", 0.6, 0.4)
    assert said(*beyond).endswith(", and reaches the floor (0.600).")
    assert "floor" not in said(*model_lines(LSTM, 1.1, -0.1), *model_lines("truth", 0.6, 0.4))


def test_rivals_that_are_better_are_named():
    lines = (
        *model_lines(LSTM, 0.81, 0.12),
        *model_lines(XGB, 0.79, 0.14),
        *model_lines("truth", 0.5, 0.4),
    )
    assert said(*lines).endswith("; the rival forecast/xgboost scores better (0.790).")
    assert said(*lines, *model_lines("forecast/arima", 0.7, 0.2)).endswith(
        "; 2 rivals score better, best of them forecast/arima (0.700)."
    )


def test_the_naive_itself():
    assert said(*model_lines(NAIVE, 0.92, 0.0, 0.0)) == (
        "forecast/seasonal_naive scores as the seasonal naive does (mase[m=12] 0.920, 96 series)."
    )


def test_one_series_has_no_standard_error():
    lines = [score(LSTM, "mase[m=12]", 0.81, n=1), score(LSTM, "skill_mase[m=12]", 0.1, n=1)]
    assert "is 10 % better than the seasonal naive, too few series for an interval (" in said(
        *lines
    )
    assert "1 series)." in said(*lines)


def test_a_model_that_failed_altogether():
    text = said(failure_line(LSTM), *model_lines(NAIVE, 0.92, 0.0, 0.0))
    assert text == (
        "forecast/lstm has no score: 96 answers failed (ValueError: no luck);"
        " the best of its rivals is forecast/seasonal_naive (mase[m=12] 0.920)."
    )


def test_failures_and_fallbacks_are_not_hidden():
    assert said(*model_lines(LSTM, 0.81, 0.12, n_failed=3, n_fallback=1)).endswith(
        "; 3 answers failed; 1 series came from a fallback."
    )


def test_a_headline_that_is_undefined_everywhere():
    assert said(score(LSTM, "mase[m=12]", None, n=0, n_undefined=5)) == (
        "forecast/lstm has no mase[m=12]: it is undefined for all of its 5 series."
    )


def test_without_a_skill_the_rank_speaks():
    lines = (
        score(LSTM, "wql[3]", 0.31, 0.01),
        score(XGB, "wql[3]", 0.35, 0.01),
        score("truth", "wql[3]", 0.2),
    )
    assert said(*lines, headline="wql") == (
        "forecast/lstm scores best of 2 models, not tested (hwds compare does): wql[3] 0.310"
        " (95 %: 0.290 to 0.330; 96 series); the floor is 0.200."
    )
    assert said(lines[1], lines[0], headline="wql") == (
        "forecast/lstm scores best of 2 models, not tested (hwds compare does): wql[3] 0.310;"
        " forecast/xgboost is number 2: wql[3] 0.350 (95 %: 0.330 to 0.370; 96 series)."
    )
    assert (
        said(lines[0], headline="wql")
        == "forecast/lstm has wql[3] 0.310 (95 %: 0.290 to 0.330; 96 series)."
    )


def test_another_task_where_high_is_good():
    lines = [
        score(name, "aucpr", value, 0.01, task="classify")
        for name, value in (("classify/a", 0.6), ("classify/b", 0.7))
    ]
    metrics = [Measure("aucpr", better="high", units="rows")]
    assert said(*lines, headline="aucpr", metrics=metrics) == (
        "classify/b scores best of 2 models, not tested (hwds compare does): aucpr 0.700;"
        " classify/a is number 2: aucpr 0.600 (95 %: 0.580 to 0.620; 96 rows)."
    )


def test_another_task_has_another_reference():
    lines = score("bandit/ucb", "regret", 40.0, 1.0), score("bandit/ucb", "skill_regret", 0.2, 0.02)
    metrics = [Measure("regret", units="replications", reference="bandit/best_fixed_price")]
    assert said(*lines, headline="regret", metrics=metrics) == (
        "bandit/ucb beats the best fixed price by 20 % (95 %: 16 to 24; regret 40.0 against 50.0, "
        "96 replications)."
    )


def test_the_model_may_be_named_and_nothing_may_be_there():
    lines = *model_lines(NAIVE, 0.92, 0.0, 0.0), *model_lines(LSTM, 0.81, 0.12)
    assert said(*lines, model=LSTM).startswith("forecast/lstm beats")
    assert said() == "Nothing was scored."
    assert said(model=LSTM) == "forecast/lstm has no score: there is no answer of it."
