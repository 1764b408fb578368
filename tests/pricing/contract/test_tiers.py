"""Tiers of a contract: bills that rise, dumping zones to the unit, incremental tiers without one,
floors and uplifts.
"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwds.core.errors import ConfigError
from hwds.pricing.contract import (
    ContractTerms,
    TierSchedule,
    break_even_uplift,
    dumping_zone,
    needed_elasticity,
    settle_contract,
)
from hwds.pricing.recommended_prices import floor_price

EXAMPLE = TierSchedule.of(100.0, (1000.0,), (0.1,))


def test_a_buyer_of_920_pays_less_for_1000():
    assert EXAMPLE.bill(np.array([920.0, 1000.0])).tolist() == [92_000.0, 90_000.0]
    zone = dumping_zone(EXAMPLE, 1, ContractTerms())
    assert (zone.low, zone.high, zone.most_leak) == pytest.approx((900.0, 1000.0, 100.0))
    assert zone.high - 920 == 80


@pytest.mark.parametrize(
    ("terms", "low"),
    [
        ({"clawback": 0.0}, None),
        ({"clawback": 0.5}, 80_000 / 90),
        ({"clawback": 0.0, "shortfall_fee": 0.5}, None),
        ({"clawback": 0.5, "shortfall_fee": 0.5}, 800.0),
        ({"clawback": 0.0, "retro_rebate": 0.1}, 900.0),
        ({"clawback": 0.0, "retro_rebate": 0.1, "retro_from": 0.8}, None),
        ({"clawback": 1.0, "deductions": 0.1}, 72_000 / 92),
    ],
)
def test_the_zone_is_what_the_terms_settle(terms, low):
    """A fifth off from 1000 units: without a clawback 850 units cost 68,000, and 1,000 cost
    80,000.
    """
    schedule, terms = TierSchedule.of(100.0, (1000.0,), (0.2,)), ContractTerms(**terms)
    zone = dumping_zone(schedule, 1, terms)
    assert (zone and zone.low) == (low if low is None else pytest.approx(low))
    units = np.linspace(0, 999.9, 2000)
    dear = units[
        settle_contract(schedule, 1, units, terms).pocket
        > settle_contract(schedule, 1, np.array([1000.0]), terms).pocket * (1 + 1e-9)
    ]
    assert len(dear) == 0 if zone is None else dear.min() == pytest.approx(zone.low, abs=0.6)


def test_a_cut_of_10_percent_at_a_margin_of_30_needs_half_as_many_units_more():
    assert break_even_uplift(0.3, 0.1) == pytest.approx(0.5)
    assert needed_elasticity(0.3, 0.1) == pytest.approx(3.85, abs=0.005)
    assert 0.9 ** -needed_elasticity(0.3, 0.1) == pytest.approx(1.5)
    assert break_even_uplift(0.3, 0.3) == np.inf
    assert needed_elasticity(0.3, 0.0) == 0.0


def test_the_floor_price_leaves_the_floor_after_all_that_is_given_back():
    price = floor_price(60.0, 0.2, 0.05)
    pocket = price * 0.95
    assert (pocket - 60) / pocket == pytest.approx(0.2)
    assert floor_price(60.0, 0.25) == pytest.approx(80.0)


@pytest.mark.parametrize(
    ("quantities", "discounts", "said"),
    [
        (
            (100.0, 100.0),
            (0.1, 0.2),
            "decision.quantities: must rise from above 0, got [100.0, 100.0].",
        ),
        ((100.0, 200.0), (0.1, 0.1), "decision.discounts: must rise from above 0, got [0.1, 0.1]."),
        ((100.0,), (0.0,), "decision.discounts: must rise from above 0, got [0.0]."),
        (
            (100.0, 200.0),
            (0.1,),
            "decision.discounts: must be one for each of 2 quantities, got 1.",
        ),
    ],
)
def test_tiers_that_do_not_rise_are_refused(quantities, discounts, said):
    with pytest.raises(ConfigError) as refusal:
        TierSchedule.of(100.0, quantities, discounts)
    assert str(refusal.value) == said


@st.composite
def schedules(draw, kind="all_units"):
    steps = draw(
        st.lists(st.tuples(st.floats(10, 500), st.floats(0.005, 0.15)), min_size=1, max_size=4)
    )
    quantities, discounts = (
        np.cumsum([step[0] for step in steps]),
        np.cumsum([step[1] for step in steps]),
    )
    return TierSchedule.of(100.0, tuple(quantities), tuple(discounts), kind)


@settings(max_examples=60, deadline=None)
@given(schedules())
def test_in_a_zone_and_there_alone_more_units_cost_less(schedule):
    units = np.linspace(1, 1.3 * schedule.quantities[-1], 3001)
    bills = schedule.bill(units)
    for tier in range(1, len(schedule)):
        zone, total = (
            dumping_zone(schedule, tier, ContractTerms()),
            float(schedule.bill(np.array(schedule.quantities[tier]))),
        )
        below = units < schedule.quantities[tier]
        dear = units[below & (bills > total * (1 + 1e-9))]
        assert ((dear > zone.low * (1 - 1e-9)) & (dear < zone.high)).all()
        assert schedule.bill(np.array(zone.low * (1 + 1e-6))) > total


@settings(max_examples=60, deadline=None)
@given(schedules("incremental"))
def test_incremental_tiers_have_no_zone_and_bills_that_rise(schedule):
    bills = schedule.bill(np.linspace(1, 2 * schedule.quantities[-1], 2000))
    assert (np.diff(bills) > 0).all()
    assert all(
        dumping_zone(schedule, tier, ContractTerms()) is None for tier in range(len(schedule))
    )


@settings(max_examples=60, deadline=None)
@given(schedules(), st.floats(0.05, 1))
def test_proposed_incremental_tiers_cost_the_same_at_the_end_of_each(schedule, most):
    last = 1.5 * schedule.quantities[-1]
    smooth = schedule.without_zones(last, most)
    assert (np.diff(smooth.discounts) >= 0).all()
    assert max(smooth.discounts) <= most
    ends = np.array([*schedule.quantities[2:], last])
    free = np.array([low < high < most for low, high in pairwise(smooth.discounts)])
    exact = int(np.argmin(free)) if not free.all() else len(free)
    billed, wanted = smooth.bill(ends), np.array(schedule.prices[1:]) * ends
    assert np.allclose(billed[:exact], wanted[:exact])
