"""The value of information: exact where a result changes the price, and nothing where none does."""

import numpy as np
import polars as pl
import pytest

from hwds.core.seeds import stream
from hwds.pricing.demand_draws import DemandDraws
from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.price_information import INFORMATION_DRAWS, PRICE_STEPS, information_values
from hwds.pricing.recommended_prices import PriceGuardrails, recommend


def recommended(stderr, cost):
    """A cell at 100 whose price may move by a tenth."""
    cells = {
        "cell": ["a"],
        "product": ["p"],
        "channel": ["web"],
        "price": [100.0],
        "cost": [cost],
        "units": [10.0],
    }
    cells |= {
        "low": [80.0],
        "high": [125.0],
        "elasticity": [-2.5],
        "stderr": [stderr],
        "status": ["identified"],
    }
    evidence = DemandEstimates(pl.DataFrame(cells), "EUR", "week")
    drawn = DemandDraws.of(evidence, INFORMATION_DRAWS, stream(0, "test"), objective="profit")
    return recommend(evidence, drawn, PriceGuardrails(freight=None))


def by_quadrature(made, stderr):
    """What a test adds, by the law of its result on a fine grid."""
    low, high, own = made.bounds.low[0], made.bounds.high[0], made.demand.own[:, 0]
    tried = np.append(np.linspace(low, high, PRICE_STEPS), made.prices[0])
    totals = np.stack([made.demand.totals(np.array([price])) for price in tried], 1)
    results = np.linspace(own.min() - 5 * stderr, own.max() + 5 * stderr, 4000)
    density = (
        np.exp(-0.5 * ((results[:, None] - own) / stderr) ** 2)
        / (stderr * (2 * np.pi) ** 0.5)
        / len(own)
    )
    best = (density @ totals).max(1).sum() * (results[1] - results[0])
    return best - totals.mean(0).max()


@pytest.mark.parametrize("stderr", [0.3, 1.0, 3.0])
def test_a_test_is_worth_what_the_integral_says(stderr):
    made = recommended(0.8, 60.0)
    value = information_values(made, 0, [stderr])[0]
    assert value.test == pytest.approx(by_quadrature(made, stderr), rel=0.01)
    assert value.test < value.perfect


def test_a_test_whose_result_changes_no_price_is_worth_nothing():
    made = recommended(0.8, 40.0)
    assert by_quadrature(made, 3.0) == pytest.approx(0.0, abs=1e-3)
    assert information_values(made, 0, [3.0])[0].test == 0.0


def test_a_better_test_is_never_worth_less():
    made = recommended(0.8, 60.0)
    tests = [value.test for value in information_values(made, 0, [0.2, 0.3, 0.5, 1.0, 2.0, 4.0])]
    assert tests == sorted(tests, reverse=True)
