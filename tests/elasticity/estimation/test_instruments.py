"""Two-stage least squares with swept effects, against a regression with dummies."""

from __future__ import annotations

import numpy as np
import pytest

from hwds.core.seeds import stream
from hwds.elasticity.estimation.instruments import first_stage, two_stage
from hwds.elasticity.estimation.sweeping import Sweeper


@pytest.mark.parametrize("by_period", [True, False])
def test_swept_effects_take_degrees_of_freedom_as_dummies_do(by_period):
    import statsmodels.api as sm

    rng = stream(0, "instruments")
    cell, period, cluster = np.repeat(np.arange(6), 8), np.tile(np.arange(8), 6), rng.integers(0, 10, 48)
    instrument = rng.standard_normal(48)
    price = instrument + rng.standard_normal(48)
    y = -2 * price + rng.standard_normal(48)
    sweeper, none = Sweeper.of(cell, period if by_period else None), np.zeros((48, 0))
    dummies = np.column_stack([np.eye(6)[cell], np.eye(8)[period][:, 1:] if by_period else none])
    errors = {"cov_type": "cluster", "cov_kwds": {"groups": cluster}}
    free = 48 - 1 - dummies.shape[1]
    constant = free / (free + 1)  # as in pseudo-likelihood, the constant takes none
    plain = sm.OLS(y, np.column_stack([price, dummies])).fit(**errors)
    found = two_stage(y, price, none, none, sweeper, [cluster])
    assert found.beta[0] == pytest.approx(plain.params[0])
    assert found.variance.stderr[0] == pytest.approx(plain.bse[0] * np.sqrt(constant))
    first = sm.OLS(price, np.column_stack([instrument, dummies])).fit(**errors)
    known = first_stage(price, instrument[:, None], none, sweeper, [cluster])
    assert known.f == pytest.approx(first.tvalues[0] ** 2 / constant)
