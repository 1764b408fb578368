"""Hierarchical Bayes beside the pooled model, where numpyro is installed; without it the
refusal.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from hwds.datasets.simulated.price_sales import PriceSales
from hwds.elasticity.fitted import ElasticityContext
from hwds.elasticity.models.hierarchical_bayes import HierarchicalBayes
from hwds.elasticity.models.pooled import Pooled

WORLD = PriceSales(skus=10, channels=4, weeks=60)


@pytest.mark.skipif(find_spec("numpyro") is None, reason="numpyro is not installed: hwds[bayes]")
def test_draws_are_those_of_the_pooled_posterior_with_variances_integrated_over():
    panel = WORLD.load()
    fit = HierarchicalBayes(chains=1, warm_up=150, draws=150).learn(panel, ElasticityContext(0))
    pooled = Pooled().learn(panel, ElasticityContext(0))
    known, other = fit.table["elasticity"].to_numpy(), pooled.table["elasticity"].to_numpy()
    assert np.sqrt(np.mean((known - other) ** 2)) < 0.2 * pooled.table["stderr"].mean()
    assert fit.table["stderr"].mean() == pytest.approx(pooled.table["stderr"].mean(), rel=0.2)
    assert fit.table["lag"][0] == pytest.approx(
        pooled.table["lag"][0], abs=0.5 * pooled.table["lag_stderr"][0]
    )
    own, shared = fit.joint_draws(150, np.random.default_rng(0))
    assert np.sort(own[:, 0]) == pytest.approx(np.sort(fit.estimates.sampled[0][:, 0]))
    assert (
        np.corrcoef(own.mean(axis=1), shared[:, fit.design.columns.index("lagged_price")])[0, 1]
        < -0.5
    )
    assert fit.estimates.notes["rhat"] < 1.1
    again = HierarchicalBayes(chains=1, warm_up=150, draws=150).learn(panel, ElasticityContext(0))
    assert again.table.equals(fit.table)
