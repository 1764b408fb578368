import numpy as np
import polars as pl
import pytest

from hwds.forecast.metrics import last_season, score_forecasts, seasonal_scales, short_scales
from hwds.stats.estimates import one_minus_ratio, pooled_ratio, unit_mean, unit_median


def table(**changes):
    base = {
        "series_id": ["a", "a", "b", "b"],
        "cutoff": [1, 1, 1, 1],
        "step": [1, 2, 1, 2],
        "time": [2, 3, 2, 3],
        "actual": [10.0, 0.0, 4.0, 8.0],
        "mean": [12.0, 1.0, 4.0, 6.0],
        "q_0.1": [8.0, -1.0, 2.0, 5.0],
        "q_0.5": [11.0, 0.0, 4.0, 6.0],
        "q_0.9": [14.0, 2.0, 5.0, 7.0],
        "seasonal_naive": [9.0, 2.0, 2.0, 2.0],
        "scale_abs": [2.0, 2.0, 4.0, 4.0],
        "scale_sq": [4.0, 4.0, 16.0, 16.0],
        "season": [12] * 4,
        "fallback": [False, False, True, True],
    }
    return pl.DataFrame(base | changes)


def value(scores, metric, aggregate, step=None):
    return next(s for s in scores if (s.metric, s.aggregate, s.step) == (metric, aggregate, step))


def test_every_metric_is_its_definition():
    scores = score_forecasts(table(), (0.1, 0.5, 0.9))
    assert value(scores, "mae", "pooled").value == pytest.approx((1 + 0 + 0 + 2) / 4)
    assert value(scores, "rmse", "pooled").value == pytest.approx(np.sqrt((4 + 1 + 0 + 4) / 4))
    assert value(scores, "bias", "pooled").value == pytest.approx((2 + 1 + 0 - 2) / 4)
    assert value(scores, "mase[m=12]", "mean").value == pytest.approx((0.5 / 2 + 1 / 4) / 2)
    assert value(scores, "rmsse[m=12]", "mean").value == pytest.approx(
        (np.sqrt(2.5 / 4) + np.sqrt(2 / 16)) / 2
    )
    assert value(scores, "wape", "pooled").value == pytest.approx(3 / 22)
    assert value(scores, "smape_m4", "pooled").value == pytest.approx(
        np.mean([200 / 21, 0, 0, 400 / 14])
    )
    assert value(scores, "coverage[80%]", "pooled").value == pytest.approx(3 / 4)
    assert value(scores, "width[80%]", "pooled").value == pytest.approx((6 + 3 + 3 + 2) / 4)
    low = [0.1 * 2, 0.1 * 1, 0.1 * 2, 0.1 * 3]
    high = [0.1 * 4, 0.1 * 2, 0.1 * 1, 0.9 * 1]
    assert value(scores, "pinball[q=0.1]", "pooled").value == pytest.approx(np.mean(low))
    assert value(scores, "wql[3]", "pooled").value == pytest.approx(
        2 * (sum(low) + sum(high) + 1.5) / 3 / 22
    )


def test_mape_counts_the_rows_where_it_is_undefined():
    score = value(score_forecasts(table(), (0.1, 0.5, 0.9)), "mape", "pooled")
    assert (score.n, score.n_undefined) == (3, 1)
    assert score.value == pytest.approx((10 + 0 + 25) / 3)


def test_a_series_without_a_scale_is_counted_and_never_zero_or_infinite():
    rows = table(scale_abs=[None, None, 4.0, 4.0])
    score = value(score_forecasts(rows, (0.1, 0.5, 0.9)), "mase[m=12]", "mean")
    assert (score.value, score.n, score.n_undefined) == (0.25, 1, 1)


def test_fallbacks_are_counted_in_series():
    assert {score.n_fallback for score in score_forecasts(table(), (0.1, 0.5, 0.9))} == {1}


def test_steps_have_their_own_scores():
    scores = score_forecasts(table(), (0.1, 0.5, 0.9))
    assert value(scores, "coverage[80%]", "mean", 2).value == pytest.approx(0.5)


