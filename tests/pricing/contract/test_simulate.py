"""What a contract earns: settled as its terms say, and in a normal case as the formula says."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from hwds.core.seeds import stream
from hwds.pricing.contract import (
    ContractRisks,
    ContractTerms,
    ContractWorld,
    TierSchedule,
    VolumeLaw,
    contract_tornado,
    pocket_margins,
    settle_contract,
    tier_outcome,
    without_contract,
)
from hwds.pricing.demand_draws import DemandDraws
from hwds.pricing.oem_commitment import OfferRules, decide_contract

SCHEDULE = TierSchedule.of(100.0, (500.0, 1000.0), (0.05, 0.1))
TERMS = ContractTerms(deductions=0.02, retro_rebate=0.03, clawback=0.5, shortfall_fee=0.1)
RULES = OfferRules(floor=0.1, most_risk=0.1, most_shortfall=0.5, confidence=0.8, level=0.95)


def demand(cross=0.0):
    """The buyer's cell, and one more whose units answer to its price."""
    return DemandDraws(
        price=np.array([100.0, 120.0]), units=np.array([[20.0, 5.0]]), own=np.array([[-1.0, -2.0]]),
        pairs=np.array([[1, 0]]), cross=np.array([[cross]]), cost=np.array([60.0, 70.0]),
    )  # fmt: skip


def world(**changes):
    law = VolumeLaw(900.0, 1000.0, 1100.0)
    plain = ContractWorld(
        SCHEDULE, ContractTerms(), law, 100.0, demand(), 50, resale=0.0, lost=50.0
    )
    return replace(plain, **changes)


def risks(count=1, elasticity=0.0, **changes):
    flat = {
        "score": np.zeros(count),
        "elasticity": np.full(count, elasticity),
        "cost": np.full(count, 60.0),
    }
    flat |= {"currency": np.ones(count), "leak": np.zeros(count), "supply": np.zeros(count)}
    return ContractRisks(**(flat | changes))


def test_what_is_taken_is_settled_by_the_terms():
    paid = settle_contract(SCHEDULE, 2, np.array([1200.0, 700.0, 400.0]), TERMS)
    assert paid.bill.tolist() == [1200 * 90.0, 700 * 90.0, 400 * 90.0]
    assert paid.retro.tolist() == [pytest.approx(0.03 * 1200 * 90), 0.0, 0.0]
    assert paid.clawback.tolist() == [
        0.0,
        pytest.approx(0.5 * 700 * 5),
        pytest.approx(0.5 * 400 * 10),
    ]
    assert paid.fee.tolist() == [0.0, pytest.approx(0.1 * 90 * 300), pytest.approx(0.1 * 90 * 600)]
    assert paid.pocket[0] == pytest.approx(1200 * 90 * 0.95)


def test_the_simulation_agrees_with_the_formula_where_all_is_normal():
    count = 200_000
    rng = stream(1, "normal")
    normal = rng.standard_normal((3, count))
    drawn = risks(count, score=normal[0], cost=60 + 9 * normal[1], currency=1 + 0.05 * normal[2])
    made = tier_outcome(world(), 1, drawn)
    units, deviation = 1000.0, 100 / NormalDist().inv_cdf(0.9)
    earns = 95.0 - 60.0
    assert made.margin.mean() == pytest.approx(units * earns, rel=3e-3)
    spread = (95 * 0.05) ** 2 + 9**2
    variance = (
        units**2 + deviation**2
    ) * spread + deviation**2 * earns**2  # of a product of independent ones
    assert made.margin.std() == pytest.approx(variance**0.5, rel=0.01)
    below = NormalDist(95 * 0.75 - 60, (0.75**2 * (95 * 0.05) ** 2 + 9**2) ** 0.5).cdf(0)
    assert (made.share < 0.25).mean() == pytest.approx(below, abs=0.003)


def test_demand_answers_to_the_price_of_the_tier():
    made = tier_outcome(world(), 2, risks(elasticity=-2.0))
    assert made.settlement.units[0] == pytest.approx(1000 * 0.9**-2)


