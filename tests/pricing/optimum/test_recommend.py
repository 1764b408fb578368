"""Recommended prices: never outside a guardrail, the best there is within them, and sure enough to
gain.
"""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.seeds import stream
from hwds.pricing.demand_draws import DemandDraws
from hwds.pricing.demand_evidence import DemandEstimates, TrueDemand
from hwds.pricing.price_information import gain_reached
from hwds.pricing.recommended_prices import PriceGuardrails, price_cost_ratio, recommend
from tests.support.price_limits import beyond_capacity, breaches, random_limits
from tests.support.price_worlds import price_world

FREE = PriceGuardrails(margin_floor=None, largest_step=0.9, band=10.0, freight=None, confidence=0.0)
"""No guardrail that binds."""


def cell(elasticity=-2.5, stderr=0.0, price=1.3, cost=1.0):
    """One cell, its observed prices a tenth around today's."""
    row = {
        "cell": ["a"],
        "product": ["p"],
        "channel": ["web"],
        "price": [price],
        "cost": [cost],
        "units": [1.0],
    }
    row |= {
        "low": [0.9 * price],
        "high": [1.1 * price],
        "elasticity": [elasticity],
        "stderr": [stderr],
    }
    return DemandEstimates(pl.DataFrame(row | {"status": ["identified"]}))


def solved(evidence, rails, draws=200, seed=0):
    drawn = DemandDraws.of(
        evidence,
        draws,
        stream(seed, "test"),
        objective=rails.objective,
        deductions=rails.deductions,
    )
    return recommend(evidence, drawn, rails)


@pytest.mark.parametrize("seed", range(60))
def test_no_price_leaves_the_guardrails(seed):
    rng = stream(seed, "guardrails")
    evidence = price_world(rng, products=int(rng.integers(1, 4)), channels=int(rng.integers(1, 4)))
    rails = random_limits(rng, evidence)
    made = solved(evidence, rails, 60)
    assert breaches(evidence, rails, made.prices) == []
    assert beyond_capacity(evidence, rails, made.demand, made.prices) == []
    assert (
        (made.prices == made.demand.price) == np.isin(range(len(evidence)), list(made.holds))
    ).all()


def test_with_a_known_elasticity_the_price_is_the_cost_times_its_ratio():
    made = solved(cell(), FREE)
    assert made.prices[0] == pytest.approx(2.5 / 1.5, rel=1e-4)
    assert made.status == ("interior",)
    assert price_cost_ratio(-2.5) == pytest.approx(5 / 3)
    assert price_cost_ratio(-0.8) is None


@pytest.mark.parametrize(
    ("rails", "price", "rule"),
    [
        ({"largest_step": 0.1, "band": 1.0}, 1.43, "largest_step"),
        ({"largest_step": 0.5, "band": 0.05}, 1.3 * 1.1 * 1.05, "observed_range"),
        ({"largest_step": 0.9, "band": 1.0, "margin_floor": 0.45}, 1 / 0.55, "margin_floor"),
    ],
)
def test_the_rule_that_bound_is_named(rails, price, rule):
    made = solved(cell(), replace(FREE, **rails))
    assert made.prices[0] == pytest.approx(price, rel=1e-6)
    assert (made.status, made.rules) == (("corner",), (rule,))


def test_inelastic_demand_has_no_best_price_and_a_guardrail_decides():
    made = solved(cell(elasticity=-0.8), replace(FREE, largest_step=0.1))
    assert (made.status, made.rules) == (("undefined_inelastic",), ("largest_step",))
    assert made.prices[0] == pytest.approx(1.43)


def test_revenue_has_no_interior_optimum():
    cut = solved(cell(), replace(FREE, objective="revenue", largest_step=0.1))
    assert cut.prices[0] == pytest.approx(1.17)
    assert (cut.status, cut.rules) == (("corner",), ("largest_step",))


@pytest.mark.parametrize(
    ("columns", "rails", "reason"),
    [
        ({"elasticity": [None], "stderr": [None]}, {}, "no_estimate"),
        ({"status": ["no_variation"]}, {}, "no_variation"),
        ({"status": ["endogenous?"]}, {}, "endogenous?"),
        ({"units": [0.0]}, {}, "no_units"),
        ({}, {"margin_floor": 0.6, "largest_step": 0.1}, "no_room"),
        ({}, {"ladder": (5.0,)}, "ladder"),
        ({}, {"capacity": {"p": 0.01}, "largest_step": 0.1}, "capacity"),
        ({"stderr": [2.0]}, {"confidence": 0.99}, "not_sure"),
        ({"price": [5 / 3], "low": [1.5], "high": [1.9]}, {"rounding": 5 / 3}, "no_gain"),
    ],
)
def test_a_price_stays_for_a_reason(columns, rails, reason):
    changed = cell().cells.with_columns(pl.Series(name, values) for name, values in columns.items())
    made = solved(DemandEstimates(changed), replace(FREE, **rails))
    assert (made.status, made.rules) == (("HOLD",), (reason,))
    assert made.prices[0] == changed["price"][0]