def test_skill_is_one_minus_the_ratio_to_the_seasonal_naive():
    score = value(score_forecasts(table(), (0.1, 0.5, 0.9)), "skill_mase[m=12]", "mean")
    naive = ((1 + 2) / 2 / 2 + (2 + 6) / 2 / 4) / 2
    assert score.value == pytest.approx(1 - 0.25 / naive)


def test_standard_errors_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(1)
    hits = {"mean": 0, "median": 0, "pooled": 0, "skill": 0}
    for _ in range(400):
        ours, theirs = rng.gamma(2, 1, 200), rng.gamma(2, 2, 200)
        estimates = {
            "mean": (unit_mean(ours), 2.0),
            "median": (unit_median(ours), 1.6783469900166612),
            "pooled": (pooled_ratio(ours, theirs), 0.5),
            "skill": (one_minus_ratio(ours, theirs), 0.5),
        }
        for name, (estimate, truth) in estimates.items():
            hits[name] += estimate.low <= truth <= estimate.high
    for name, count in hits.items():
        assert 0.915 <= count / 400 <= 0.985, name


def test_one_series_has_no_standard_error():
    estimate = unit_mean(np.array([1.0, np.nan]))
    assert (estimate.value, estimate.stderr, estimate.n, estimate.n_undefined) == (1.0, None, 1, 1)


def test_scales_are_those_of_each_series_alone():
    values = np.array([1.0, 2, 4, 7, 5, 5, 5, 9])
    absolute, squared = seasonal_scales(values, np.array([0, 4, 7, 8]), 1)
    assert absolute[0] == pytest.approx(2)
    assert squared[0] == pytest.approx((1 + 4 + 9) / 3)
    assert np.isnan(absolute[1:]).all()


def test_a_young_series_whose_rows_are_alike_has_no_tiny_scale():
    rows = [[100.0, 130, 90], [100.0, 100.001], [100.0, 100], [100.0, np.nan], [0.0, 0]]
    offsets = np.cumsum([0, *map(len, rows)])
    absolute, squared = short_scales(np.concatenate(rows), offsets, 12)
    assert absolute == pytest.approx([35, 10, 100, 100, np.nan], rel=1e-4, nan_ok=True)
    assert squared == pytest.approx(
        [(30**2 + 40**2) / 2, 100, 100**2, 100**2, np.nan], rel=1e-4, nan_ok=True
    )


def test_the_seasonal_naive_repeats_the_season_and_mends_holes():
    values = np.array([1.0, 2, 3, 4, np.nan, 6, 7, 8])
    got = last_season(values, np.array([0, 6, 8]), 3, 5)
    assert got[0].tolist() == [4, 6, 6, 4, 6]
    assert got[1].tolist() == [8, 8, 8, 8, 8]


def test_no_interval_of_an_error_reaches_below_zero():
    cutoff, number = np.repeat(np.arange(5), 6), np.tile(np.arange(6), 5)
    wrong = np.where(cutoff == 4, 9.0, 0.5)  # one origin went wrong
    rows = table(
        series_id=[f"s{each}" for each in number],
        cutoff=cutoff,
        step=[1] * 30,
        time=cutoff + 1,
        actual=np.full(30, 20.0),
        **{
            "mean": 20.0 + wrong,
            "q_0.1": np.full(30, 18.0),
            "q_0.5": 20.0 + wrong,
            "q_0.9": np.full(30, 30.0),
        },
        seasonal_naive=np.full(30, 19.0),
        scale_abs=np.full(30, 2.0),
        scale_sq=np.full(30, 4.0),
        season=[1] * 30,
        fallback=[False] * 30,
    )
    scores = score_forecasts(rows, (0.1, 0.5, 0.9))
    for metric, aggregate in (("mase[m=1]", "mean"), ("mae", "pooled")):
        assert value(scores, metric, aggregate).ci_low == 0
    assert value(scores, "bias", "pooled").ci_low < 0
