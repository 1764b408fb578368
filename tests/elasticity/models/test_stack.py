"""Stacks of models of demand: weights from price moves that no member was fitted to, and what they
combine.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.optimize import approx_fprime

from hwds.core.errors import ConfigError
from hwds.datasets.simulated.price_sales import PriceSales
from hwds.elasticity.fitted import ElasticityContext
from hwds.elasticity.models.loglog_ols import LoglogOLS
from hwds.elasticity.models.pooled import Pooled
from hwds.elasticity.models.ppml import PPML
from hwds.elasticity.models.stack import (
    HeldOutMoves,
    Stack,
    best_member_weights,
    held_out_moves,
)
from hwds.frames.roles import TIME
from hwds.stats.estimates import least_on_simplex

CONTEXT = ElasticityContext(0)
MEMBERS = (
    Pooled(name="elasticity/pooled"),
    PPML(name="elasticity/ppml"),
    LoglogOLS(name="elasticity/loglog_ols"),
)


@pytest.fixture(scope="module")
def panel():
    return PriceSales(skus=10, channels=3, weeks=60).load()


@pytest.fixture(scope="module")
def fit(panel):
    return Stack(members=MEMBERS).learn(panel, CONTEXT)


@pytest.fixture(scope="module")
def moves():
    """Units that follow the first of three members.

    The second is noise, the third half of the first and noise.
    """
    rng = np.random.default_rng(0)
    change, noise = 0.5 * rng.standard_normal((2, 3000))
    total = rng.poisson(12, 3000)
    after = rng.binomial(total, 1 / (1 + np.exp(-change)))
    return HeldOutMoves(
        np.stack([change, noise, (change + noise) / 2], axis=1),
        (total - after).astype(float),
        after.astype(float),
    )


def test_weights_of_the_least_deviance_find_who_is_right(moves):
    weights, others = least_on_simplex(moves.deviance, 3)
    assert not len(others)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    assert weights[0] > 0.9
    assert best_member_weights(moves).tolist() == [1, 0, 0]
    point = np.array([0.5, 0.2, 0.3])
    value, gradient = moves.deviance(point)
    assert gradient == pytest.approx(
        approx_fprime(point, lambda at: moves.deviance(at)[0], 1e-6), abs=1e-5
    )
    assert moves.deviance(weights)[0] < value


def test_moves_are_those_of_rows_that_no_member_has_seen(panel):
    known = held_out_moves(MEMBERS[:2], panel, 1, 0.05, CONTEXT)
    times = panel.table[TIME].unique().sort()
    later = pl.col(TIME) > times[len(times) - 1 - panel.horizon]
    other = replace(
        panel,
        table=panel.table.with_columns(
            pl.when(later).then(3.0).otherwise(pl.col("target")).alias("target")
        ),
    )
    asked = held_out_moves(MEMBERS[:2], other, 1, 0.05, CONTEXT)
    assert len(known.after) > 20
    assert np.array_equal(known.predicted, asked.predicted)
    assert (asked.after == 3).all()
    assert not (known.after == 3).all()


def test_a_stack_is_the_weighted_mean_of_what_its_members_say(panel, fit):
    shares = [fit.estimates.notes[f"weight_{member.name}"] for member in MEMBERS]
    assert sum(shares) == pytest.approx(1)
    assert shares[0] == max(shares)
    assert min(shares) >= 1 / 6  # half way to equal ones
    slopes = np.stack([member.estimates.slopes for member in fit.members])
    all_say = np.isfinite(slopes).all(axis=0)
    assert 0 < all_say.sum() < len(all_say)
    assert fit.estimates.slopes[all_say] == pytest.approx(np.array(shares) @ slopes[:, all_say])
    assert fit.table["elasticity"].null_count() == 0
    two = np.isfinite(slopes[:2]).all(axis=0) & ~all_say
    expected = np.array(shares[:2]) / sum(shares[:2]) @ slopes[:2]
    assert fit.estimates.slopes[two] == pytest.approx(expected[two])
    logs = np.stack([member.log_demand(panel) for member in fit.members])
    rows = all_say[fit.design.cell] & np.isfinite(logs).all(axis=0)
    assert fit.log_demand(panel)[rows] == pytest.approx((np.array(shares) @ logs)[rows])


def test_the_interval_holds_each_members_own_and_their_distance(fit):
    slopes, errors = (
        np.stack([getattr(member.estimates, name) for member in fit.members])
        for name in ("slopes", "stderr")
    )
    own = np.nanmin(errors, axis=0)
    assert (fit.estimates.stderr > 0.99 * own).all()
    weights = fit.weights
    around = (weights * (np.nan_to_num(slopes) - fit.estimates.slopes) ** 2).sum(axis=0)
    assert (fit.estimates.stderr**2 >= around - 1e-9).all()
    drawn = fit.draws(3000, np.random.default_rng(0))
    assert drawn.std(axis=0) == pytest.approx(fit.estimates.stderr, rel=0.1)


def test_other_combinations_and_too_few_members(panel):
    equal = Stack(members=MEMBERS[:2], combine="equal").learn(panel, CONTEXT)
    assert set(equal.estimates.notes.values()) == {0.5}
    best = Stack(members=MEMBERS[:2], combine="best", windows=1).learn(panel, CONTEXT)
    assert best.estimates.slopes == pytest.approx(best.members[0].estimates.slopes)
    short = replace(panel, horizon=40)
    assert held_out_moves(MEMBERS[:2], short, 3, 0.05, CONTEXT).predicted.shape == (0, 2)
    with pytest.raises(ConfigError, match="members"):
        Stack(members=(Pooled(),))
