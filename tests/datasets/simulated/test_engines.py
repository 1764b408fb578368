"""Engines: the law of the remaining life is the one by which machines fail."""

from dataclasses import replace

import numpy as np
import pytest

from hwds.datasets.simulated.engines import (
    FAILURE,
    INTENSITY,
    RATE_SHAPE,
    Engines,
    WearLaw,
    WearTruth,
    leaving_chance,
)
from hwds.lifetime.laws import LIFE_LEVELS
from hwds.lifetime.models.base import LifetimeContext
from hwds.stats.distributions import kaplan_meier

SMALL = Engines(engines=300, mean_life=40, sensors=2, regimes=2, censored=0.0)


@pytest.fixture(scope="module")
def runs():
    return SMALL.load()


def test_the_law_is_that_of_machines_whose_further_wear_is_drawn():
    law, rng = WearLaw(40.0), np.random.default_rng(0)
    age, wear, n = 20, 0.4, 40_000
    rate = rng.gamma(RATE_SHAPE + INTENSITY * age, 1 / (1 / law.rate_scale + wear), n)
    ahead = np.array([5, 15, 30, 50])
    drawn = [(wear + rng.gamma(INTENSITY * h, 1 / rate) < 1).mean() for h in ahead]
    told = law.survival(np.array([float(age)]), np.array([wear]), ahead.astype(float))[0]
    assert np.abs(drawn - told).max() < 0.01


def test_lives_lie_within_the_true_law_as_often_as_it_says(runs):
    """Every machine is asked at the same age, so that those which run then follow the law."""
    cut = runs.until(np.where(runs.lengths > 15, 15, 0))
    lives = WearTruth(dataset=SMALL).learn(runs, LifetimeContext(0)).predict(cut)
    left = (runs.ages - 15)[runs.lengths > 15]
    below = (left[:, None] <= lives.quantiles).mean(axis=0)
    assert np.abs(below - LIFE_LEVELS).max() < 0.08
    assert abs(np.minimum(left, 125).mean() - lives.point.mean()) < 3 * left.std() / np.sqrt(
        len(left)
    )


@pytest.mark.parametrize("least", [0, 10])
def test_lives_met_at_shares_of_a_run_are_the_rarer_the_longer_they_are(runs, least):
    """Of the law after 15 cycles, a life of h more is met at that cycle by 1 / (15 + h - least)."""
    cut = runs.until(np.where(np.arange(runs.n) == np.argmax(runs.lengths), 15, 0))
    known = WearTruth(dataset=SMALL).learn(
        runs, LifetimeContext(0, cap=1e9, least=least, by_share=True)
    )
    ahead = np.arange(1.0, 2_000)
    worn = known.wear[cut.names[0]][14]
    survival = WearLaw(40.0).survival(np.array([15.0]), np.array([worn]), ahead)[0]
    chance = -np.diff(survival, prepend=1.0) / (15 + ahead - least)
    chance /= chance.sum()
    told = known.predict(cut)
    assert told.point[0] == pytest.approx(chance @ ahead, rel=1e-6)
    wanted = ahead[np.searchsorted(np.cumsum(chance), LIFE_LEVELS)]
    assert told.quantiles[0].tolist() == wanted.tolist()


def test_a_fleet_has_starts_regimes_and_censored_machines_and_is_the_same_again():
    world = Engines(engines=40, mean_life=40, censored=0.5)
    runs = world.load()
    assert 8 <= int((~runs.events).sum()) <= 32
    assert runs.ends["start"].null_count() == 0
    assert runs.settings == ("load", "heat")
    assert world.load().fingerprint == runs.fingerprint
    assert (
        Engines(engines=40, mean_life=40, censored=0.5, world_seed=1).load().fingerprint
        != runs.fingerprint
    )


def test_censoring_is_independent_of_lives_and_as_frequent_as_is_asked_for(runs):
    """The curve of Kaplan and Meier, in which censored machines count, is that of the same machines
    to their failure.
    """
    whole, seen = list(SMALL.fleet()), list(replace(SMALL, censored=0.4).fleet())
    lives = np.array([len(each.wear) for each in whole])
    length, failed = (
        np.array([len(each.wear) for each in seen]),
        np.array([each.failed for each in seen]),
    )
    assert 1 - failed.mean() == pytest.approx(0.4, abs=0.06)
    assert (length[failed] == lives[failed]).all()
    assert all(each.wear[-1] < FAILURE for each in seen if not each.failed)
    ends, share = kaplan_meier(length, failed, np.ones(300))
    at = np.array([30, 40, 50])
    curve = share[np.searchsorted(ends, at, side="right") - 1]
    assert curve == pytest.approx((lives[:, None] > at).mean(axis=0), abs=0.04)


@pytest.mark.parametrize(("censored", "leaves"), [(0.0, 0.0), (0.999999, 1.0)])
def test_none_or_all_may_leave(censored, leaves):
    assert leaving_chance(WearLaw(5.0), censored) == leaves
    assert {each.failed for each in replace(SMALL, engines=5, censored=censored).fleet()} == {
        not leaves
    }