def test_what_can_be_delivered_caps_what_a_discount_adds_and_the_buyer_owes_nothing_for_it():
    """By hand: 1,000 at 100 become 1,000 / .9 at 90 with an elasticity of -1, of which 1,050 can be
    delivered.
    """
    capped = replace(world().law, most=VolumeLaw(1040.0, 1050.0, 1060.0))
    assert tier_outcome(world(), 2, risks(elasticity=-1.0)).settlement.units[0] == pytest.approx(
        1000 / 0.9
    )
    assert tier_outcome(world(law=capped), 2, risks(elasticity=-1.0)).settlement.units[
        0
    ] == pytest.approx(1050.0)
    assert tier_outcome(world(law=capped), 0, risks()).settlement.units[0] == pytest.approx(1000.0)
    few = replace(world().law, most=VolumeLaw(690.0, 700.0, 710.0))
    made = tier_outcome(world(law=few, terms=TERMS), 2, risks())
    assert (made.settlement.units[0], made.settlement.clawback[0], made.settlement.fee[0]) == (
        pytest.approx(700.0),
        0.0,
        0.0,
    )
    assert without_contract(world(law=few), risks())[0] == pytest.approx(700 * 40.0)
    late = risks(supply=np.array([-1.2815515655446004]))
    assert tier_outcome(world(law=few), 2, late).settlement.units[0] == pytest.approx(690.0)


def test_who_is_in_the_dumping_zone_takes_the_tier_and_sells_on_the_rest():
    law = VolumeLaw(919.0, 920.0, 921.0)
    schedule = TierSchedule.of(100.0, (1000.0,), (0.1,))
    made = tier_outcome(world(law=law, schedule=schedule), 1, risks())
    assert (made.settlement.units[0], made.dumped[0], made.leak_loss[0]) == (
        1000.0,
        80.0,
        80 * 50.0,
    )
    incremental = replace(schedule, kind="incremental")
    assert tier_outcome(world(law=law, schedule=incremental), 1, risks()).dumped[0] == 0.0


def test_units_leak_where_reselling_pays():
    leaking = risks(leak=np.array([0.1]))
    assert tier_outcome(world(resale=94.0), 1, leaking).leaked[0] == 0.0
    assert tier_outcome(world(resale=96.0), 1, leaking).leaked[0] == pytest.approx(100.0)


def test_other_cells_lose_what_a_lower_price_takes():
    made = tier_outcome(world(demand=demand(cross=0.5)), 2, risks())
    assert made.cannibalised[0] == pytest.approx(50 * 5 * (1 - 0.9**0.5) * (120 - 70))


def test_a_driver_without_a_spread_moves_nothing():
    rng = stream(2, "drivers")
    swings = {
        name: abs(high - low)
        for name, low, high, _ in contract_tornado(
            world(), 1, risks(400, cost=60 + 5 * rng.standard_normal(400))
        )
    }
    assert swings["cost"] > 0
    assert [swings[name] for name in ("volume", "elasticity", "currency", "leak")] == [0.0] * 4


@pytest.mark.parametrize("kind", ["all_units", "incremental"])
@pytest.mark.parametrize("seed", range(15))
def test_no_tier_is_offered_whose_floor_does_not_hold(seed, kind):
    rng = stream(seed, "floors")
    schedule = TierSchedule.of(
        100.0, (500.0, 800.0, 1100.0), tuple(np.cumsum(rng.uniform(0.01, 0.15, 3))), kind
    )
    terms = ContractTerms(
        deductions=rng.uniform(0, 0.05), retro_rebate=rng.uniform(0, 0.1), shortfall_fee=0.02
    )
    cost = rng.uniform(50, 85)
    drawn = ContractRisks.draw(
        rng.normal(-3, 0.5, 500), rng, cost=cost, cost_spread=0.03, currency_spread=0.02, leak=0.05
    )
    surroundings = world(schedule=schedule, terms=terms, kept=rng.uniform(0.3, 1))
    made = decide_contract(surroundings, drawn, RULES)
    rows = made.tiers.to_dicts()
    assert [row["verdict"] for row in rows].count("offer") == (made.offered is not None)
    for row in rows[1:]:
        margins = pocket_margins(
            surroundings,
            row["tier"],
            float(drawn.elasticity.mean()),
            float(drawn.cost.mean()),
            (0.1, 0.5, 0.9),
        )
        holds = all(margin >= 0.1 - 1e-9 for margin in margins.values())
        assert holds == row["floor_holds"]
        if row["verdict"] in ("offer", "possible"):
            assert holds
            assert row["probability_below_floor"] <= RULES.most_risk
            assert row["probability_shortfall"] <= RULES.most_shortfall
    pocket = made.floor_price * (1 - terms.most_given_back)
    assert (pocket - float(drawn.cost.mean())) / pocket == pytest.approx(0.1)
    assert made.walk_away is None or made.walk_away >= made.floor_price
    assert made.waterfall["total"][-1] == pytest.approx(rows[made.offered or _best(rows)]["net"])


def _best(rows):
    return max(rows[1:], key=lambda row: row["net"])["tier"]


