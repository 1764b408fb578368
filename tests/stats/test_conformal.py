"""Split-conformal quantiles: ranks, borrowing, both kinds of interval, and what is never done to a
forecast.
"""

import numpy as np
import pytest

from hwds.core.serialization import load_fitted, save_fitted
from hwds.stats.conformal import (
    Bands,
    ConformalCalibration,
    mirrors,
    nominal,
    order_statistic,
    steps_borrowed,
)

LEVELS = np.array([0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975])


def bands(quantiles, scale=1.0, step=1, nonnegative=False, levels=LEVELS):
    n = len(quantiles)
    median = quantiles[:, list(levels).index(0.5)]
    return Bands(
        levels, quantiles, median, np.full(n, scale), np.full(n, step), np.full(n, nonnegative)
    )


def normal(n, spread, rng, offset=100.0):
    """Quantiles that are as wide as `spread` says, and actuals of standard deviation 1."""
    from statistics import NormalDist

    scores = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
    centre = offset + rng.normal(0, 5, n)
    return centre[:, None] + spread * scores, centre + rng.normal(0, 1, n)


def covered(quantiles, actual, low, high):
    return float(np.mean((quantiles[:, low] <= actual) & (actual <= quantiles[:, high])))


@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0])
def test_every_interval_covers_its_share_whatever_the_models_own_did(spread):
    rng = np.random.default_rng(1)
    past, future = (normal(4000, spread, rng) for _ in range(2))
    calibration = ConformalCalibration.learn(bands(past[0]), past[1], np.array([1]))
    quantiles, done = calibration.correct(bands(future[0]))
    assert done.all()
    for low, share in enumerate((0.95, 0.8, 0.5)):
        assert covered(quantiles, future[1], low, 6 - low) == pytest.approx(share, abs=0.03)


def test_the_rank_is_that_of_finite_samples():
    scores = np.arange(1.0, 20.0)  # 19 of them
    assert order_statistic(scores, 0.8) == (16.0, False)  # ceil(20 x .8)
    assert order_statistic(scores, 0.95) == (19.0, False)
    assert order_statistic(scores, 0.96) == (19.0, True)  # rank 20 there is not
    assert order_statistic(np.zeros(3), 0.96) == (0.0, False)
    assert np.isnan(order_statistic(np.zeros(0), 0.8)[0])


def test_a_pool_of_nine_covers_its_share_on_average():
    rng = np.random.default_rng(3)
    hits = []
    for _ in range(400):
        past, future = (normal(9, 0.5, rng) for _ in range(2))
        quantiles, _ = ConformalCalibration.learn(bands(past[0]), past[1], np.array([1])).correct(
            bands(future[0])
        )
        hits.append(covered(quantiles, future[1], 1, 5))
    assert np.mean(hits) == pytest.approx(
        0.8, abs=0.03
    )  # rank 8 of 10; the plain quantile of 9 scores would cover .74


def test_a_step_borrows_from_those_next_to_it_and_with_few_rows_from_farther_ones():
    step = np.repeat([1, 2, 3, 4, 5], 50)
    assert steps_borrowed(step, 3, least=50) == 1
    assert steps_borrowed(step, 3, least=150) == 1
    assert steps_borrowed(step, 3, least=151) == 2
    assert steps_borrowed(step, 1, least=10_000) == 4
    assert steps_borrowed(np.zeros(0, int), 1) == 1


def test_factors_follow_the_step():
    rng = np.random.default_rng(4)
    parts = [normal(600, 1.0, rng) for _ in range(2)]
    quantiles = np.concatenate([parts[0][0], parts[1][0]])
    actual = np.concatenate(
        [parts[0][1], parts[1][0][:, 3] + 3 * (parts[1][1] - parts[1][0][:, 3])]
    )
    told = Bands(
        LEVELS,
        quantiles,
        quantiles[:, 3],
        np.ones(1200),
        np.repeat([1, 3], 600),
        np.zeros(1200, bool),
    )
    factors = ConformalCalibration.learn(told, actual, np.array([1, 3])).factors[0]
    assert factors[1, 5] / factors[0, 5] == pytest.approx(3.0, rel=0.15)


@pytest.mark.parametrize("rows", [1, 5, 500])
def test_exact_forecasts_get_no_width(rows):
    told, _ = normal(rows, 2.0, np.random.default_rng(5))
    exact = bands(told)
    quantiles, done = ConformalCalibration.learn(exact, exact.median, np.array([1])).correct(exact)
    assert done.all()
    assert (quantiles == exact.median[:, None]).all()


def test_nothing_is_narrowed_by_a_pool_too_small_for_the_level():
    told, _ = normal(5, 1.0, np.random.default_rng(6))
    past = bands(told)
    quantiles, _ = ConformalCalibration.learn(past, past.median + 1e-3, np.array([1])).correct(past)
    assert (quantiles[:, 6] == told[:, 6]).all()  # 5 rows know nothing of 95 %
    assert (quantiles[:, 4] < told[:, 4]).all()  # but something of 50 %


def test_a_series_without_scale_and_a_model_without_width_keep_what_they_have():
    flat = np.full((3, 7), 5.0)
    quantiles, done = ConformalCalibration.learn(*_past(), np.array([1])).correct(
        bands(flat, scale=np.nan)
    )
    assert not done.any()
    assert (quantiles == flat).all()
    wide, done = ConformalCalibration.learn(*_past(), np.array([1])).correct(bands(flat, scale=2.0))
    assert done.all()
    assert (wide[:, 0] < 5).all()


