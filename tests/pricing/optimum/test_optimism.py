"""The optimism of a stated gain: what prices chosen by slopes with an error in common gain less
than their draws say.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from hwds.core.seeds import stream
from hwds.pricing.decisions.optimal_price import OptimalPrice
from hwds.pricing.demand_draws import DemandDraws
from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.price_information import gain_optimism

TRUE, ERROR, CELLS = -2.2, 0.15, 3


def estimates(mean, common, alone=0.0):
    cells = pl.DataFrame(
        {"cell": [f"p{k}" for k in range(CELLS)], "channel": "shop", "price": 100.0, "cost": 50.0}
    )
    cells = cells.with_columns(
        product="cell",
        units=20.0,
        low=60.0,
        high=160.0,
        elasticity=mean,
        status=pl.lit("identified"),
    )
    cells = cells.with_columns(stderr=np.hypot(common, alone))
    normal = stream(0, "optimism").standard_normal((200, 1 + CELLS))
    normal -= normal.mean(axis=0)
    return DemandEstimates(cells, draws=mean + common * normal[:, :1] + alone * normal[:, 1:])


def recommended(evidence):
    choice = OptimalPrice(largest_step=0.3, band=0.5, confidence=0.5, draws=200)
    return choice.recommended(evidence, stream(0, "prices"))


def test_it_is_what_gains_fall_short_of_over_all_errors_of_the_shared_slope():
    nodes, weights = np.polynomial.hermite_e.hermegauss(7)
    weights = weights / weights.sum()
    short, expected = [], []
    for node in nodes:
        evidence = estimates(TRUE + ERROR * node, ERROR)
        made = recommended(evidence)
        own = np.full((1, CELLS), TRUE)
        demand = made.demand
        truth = DemandDraws(
            demand.price, demand.units, own, demand.pairs, np.zeros((1, 0)), demand.cost
        )
        short.append(made.gains.mean() - (truth.totals(made.prices) - truth.totals(truth.price))[0])
        expected.append(gain_optimism(evidence, made))
    assert weights @ short > 10
    assert weights @ expected == pytest.approx(weights @ short, rel=0.3)


def test_cells_that_share_no_error_have_next_to_none():
    worlds = [estimates(TRUE, *errors) for errors in ((0.0, ERROR), (ERROR, 0.0))]
    alone, shared = (gain_optimism(evidence, recommended(evidence)) for evidence in worlds)
    assert abs(alone) < 0.2 * shared


def test_elasticities_that_are_known_for_certain_have_none():
    verdict = OptimalPrice(confidence=0.5, draws=200).of_estimates(estimates(-2.5, 0.0))
    assert (verdict.action, verdict.optimism) == ("CHANGE", 0.0)


def test_prices_that_only_seem_to_gain_stay():
    verdict = OptimalPrice(confidence=0.5, draws=200).of_estimates(estimates(-1.99, 0.4))
    assert (verdict.action, verdict.gain, verdict.optimism) == ("HOLD", 0.0, 0.0)
    assert set(verdict.prices["rule"]) == {"not_sure"}
    assert (verdict.prices["recommended"] == 100).all()
