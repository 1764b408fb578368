"""Laws of lives: Kaplan-Meier's curve, quantiles of curves, and the errors of held-out machines."""

import numpy as np
import pytest

from hwds.lifetime.laws import (
    LIFE_LEVELS,
    Lives,
    LocalErrors,
    quantiles_of_survival,
    restricted_mean,
    survival_at,
)
from hwds.stats.distributions import kaplan_meier, quantiles_of


def test_the_curve_of_remission_times():
    """Freireich et al. 1963, treated: .857, .807, .753, .690, .627, .538, .448 (Kalbfleisch and
    Prentice 1980).
    """
    times = np.array(
        [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35], float
    )
    events = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0], bool)
    ends, share = kaplan_meier(times, events, np.ones(21))
    last = dict(zip(ends.tolist(), share.tolist(), strict=True))
    wanted = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    assert {end: pytest.approx(value, abs=5e-4) for end, value in wanted.items()} == last
    assert quantiles_of(ends, share, np.array([0.5]), 99.0)[0] == 23
    assert quantiles_of(ends, share, np.array([0.6]), 99.0)[0] == 99


def test_curves_have_quantiles_and_means_up_to_a_cap():
    times = np.arange(1.0, 11)
    survival = np.array([1 - times / 10])
    assert quantiles_of_survival(times, survival)[0, [1, 9, 17]].tolist() == [1, 5, 9]
    assert restricted_mean(times, survival, 5.0)[0] == pytest.approx(4.0)
    assert restricted_mean(times, survival, 100.0)[0] == pytest.approx(5.5)


def test_the_chance_to_last_is_read_off_the_quantiles():
    told = survival_at(np.array([100 * LIFE_LEVELS]), np.array([0.0, 5.0, 50.0, 95.0, 1e6]))[0]
    assert told[:4] == pytest.approx([1.0, 0.95, 0.5, 0.05], abs=1e-6)
    assert 0 <= told[4] < 1e-6


def test_errors_are_local_and_as_wide_as_held_out_machines_say():
    rng = np.random.default_rng(0)
    point = rng.uniform(0, 100, 6000)
    seen = np.maximum(point + rng.normal(size=6000) * (1 + point / 10), 0)
    errors = LocalErrors.learn(point, seen, np.full(6000, True), np.ones(6000), 0.1)
    lives = errors.lives(np.array([20.0, 80.0]))
    half = 1.645 * np.array([3.0, 9.0])
    assert (lives.quantiles[:, -1] - lives.quantiles[:, 0]) / 2 == pytest.approx(half, rel=0.12)


def test_censored_errors_widen_the_law_and_do_not_shorten_it():
    rng = np.random.default_rng(0)
    point, seen = np.full(3000, 50.0), rng.exponential(50, 3000)
    censor = rng.exponential(60, 3000)
    event, known = seen <= censor, np.minimum(seen, censor)
    told = LocalErrors.learn(point, known, event, np.ones(3000), 1.0).lives(np.array([50.0]))
    assert told.quantiles[0, 9] == pytest.approx(50 * np.log(2), rel=0.08)


def test_few_rows_make_a_law_too():
    point, seen = np.array([5.0, 50.0, 51.0]), np.array([8.0, 40.0, 60.0])
    lives = LocalErrors.learn(point, seen, np.full(3, True), np.array([0.1, 2.0, 0.9]), 0.05).lives(
        np.array([5.0, 51.0])
    )
    assert lives.quantiles[:, 9].tolist() == [8.0, 60.0]


def test_no_life_is_below_zero_and_quantiles_rise():
    lives = Lives.of(np.array([-3.0]), np.array([[5.0, -1.0, 2.0]]))
    assert (lives.point.tolist(), lives.quantiles.tolist()) == ([0.0], [[0.0, 2.0, 5.0]])