def test_without_a_contract_that_pays_one_walks_away_at_any_price():
    """A buyer who buys all anyway, whose demand hardly answers: each lower price loses."""
    drawn = risks(400, elasticity=-1.2)
    made = decide_contract(world(terms=ContractTerms(retro_rebate=0.01)), drawn, RULES)
    assert (made.offered, made.walk_away) == (None, None)
    plain = decide_contract(world(), drawn, RULES)
    assert (plain.offered, plain.walk_away) == (None, pytest.approx(100.0))


def test_on_hold_the_price_to_walk_away_at_earns_as_much_as_no_contract():
    """Nine tenths bought without a contract at a margin of 40: with all at p, p - 60 = .9 * 40, so
    p = 96, above each tier.
    """
    made = decide_contract(world(kept=0.9), risks(400), RULES)
    assert made.offered is None
    assert made.walk_away == pytest.approx(96.0, rel=2e-6)


def test_a_tier_at_todays_price_gains_nothing_where_units_leak():
    """Units are sold on at today's price without a contract, too."""
    drawn = risks(50, leak=np.linspace(0, 0.2, 50), score=np.linspace(-1, 1, 50))
    schedule = TierSchedule.of(100.0, (500.0, 1000.0), (1e-9, 0.1))
    leaking = world(schedule=schedule, terms=ContractTerms(deductions=0.02), resale=110.0)
    same = tier_outcome(leaking, 1, drawn)
    assert same.leak_loss.mean() > 4000
    assert same.net == pytest.approx(without_contract(leaking, drawn), rel=1e-6)
    made = decide_contract(leaking, drawn, RULES)
    assert made.tiers["gain"][0] == 0.0


def test_gains_with_leakage_are_those_of_an_independent_simulation():
    """The offered tier against the same buyer without a contract, each drawn anew in plain sums:
    units from the quantiles, a leak on both sides, what other channels lose.
    """
    count, kept, resale, lost = 200_000, 0.85, 97.0, 30.0
    rng, other = stream(5, "leaks"), np.random.default_rng(99)
    drawn = ContractRisks.draw(
        np.full(count, -1.5), rng, cost=60.0, cost_spread=0.05, currency_spread=0.03, leak=0.1
    )
    terms = ContractTerms(deductions=0.02, retro_rebate=0.0, clawback=0.0, shortfall_fee=0.0)
    asked = world(terms=terms, resale=resale, lost=lost, kept=kept, price=95.0)
    made = decide_contract(replace(asked, demand=demand(0.0)), drawn, RULES)
    volume = 1000 + 100 / NormalDist().inv_cdf(0.9) * other.standard_normal(count)
    cost = 60 * (1 + 0.05 * other.standard_normal(count))
    currency, leak = 1 + 0.03 * other.standard_normal(count), 0.2 * other.random(count)

    def net(price, units):
        return units * (price * 0.98 * currency - cost - leak * lost * (price < resale))

    gains = net(90.0, volume * (90 / 95) ** -1.5) - net(95.0, kept * volume)
    error = 2**0.5 * gains.std() / count**0.5
    assert made.tiers["gain"][2] == pytest.approx(gains.mean(), abs=4 * error)

    def gain_at(price):
        return float((net(price, volume * (price / 95) ** -1.5) - net(95.0, kept * volume)).mean())

    assert gain_at(made.walk_away) == pytest.approx(0.0, abs=6 * error)


def test_a_tier_that_changes_nothing_has_no_probability_of_a_gain():
    rng = stream(3, "rounding")
    drawn = risks(
        2000,
        elasticity=-1.5,
        score=rng.standard_normal(2000),
        cost=60 + 3 * rng.standard_normal(2000),
    )
    made = decide_contract(world(kept=0.8, terms=ContractTerms(deductions=0.02)), drawn, RULES)
    assert made.tiers["probability_gain"][0] == 0.0


def test_the_uplift_that_breaks_even_is_after_deductions():
    """Price 100, cost 70, a tenth given back, a tenth off: 20 a unit become 11."""
    schedule, terms = TierSchedule.of(100.0, (1000.0,), (0.1,)), ContractTerms(deductions=0.1)
    made = decide_contract(
        world(schedule=schedule, terms=terms), risks(400, cost=np.full(400, 70.0)), RULES
    )
    assert made.tiers["break_even_uplift"][1] == pytest.approx(20 / 11 - 1)


def test_nobody_buys_more_than_needed_where_falling_short_costs_nothing():
    law, schedule = VolumeLaw(849.0, 850.0, 851.0), TierSchedule.of(100.0, (1000.0,), (0.2,))
    made = tier_outcome(
        world(law=law, schedule=schedule, terms=ContractTerms(clawback=0.0)), 1, risks()
    )
    assert (made.settlement.units[0], made.settlement.bill[0], made.dumped[0]) == (
        850.0,
        68_000.0,
        0.0,
    )
