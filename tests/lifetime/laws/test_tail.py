"""Laws whose curve does not reach 0: an exponential from the longest life seen on."""

import numpy as np
import polars as pl
import pytest

from hwds.frames.runs import Runs
from hwds.lifetime.laws import LIFE_LEVELS
from hwds.lifetime.models.base import LifetimeContext
from hwds.lifetime.models.cox import Hazards
from hwds.lifetime.models.mean_life import MeanLife

CONTEXT = LifetimeContext(0, cap=125.0)


def fleet(lives):
    """Machines that are seen once when new and once at their end."""
    rows = [
        (f"m{i}", t, t * 0.1 + i % 3, int(f and t == n))
        for i, (n, f) in enumerate(lives)
        for t in (1, n)
    ]
    table = pl.DataFrame(rows, schema=["machine", "cycle", "heat", "failed"], orient="row")
    return Runs.of(table, entity="machine", cycle="cycle", event="failed")


FIVE_LAST = [(50, True), (60, True), (70, True), *[(200, False)] * 5]


def test_five_of_eight_last_beyond_the_longest_life_seen():
    """At 71 all five go on to 200, and the exponential that leaves 5 / 8 there goes on from it."""
    lives = MeanLife().learn(fleet(FIVE_LAST), CONTEXT).predict(fleet([(71, False)]))
    mean = 200 / np.log(8 / 5)
    assert lives.point[0] == pytest.approx(125.0)
    assert lives.quantiles[0] == pytest.approx(129 - mean * np.log1p(-LIFE_LEVELS))
    new = MeanLife().learn(fleet(FIVE_LAST), CONTEXT).predict(fleet([(2, False)]))
    assert new.quantiles[0, :7].tolist() == [
        48,
        48,
        58,
        58,
        58,
        68,
        68,
    ]  # 1/8, 2/8 and 3/8 failed at 50, 60 and 70
    assert new.quantiles[0, 9] == pytest.approx(198 + mean * np.log(0.625 / 0.5))


def test_a_machine_older_than_all_that_failed_is_not_sure_to_fail_at_once():
    lives = (
        MeanLife()
        .learn(fleet([(50, True), (60, True), (70, True)]), CONTEXT)
        .predict(fleet([(80, False)]))
    )
    mean = 70 / np.log(6)
    assert lives.point[0] == pytest.approx(-mean * np.expm1(-125 / mean))
    assert lives.quantiles[0] == pytest.approx(-mean * np.log1p(-LIFE_LEVELS))


def test_hazards_go_on_beyond_the_last_time():
    law = Hazards(
        np.array([1.0]), np.zeros(1), np.array([10.0, 40.0, 50.0]), np.array([0.1, 0.5, 0.5])
    )
    lives = law.lives(np.array([[0.0], [2.0]]), 100.0)
    assert lives.quantiles[0, 9] == pytest.approx(50 + 100 * (np.log(2) - 0.5))
    steps = 10 + 30 * np.exp(-0.1) + 10 * np.exp(-0.5)
    assert lives.point[0] == pytest.approx(steps + 100 * (np.exp(-0.5) - np.exp(-1.0)))
    assert lives.quantiles[1].max() == 40  # whose curve falls below .05 there


def test_no_machines_have_no_lives():
    fitted = MeanLife().learn(fleet(FIVE_LAST), CONTEXT)
    nothing = fleet(FIVE_LAST).take(np.zeros(8, bool))
    assert fitted.predict(nothing).quantiles.shape == (0, 19)