def two_channels(elasticities=(-2.0, -4.0), prices=(100.0, 100.0), cross=0.0):
    rows = {
        "cell": ["a", "b"],
        "product": ["p", "p"],
        "channel": ["x", "y"],
        "price": prices,
        "cost": [60.0, 60.0],
    }
    rows |= {
        "units": [10.0, 10.0],
        "low": prices,
        "high": prices,
        "elasticity": elasticities,
        "stderr": [0.0, 0.0],
    }
    pairs = np.array([[0.0, cross], [cross, 0.0]])
    return DemandEstimates(pl.DataFrame(rows | {"status": ["identified"] * 2}), cross=pairs)


def test_joint_prices_are_those_of_an_exhaustive_search():
    evidence = two_channels(cross=0.6)
    rails = replace(FREE, largest_step=0.3, freight=8.0, risk=0.02)
    made = solved(evidence, rails, 2)
    grid = np.linspace(70, 130, 121)
    pairs = [(p, q) for p in grid for q in grid if max(p, q) <= min(p, q) * 1.02 + 8]
    best = max(float(made.demand.totals(np.array(pair))[0]) for pair in pairs)
    assert float(made.demand.totals(made.prices)[0]) >= best * (1 - 1e-9)
    assert made.rules[1] == "channel_gap"
    assert made.prices[0] == pytest.approx(made.prices[1] * 1.02 + 8, rel=1e-6)


def test_channels_that_no_allowed_price_brings_together_are_held():
    made = solved(two_channels(prices=(100.0, 160.0)), replace(FREE, largest_step=0.1, freight=5.0))
    assert made.rules == ("channel_gap", "channel_gap")
    assert made.prices.tolist() == [100.0, 160.0]


def test_a_substitute_raises_the_best_price():
    alone, beside = (
        solved(two_channels(cross=cross), replace(FREE, largest_step=0.5), 2).prices
        for cross in (0.0, 0.5)
    )
    assert (beside > alone).all()


def test_what_a_cut_brings_forward_is_no_gain():
    evidence = cell(price=1.9)
    later = DemandEstimates(evidence.cells.with_columns(lag=pl.lit(0.5)))
    assert solved(later, FREE).prices[0] == pytest.approx(
        2.0, rel=1e-4
    )  # an elasticity of -2 in the long run


def test_a_capacity_binds():
    made = solved(cell(price=2.0), replace(FREE, capacity={"p": 1.2}))
    assert made.demand.units_at(made.prices)[0, 0] == pytest.approx(1.2, rel=1e-4)
    assert made.rules == ("capacity",)


def worlds_of_4_4(price, stderr, count=150):
    """Cells of true elasticity -2.5 and cost 1, estimated with an error, then shrunk to a portfolio
    of -2.2 +- .7.
    """
    estimates = -2.5 + stderr * stream(1, "4.4").standard_normal(count)
    weight = 0.7**2 / (0.7**2 + stderr**2)
    names = [str(place) for place in range(count)]
    cells = pl.DataFrame(
        {"cell": names, "product": names, "elasticity": -2.2 + weight * (estimates + 2.2)}
    )
    return DemandEstimates(
        cells.with_columns(
            channel=pl.lit("web"),
            price=pl.lit(price),
            cost=pl.lit(1.0),
            units=pl.lit(1.0),
            low=pl.lit(0.9 * price),
            high=pl.lit(1.1 * price),
            stderr=pl.lit(weight**0.5 * stderr),
            status=pl.lit("identified"),
        )
    )


@pytest.mark.parametrize(("price", "least"), [(1.6, -0.3), (1.3, 12.5)])
def test_uncertain_elasticities_do_not_lose_money(price, least):
    made = solved(worlds_of_4_4(price, 0.6), PriceGuardrails(freight=None))
    profit = (made.prices / price) ** -2.5 * (made.prices - 1) / (price - 1)
    assert 100 * (profit.mean() - 1) >= least


def test_most_of_the_possible_gain_is_reached_where_prices_identify_the_elasticity():
    evidence = price_world(stream(3, "reached"), 12, 2, stderr=(0.1, 0.3), statuses=(1.0, 0.0, 0.0))
    rails = PriceGuardrails()
    reached = gain_reached(evidence, solved(evidence, rails))
    assert 0.8 <= reached.share <= 1.0
    assert (reached.gained, reached.possible) == (
        reached.gained_identified,
        reached.possible_identified,
    )


def test_prices_chosen_by_the_truth_gain_all_that_is_possible():
    evidence = price_world(stream(4, "reached"), 3, 2)
    truth = evidence.truth
    own = np.diag(truth.elasticities)
    known = DemandEstimates(
        evidence.cells.with_columns(
            elasticity=own, stderr=pl.lit(0.0), status=pl.lit("identified")
        ),
        cross=truth.elasticities - np.diag(own),
        truth=TrueDemand(truth.units, truth.elasticities, truth.lag),
    )
    rails = PriceGuardrails(confidence=0.0)
    assert gain_reached(known, solved(known, rails, 2)).share == pytest.approx(1.0, abs=1e-6)
