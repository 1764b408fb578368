"""Two-stage least squares with swept effects, against a regression with dummies."""

from __future__ import annotations

import numpy as np
import pytest

from hwds.core.seeds import stream
from hwds.elasticity.instruments import first_stage, two_stage
from hwds.elasticity.sweeping import Sweeper


@pytest.mark.parametrize("by_period", [True, False])
def test_swept_effects_take_degrees_of_freedom_as_dummies_do(by_period):
    import statsmodels.api as sm

    rng = stream(0, "instruments")
    cell, period, cluster = (
        np.repeat(np.arange(6), 8),
        np.tile(np.arange(8), 6),
        rng.integers(0, 10, 48),
    )
    instrument = rng.standard_normal(48)
    price = instrument + rng.standard_normal(48)
    y = -2 * price + rng.standard_normal(48)
    sweeper, none = Sweeper.of(cell, period if by_period else None), np.zeros((48, 0))
    dummies = np.column_stack([np.eye(6)[cell], np.eye(8)[period][:, 1:] if by_period else none])
    errors = {"cov_type": "cluster", "cov_kwds": {"groups": cluster}}
    free = 48 - 1 - dummies.shape[1]
    constant = free / (free + 1)  # as in pseudo-likelihood, the constant takes none
    plain = sm.OLS(y, np.column_stack([price, dummies])).fit(**errors)
    found = two_stage(y, price[:, None], none, none, sweeper, [cluster])
    assert found.beta[0] == pytest.approx(plain.params[0])
    assert found.variance.stderr[0] == pytest.approx(plain.bse[0] * np.sqrt(constant))
    first = sm.OLS(price, np.column_stack([instrument, dummies])).fit(**errors)
    known = first_stage(price, instrument[:, None], none, sweeper, [cluster])
    assert known.f == pytest.approx(first.tvalues[0] ** 2 / constant)


def test_the_strength_of_two_endogenous_columns_is_that_of_each_given_the_other():
    """Two instruments that move both columns alike tell them apart badly, although each first stage
    alone is strong.
    """
    rng = stream(1, "instruments")
    n = 600
    z, noise = rng.standard_normal((n, 2)), rng.standard_normal((n, 2))
    cell = np.repeat(np.arange(6), n // 6)
    sweeper, none, ways = Sweeper.of(cell, None), np.zeros((n, 0)), [np.arange(n)]
    apart = np.column_stack([z[:, 0], z[:, 1]]) + noise
    alike = np.column_stack([z.sum(axis=1), z.sum(axis=1) + 0.02 * z[:, 0]]) + noise
    found = [
        two_stage(each @ [-2.0, 0.5] + rng.standard_normal(n), each, z, none, sweeper, ways)
        for each in (apart, alike)
    ]
    assert found[0].beta == pytest.approx([-2.0, 0.5], abs=0.2)
    assert (found[0].f > 100).all()
    assert (found[1].f < 10).all()
    assert first_stage(alike[:, 0], z, none, sweeper, ways).f > 100
    own = two_stage(
        apart @ [-2.0, 0.5], apart, np.column_stack([apart[:, 0], z[:, 1]]), none, sweeper, ways
    )
    assert own.f[0] == np.inf
