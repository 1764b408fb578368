"""Maintenance: schedules against brute force, outcomes of censored machines, rules whose best limit is known."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from hwds.supply.maintenance.assignment import assign
from hwds.supply.maintenance.decide import decide_maintenance
from hwds.supply.maintenance.fleet import Fleet, by_milp, first_come
from hwds.supply.maintenance.laws import LifeLaws
from hwds.supply.maintenance.outcomes import cost_rate, outcomes_of
from hwds.supply.maintenance.rules import chosen_limit, index_of, limits_by_fold, waiting_costs
from hwds.supply.maintenance.terms import MaintenanceTerms

TERMS = MaintenanceTerms(
    planned=1.0, failure=6.0, planned_downtime=1.0, failure_downtime=4.0, downtime=0.1,
    crew=None, parts=None, parts_rate=0.0, least_failures=20, resamples=50,
)  # fmt: skip


def fleet(shape, machines=400, scale=50.0, slots=6, slot=5.0, censored=0.0, seed=1):
    """Machines with Weibull lives, whose law is known to the age alone, inspected in each slot and put to work in turn."""
    rng = np.random.default_rng(seed)
    lives = scale * rng.weibull(shape, machines)
    out = rng.exponential(scale / censored, machines) if censored else np.full(machines, np.inf)
    ends = np.minimum(lives, out)
    counts = np.maximum(np.ceil(ends / slot).astype(int) - 1, 0)
    machine = np.repeat(np.arange(machines), counts)
    age = slot * (1.0 + np.arange(len(machine)) - np.repeat(np.cumsum(counts) - counts, counts))
    ahead = age[:, None] + slot * np.arange(1, slots + 1)
    survival = np.exp((age[:, None] / scale) ** shape - (ahead / scale) ** shape)
    median = scale * ((age / scale) ** shape + np.log(2)) ** (1 / shape) - age
    fold = np.where(counts > 0, np.arange(machines) % 5, -1)
    names = tuple(f"m{each}" for each in range(machines))
    return LifeLaws(names, ends, lives <= out, fold, slot * (np.arange(machines) // 4), machine, age, survival, median, slot)


@pytest.fixture(scope="module")
def wearing():
    return fleet(3.0)


def test_a_schedule_is_the_cheapest_within_crew_and_parts():
    rng = np.random.default_rng(0)
    for _ in range(10):
        costs = rng.normal(size=(5, 4))
        crew, parts = np.array([1, 2, 1]), np.array([0, 2, 3])

        def fits(slots, crew=crew, parts=parts):
            used = np.bincount(slots, minlength=4)[:3]
            return (used <= crew).all() and (np.cumsum(used) <= parts).all()

        lawful = [slots for slots in product(range(4), repeat=5) if fits(np.array(slots))]
        best = min(costs[np.arange(5), list(slots)].sum() for slots in lawful)
        made = assign(costs, crew, parts)
        assert fits(made)
        assert costs[np.arange(5), made].sum() == pytest.approx(best)


def test_without_limits_a_fleet_does_what_each_machine_does_alone(wearing):
    for rule in ("renewal", "threshold", "fixed_interval"):
        index = index_of(rule, wearing, TERMS)
        limit = chosen_limit(index, wearing, TERMS, np.ones(wearing.m, bool))
        alone = outcomes_of(wearing, index >= limit)
        planners = [first_come(index, np.full(len(index), limit))]
        if rule == "renewal":
            planners.append(by_milp(waiting_costs(wearing, TERMS, np.full(len(index), limit)), TERMS))
        for planner in planners:
            together = Fleet(wearing, TERMS).simulate(planner)
            assert (together.end == alone.end).all()
            assert (together.acted == alone.acted).all()
            assert not together.waited.any()


def test_crew_and_parts_are_never_exceeded_and_failures_wait(wearing):
    terms = replace(TERMS, crew=1, parts=5, parts_rate=0.7)
    index = index_of("renewal", wearing, terms)
    rate = np.full(len(index), chosen_limit(index, wearing, terms, np.ones(wearing.m, bool)))
    used = {}

    def counted(rows, crew, parts):
        done = by_milp(waiting_costs(wearing, terms, rate), terms)(rows, crew, parts)
        assert len(done) <= min(crew, parts)
        used[len(used)] = len(done)
        return done

    made = Fleet(wearing, terms).simulate(counted)
    assert made.acted.sum() == sum(used.values()) <= 5 + 0.7 * 160
    assert made.waited[~made.acted].max() > 0
    assert not made.waited[made.acted].any()
    assert made.cost(terms).sum() > outcomes_of(wearing, index >= rate).cost(terms).sum()


def test_a_fixed_interval_has_the_age_of_the_closed_form(wearing):
    """Barlow and Hunter (1960): the rate at age t is (planned S(t) + failure F(t)) over the integral of S up to t."""
    ages = np.arange(0.0, 120.0, 0.05)
    left = np.exp(-((ages / 50) ** 3))
    rates = (left + 6 * (1 - left)) / np.maximum(np.cumsum(left) * 0.05, 1e-9)
    best = rates.min()
    limit = chosen_limit(wearing.age, wearing, TERMS, np.ones(wearing.m, bool))
    assert abs(limit - ages[rates.argmin()]) <= wearing.slot
    for rule in ("fixed_interval", "renewal"):  # the age is all that the laws know, so that the two are one policy
        index = index_of(rule, wearing, TERMS)
        limits = limits_by_fold(index, wearing, TERMS)[wearing.machine]
        assert cost_rate(wearing, outcomes_of(wearing, index >= limits), TERMS, np.ones(wearing.m, bool)) == pytest.approx(
            best, rel=0.06
        )


def test_without_wear_to_replace_never_pays():
    lasting = fleet(1.0)
    index = index_of("renewal", lasting, TERMS)
    assert np.ptp(index) < 1e-9
    verdict = decide_maintenance("m", lasting, lasting, None, TERMS, seed=0, when="back-test")
    assert (verdict.action, verdict.rule) == ("HOLD", "no_gain")
    assert "not shown to be less than rules that look at no sensor" in verdict.sentence


def test_censored_machines_do_not_move_the_cost():
    whole, cut = fleet(3.0, 4000), fleet(3.0, 4000, censored=0.6, seed=2)
    assert 0.3 < 1 - cut.failed.mean() < 0.6
    for limit in (25.0, 40.0, np.inf):
        rates = [cost_rate(laws, outcomes_of(laws, laws.age >= limit), TERMS, np.ones(laws.m, bool)) for laws in (whole, cut)]
        assert rates[1] == pytest.approx(rates[0], rel=0.05)


def test_few_failures_decide_nothing():
    few = fleet(3.0, 15)
    verdict = decide_maintenance("m", few, few, None, TERMS, seed=0, when="back-test")
    assert (verdict.action, verdict.rule) == ("HOLD", "few_failures")
    assert verdict.sentence.startswith("HOLD: 15 machines that failed are less than 20")