def test_steps_and_rows_of_nothing_are_left_alone():
    told, _ = normal(4, 1.0, np.random.default_rng(7))
    for calibration in (
        ConformalCalibration.nothing(LEVELS.tolist()),
        ConformalCalibration.learn(*_past(), np.array([2, 3])),
    ):
        quantiles, done = calibration.correct(bands(told))
        assert not done.any()
        assert (quantiles == told).all()
    unknown = bands(np.full((2, 7), np.nan))
    assert not ConformalCalibration.learn(*_past(), np.array([1])).correct(unknown)[1].any()


def _past():
    told, actual = normal(300, 1.0, np.random.default_rng(8))
    return bands(told), actual


def test_of_counts_that_are_mostly_zero_the_upper_end_alone_is_calibrated():
    rng = np.random.default_rng(9)
    flat = np.tile([0, 0, 0, 0, 0, 1.0, 2.0], (6000, 1))
    actual = np.where(rng.random(6000) < 0.35, 1.0 + rng.exponential(3.0, 6000), 0.0)
    told = bands(flat, nonnegative=True)
    assert told.are_closed()[:, :3].all()
    half = np.arange(6000) < 3000
    calibration = ConformalCalibration.learn(told.take(half), actual[half], np.array([1]))
    quantiles, _ = calibration.correct(told.take(~half))
    below = (actual[~half, None] <= quantiles).mean(0)
    assert (quantiles[:, :4] == 0).all()
    assert below[4:] == pytest.approx([0.75, 0.9, 0.975], abs=0.02)


def test_series_without_a_scale_are_calibrated_among_themselves():
    rng = np.random.default_rng(11)
    (wide, far), (narrow, near) = normal(500, 0.1, rng), normal(500, 2.0, rng)
    told = Bands(
        LEVELS,
        np.concatenate([wide, narrow]),
        np.concatenate([wide[:, 3], narrow[:, 3]]),
        np.repeat([np.nan, 7.0], 500),
        np.ones(1000),
        np.zeros(1000, bool),
    )
    actual = np.concatenate([far, near])
    quantiles, done = ConformalCalibration.learn(told, actual, np.array([1])).correct(told)
    assert done.all()
    for part in (slice(500), slice(500, 1000)):
        assert covered(quantiles[part], actual[part], 1, 5) == pytest.approx(0.8, abs=0.02)


def test_a_kind_with_few_rows_takes_the_factors_of_the_other():
    told, actual = normal(300, 0.5, np.random.default_rng(10))
    calibration = ConformalCalibration.learn(bands(told), actual, np.array([1]))
    assert np.array_equal(calibration.factors[0], calibration.factors[1], equal_nan=True)


@pytest.mark.parametrize("seed", range(40))
def test_quantiles_never_cross_nor_move_the_median_nor_fall_below_zero(seed):
    rng = np.random.default_rng(seed)
    size = 10.0 ** rng.integers(-6, 13)
    picked = np.sort(rng.choice(np.arange(1, 100), rng.integers(1, 9), replace=False)) / 100
    levels = np.union1d(picked, [0.5])

    def some(n):
        quantiles = np.sort(size * rng.standard_t(1, (n, len(levels))), axis=1)
        quantiles = np.round(quantiles / size) * size if rng.random() < 0.5 else quantiles
        never = rng.random(n) < 0.5
        quantiles[never] = np.abs(quantiles[never][:, np.argsort(np.abs(quantiles[never]).sum(0))])
        quantiles = np.sort(quantiles, axis=1)
        scale = np.where(rng.random(n) < 0.2, np.nan, size * rng.exponential(1.0, n))
        return Bands(
            levels,
            quantiles,
            quantiles[:, list(levels).index(0.5)],
            scale,
            rng.integers(1, 5, n),
            never,
        )

    past, future = some(int(rng.integers(1, 300))), some(200)
    actual = np.where(
        rng.random(len(past.median)) < 0.1, np.nan, size * rng.standard_t(1, len(past.median))
    )
    quantiles, done = ConformalCalibration.learn(past, actual, np.arange(1, 4)).correct(future)
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert np.array_equal(quantiles[:, list(levels).index(0.5)], future.median)
    assert (quantiles[future.nonnegative & done] >= 0).all()
    assert np.array_equal(quantiles[~done], future.quantiles[~done])


def test_ends_of_one_interval_are_mirrors_and_a_lone_level_is_its_own():
    low, high = mirrors(np.array([0.1, 0.25, 0.5, 0.9]))
    assert low.tolist() == [0, 1, 2, 0]
    assert high.tolist() == [3, 1, 2, 3]
    assert nominal(np.array([0.1, 0.5, 0.9]), 1)[:2, 0] == pytest.approx(
        np.array([[0.8, 0, 0.8], [0.9, 0.5, 0.9]])
    )


def test_a_calibration_is_kept(tmp_path):
    calibration = ConformalCalibration.learn(*_past(), np.array([1]))
    save_fitted(calibration, tmp_path)
    again, (told, _) = load_fitted(tmp_path), _past()
    assert again.levels == calibration.levels
    assert np.array_equal(again.correct(told)[0], calibration.correct(told)[0])
