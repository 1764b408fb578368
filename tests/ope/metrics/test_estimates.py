"""Values, intervals and the choice of parameters against hand calculations."""

import numpy as np
import pytest

from hwds.ope.estimates import (
    EstimatorTerms,
    bca_interval,
    bernstein_interval,
    bernstein_width,
    effective_size,
    influence,
    jackknife_stderr,
    resample_log,
    slope_choice,
    stderr,
    tune_by_slope,
)


def mean_of(values, limit=1.0):
    return EstimatorTerms(None, np.asarray(values, float), np.ones(len(values)), limit)


def generator(seed=0):
    return np.random.default_rng(seed)


def test_the_value_is_a_mean_and_a_ratio():
    parts = EstimatorTerms(np.array([1.0, 3.0]), np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    assert parts.value == 2.0 + 3 / 6
    assert parts.less(np.array([1.0, 1.0])).value == 1.0 + 3 / 6
    assert EstimatorTerms(None, np.zeros(2), np.zeros(2)).value == 0.0


def test_the_standard_error_of_a_mean_is_the_textbook_one():
    values = generator().normal(size=50)
    assert stderr(mean_of(values)) == pytest.approx(values.std(ddof=1) / np.sqrt(50))
    assert stderr(mean_of([1.0])) is None


def test_the_standard_error_of_a_ratio_is_that_of_many_draws():
    draws = generator()
    weights, rewards = draws.exponential(size=(4000, 200)), draws.random((4000, 200))
    values = np.sum(weights * rewards, axis=1) / np.sum(weights, axis=1)
    errors = [
        stderr(EstimatorTerms(None, w * r, w))
        for w, r in zip(weights[:300], rewards[:300], strict=True)
    ]
    assert np.mean(errors) == pytest.approx(values.std(), rel=0.03)


def test_rows_of_one_group_count_once():
    values = generator().normal(size=40)
    doubled, groups = np.repeat(values, 5), np.repeat(np.arange(40), 5)
    assert stderr(mean_of(doubled), groups) == pytest.approx(stderr(mean_of(values)))
    assert stderr(mean_of(doubled)) < 0.6 * stderr(mean_of(values))


def test_effective_size():
    assert effective_size(np.ones(7)) == 7
    assert effective_size(np.array([1.0, 0, 0])) == 1
    assert effective_size(np.zeros(3)) == 0


def test_resamples_are_the_same_for_any_estimator_and_have_the_right_spread():
    values = generator().normal(size=300)
    one = resample_log(mean_of(values), values, None, 2000, generator(1))
    other = resample_log(mean_of(2 * values), values, None, 2000, generator(1))
    assert np.array_equal(one.logged, other.logged)
    assert one.value == pytest.approx(one.logged)
    assert one.value.std() == pytest.approx(stderr(mean_of(values)), rel=0.06)


def test_resampled_groups_stay_together():
    values, groups = np.repeat(generator().normal(size=50), 4), np.repeat(np.arange(50), 4)
    apart = resample_log(mean_of(values), values, None, 1000, generator(1)).value.std()
    assert resample_log(
        mean_of(values), values, groups, 1000, generator(1)
    ).value.std() == pytest.approx(2 * apart, rel=0.15)


def test_bca_is_the_percentile_interval_where_nothing_is_skewed_and_moves_to_the_long_side():
    values = generator().normal(size=400)
    parts = mean_of(values)
    draws = resample_log(parts, values, None, 4000, generator(1)).value
    assert bca_interval(draws, parts.value, influence(parts), 0.95) == pytest.approx(
        np.quantile(draws, [0.025, 0.975]), abs=0.01
    )
    skewed = generator().lognormal(sigma=1.5, size=100)
    parts = mean_of(skewed)
    draws = resample_log(parts, skewed, None, 4000, generator(1)).value
    low, high = bca_interval(draws, parts.value, influence(parts), 0.95)
    assert low > np.quantile(draws, 0.025)
    assert high > np.quantile(draws, 0.975)
    assert bca_interval(np.ones(60), 1.0, np.zeros(4), 0.95) == (1.0, 1.0)


def test_bernstein_is_the_bound_of_maurer_and_pontil():
    assert bernstein_width(0.2, 1.0, 100, 0.05) == pytest.approx(
        np.sqrt(2 * 0.2 * np.log(40) / 100) + 7 * np.log(40) / (3 * 99)
    )
    values = generator().random(500)
    low, high = bernstein_interval(mean_of(values), (0.0, 1.0), 0.9)
    reach = bernstein_width(values.var(ddof=1), 1.0, 500, 0.05)
    assert (low, high) == pytest.approx((values.mean() - reach, values.mean() + reach))


def test_bernstein_of_a_ratio_solves_the_test_at_its_ends():
    weights = generator().exponential(size=20_000).clip(0, 4)
    parts = EstimatorTerms(None, weights * (generator(1).random(20_000) < 0.3), weights, 4.0)
    for v in bernstein_interval(parts, (0.0, 1.0), 0.95):
        spread = (parts.top - v * parts.bottom).var(ddof=1)
        edge = abs(np.mean(parts.top - v * parts.bottom)) - bernstein_width(
            spread, 4.0, parts.n, 0.025
        )
        assert edge == pytest.approx(0, abs=1e-9)
        assert 0 < v < 1


def test_bernstein_is_cut_to_the_rewards_and_says_nothing_of_one_row():
    assert bernstein_interval(mean_of([0.2, 0.4]), (0.0, 1.0), 0.95) == (0.0, 1.0)
    assert bernstein_interval(mean_of([0.2]), (0.0, 1.0), 0.95) == (0.0, 1.0)
    both = EstimatorTerms(np.full(50, 0.4), np.zeros(50), generator().random(50), 1.0)
    low, high = bernstein_interval(both, (0.0, 1.0), 0.95)
    assert 0.0 <= low < 0.4 < high <= 1.0


def test_slope_stops_at_the_first_that_disagrees():
    assert slope_choice([1.0, 1.1, 1.2, 5.0, 1.1], [1.0, 0.5, 0.3, 0.2, 0.1]) == 2
    assert slope_choice([1.0], [0.1]) == 0
    border = 0.5 + (np.sqrt(6) - 1) * 1.0
    assert slope_choice([0.0, border - 1e-9], [1.0, 0.5]) == 1
    assert slope_choice([0.0, border + 1e-9], [1.0, 0.5]) == 0


def test_tuned_returns_the_parts_of_the_choice():
    draws = generator().normal(size=(3, 400)) * np.array([[3.0], [1.0], [0.1]]) + np.array(
        [[0.0], [0.0], [5.0]]
    )
    chosen = tune_by_slope(
        [0, 1, 2], lambda i: EstimatorTerms(None, draws[int(i)], np.ones(400), parameter=i)
    )
    assert chosen.parameter == 1


def test_the_jackknife_over_parts_is_the_standard_error_of_a_mean():
    values = generator().normal(size=(5, 100))
    without = np.array([np.delete(values, part, axis=0).mean() for part in range(5)])
    error, low, high = jackknife_stderr(values.mean(), without, 0.95)
    assert error == pytest.approx(values.mean(axis=1).std(ddof=1) / np.sqrt(5))
    assert (high - low) / 2 / error == pytest.approx(2.7764451051977987)
