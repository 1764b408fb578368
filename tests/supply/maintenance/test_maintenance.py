"""Maintenance: schedules against brute force, outcomes of censored machines, rules whose best limit
is known.
"""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from hwds.supply.fleet import (
    Fleet,
    LifeLaws,
    MaintenanceTerms,
    assign_slots,
    chosen_limit,
    cost_rate,
    first_come_planner,
    foresight_outcomes,
    inspection_index,
    least_cost_planner,
    limits_by_fold,
    outcomes_of,
    waiting_costs,
)
from hwds.supply.maintenance import MaintenanceBackTest, decide_maintenance

TERMS = MaintenanceTerms(
    planned=1.0, failure=6.0, planned_downtime=1.0, failure_downtime=4.0, downtime=0.1,
    crew=None, parts=None, parts_rate=0.0, least_failures=20, resamples=50,
)  # fmt: skip


def fleet(shape, machines=400, scale=50.0, slots=6, slot=5.0, censored=0.0, seed=1):
    """Machines with Weibull lives, whose law is known to the age alone, inspected in each slot and
    put to work in turn.
    """
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
    return LifeLaws(
        names,
        ends,
        lives <= out,
        fold,
        slot * (np.arange(machines) // 4),
        machine,
        age,
        survival,
        median,
        slot,
    )


@pytest.fixture(scope="module")
def wearing():
    return fleet(3.0)


@pytest.mark.parametrize("parts", [None, np.array([0, 2, 3])], ids=["crew", "crew and parts"])
def test_a_schedule_is_the_cheapest_within_crew_and_parts(parts):
    rng = np.random.default_rng(0)
    for _ in range(10):
        costs = rng.normal(size=(5, 4))
        crew = np.array([1, 2, 1])

        def fits(slots, crew=crew):
            used = np.bincount(slots, minlength=4)[:3]
            return (used <= crew).all() and (parts is None or (np.cumsum(used) <= parts).all())

        lawful = [slots for slots in product(range(4), repeat=5) if fits(np.array(slots))]
        best = min(costs[np.arange(5), list(slots)].sum() for slots in lawful)
        made = assign_slots(costs, crew, parts)
        assert fits(made)
        assert costs[np.arange(5), made].sum() == pytest.approx(best)


def test_without_limits_a_fleet_does_what_each_machine_does_alone(wearing):
    for rule in ("renewal", "threshold", "fixed_interval"):
        index = inspection_index(rule, wearing, TERMS)
        limit = chosen_limit(index, wearing, TERMS, np.ones(wearing.m, bool))
        alone = outcomes_of(wearing, index >= limit)
        planners = [first_come_planner(index, np.full(len(index), limit))]
        if rule == "renewal":
            planners.append(
                least_cost_planner(waiting_costs(wearing, TERMS, np.full(len(index), limit)), TERMS)
            )
        for planner in planners:
            together = Fleet(wearing, TERMS).simulate(planner)
            assert (together.end == alone.end).all()
            assert (together.acted == alone.acted).all()
            assert not together.waited.any()


def test_crew_and_parts_are_never_exceeded_and_failures_wait(wearing):
    terms = replace(TERMS, crew=1, parts=5, parts_rate=0.7)
    index = inspection_index("renewal", wearing, terms)
    rate = np.full(len(index), chosen_limit(index, wearing, terms, np.ones(wearing.m, bool)))
    used = {}

    def counted(rows, crew, parts):
        done = least_cost_planner(waiting_costs(wearing, terms, rate), terms)(rows, crew, parts)
        assert len(done) <= min(crew, parts)
        used[len(used)] = len(done)
        return done

    made = Fleet(wearing, terms).simulate(counted)
    assert made.acted.sum() == sum(used.values()) <= 5 + 0.7 * 160
    assert made.waited[~made.acted].max() > 0
    assert not made.waited[made.acted].any()
    assert made.cost(terms).sum() > outcomes_of(wearing, index >= rate).cost(terms).sum()


def test_a_fixed_interval_has_the_age_of_the_closed_form(wearing):
    """Barlow and Hunter (1960): the rate at age t is (planned S(t) + failure F(t)) over the
    integral of S up to t.
    """
    ages = np.arange(0.0, 120.0, 0.05)
    left = np.exp(-((ages / 50) ** 3))
    rates = (left + 6 * (1 - left)) / np.maximum(np.cumsum(left) * 0.05, 1e-9)
    best = rates.min()
    limit = chosen_limit(wearing.age, wearing, TERMS, np.ones(wearing.m, bool))
    assert abs(limit - ages[rates.argmin()]) <= wearing.slot
    for rule in (
        "fixed_interval",
        "renewal",
    ):  # the age is all that the laws know, so that the two are one policy
        index = inspection_index(rule, wearing, TERMS)
        limits = limits_by_fold(index, wearing, TERMS)[wearing.machine]
        assert cost_rate(
            wearing, outcomes_of(wearing, index >= limits), TERMS, np.ones(wearing.m, bool)
        ) == pytest.approx(best, rel=0.06)


def test_without_wear_to_replace_never_pays():
    lasting = fleet(1.0)
    index = inspection_index("renewal", lasting, TERMS)
    assert np.ptp(index) < 1e-9
    verdict = decide_maintenance("m", lasting, lasting, None, TERMS, seed=0, when="back-test")
    assert (verdict.action, verdict.rule) == ("HOLD", "no_gain")
    assert "not shown to cost less than rules that look at no sensor" in verdict.sentence


def test_censored_machines_do_not_move_the_cost():
    whole, cut = fleet(3.0, 4000), fleet(3.0, 4000, censored=0.6, seed=2)
    assert 0.3 < 1 - cut.failed.mean() < 0.6
    for limit in (25.0, 40.0, np.inf):
        rates = [
            cost_rate(laws, outcomes_of(laws, laws.age >= limit), TERMS, np.ones(laws.m, bool))
            for laws in (whole, cut)
        ]
        assert rates[1] == pytest.approx(rates[0], rel=0.05)


def test_few_failures_decide_nothing():
    few = fleet(3.0, 15)
    verdict = decide_maintenance("m", few, few, None, TERMS, seed=0, when="back-test")
    assert (verdict.action, verdict.rule) == ("HOLD", "few_failures")
    assert verdict.sentence.startswith("HOLD: only 15 machines failed, 20 are needed")


def test_limits_of_rivals_are_chosen_within_the_capacity_under_which_they_run():
    laws, terms = fleet(3.0, 120, slots=2), replace(TERMS, crew=3)
    rows = {
        row["policy"]: row for row in MaintenanceBackTest(laws, None, terms, 0).table().to_dicts()
    }
    for rule in ("threshold", "fixed_interval"):
        index = inspection_index(rule, laws, terms)
        free = Fleet(laws, terms).simulate(
            first_come_planner(index, limits_by_fold(index, laws, terms)[laws.machine])
        )
        rates = [
            cost_rate(
                laws,
                Fleet(laws, terms).simulate(first_come_planner(index, np.full(len(index), limit))),
                terms,
                laws.fold > -2,
            )
            for limit in np.quantile(index, np.linspace(0.05, 1, 20))
        ]
        assert rows[rule]["cost"] < 0.9 * cost_rate(laws, free, terms, laws.fold > -2)
        assert rows[rule]["cost"] < 1.05 * min(rates)


def test_a_fleet_does_the_same_whatever_its_clock_begins_at():
    laws, terms = fleet(3.0, 120), replace(TERMS, crew=3, parts=2, parts_rate=2.0)
    index = inspection_index("threshold", laws, terms)
    limits = np.full(len(index), np.quantile(index, 0.8))
    made = [
        Fleet(each, terms).simulate(first_come_planner(index, limits))
        for each in (laws, shifted(laws, 5000), shifted(laws, -5000))
    ]
    assert made[0].waited.any()
    assert made[0].acted.any()
    for other in made[1:]:
        assert (other.end == made[0].end).all()
        assert (other.acted == made[0].acted).all()
        assert (other.waited == made[0].waited).all()


def shifted(laws, offset):
    return replace(laws, start=laws.start + offset)


def test_a_fleet_without_machines_has_no_outcomes():
    none = replace(
        fleet(3.0, 1),
        names=(),
        ends=np.zeros(0),
        failed=np.zeros(0, bool),
        fold=np.zeros(0, int),
        start=np.zeros(0),
    )
    none = replace(
        none,
        machine=np.zeros(0, int),
        age=np.zeros(0),
        survival=np.zeros((0, 6)),
        median=np.zeros(0),
    )
    made = Fleet(none, TERMS).simulate(first_come_planner(np.zeros(0), np.zeros(0)))
    assert (len(made.end), len(made.acted), len(made.known), len(made.waited)) == (0, 0, 0, 0)


@pytest.mark.parametrize(("slot", "scale"), [(0.1, 1.0), (0.7, 7.0)])
def test_slots_of_a_fraction_have_one_inspection_of_a_machine(slot, scale):
    laws = fleet(3.0, slot=slot, scale=scale)
    acts = laws.age >= chosen_limit(laws.age, laws, TERMS, laws.fold > -2)
    together = Fleet(laws, replace(TERMS, crew=1000)).simulate(
        first_come_planner(acts.astype(float), np.ones(len(acts)))
    )
    alone = outcomes_of(laws, acts)
    assert (together.end == alone.end).all()
    assert (together.acted == alone.acted).all()


def test_a_limit_reads_nothing_of_the_machines_that_it_is_judged_on():
    laws = fleet(3.0, 60, censored=1.5)
    mine = laws.fold == 0
    other = replace(laws, failed=laws.failed ^ mine, ends=np.where(mine, laws.ends + 1, laws.ends))
    for limit in (20.0, 40.0, np.inf):
        rates = [
            cost_rate(each, outcomes_of(each, each.age >= limit), TERMS, ~mine)
            for each in (laws, other)
        ]
        assert rates[0] == rates[1]


@pytest.mark.parametrize("failure", [1.02, 1.3, 6.0])
def test_foresight_is_the_best_of_all_choices(failure):
    few, terms = fleet(3.0, 10, slot=10.0), replace(TERMS, failure=failure)
    last = few.last_inspections
    rates = []
    for chosen in product([False, True], repeat=len(last)):
        acts = np.zeros(len(few.age), bool)
        acts[last[list(chosen)]] = True
        rates.append(cost_rate(few, outcomes_of(few, acts), terms, few.fold > -2))
    assert cost_rate(few, foresight_outcomes(few, terms), terms, few.fold > -2) == pytest.approx(
        min(rates)
    )
    many = fleet(3.0, 300, slot=10.0)
    costs = MaintenanceBackTest(many, None, terms, 0).table().select("policy", "cost").rows()
    assert dict(costs)["foresight"] == min(cost for _, cost in costs)


def test_a_saving_against_one_blind_rule_that_is_not_shown_against_the_other_schedules_nothing():
    """Machines do not wear and the laws are noise: here by chance a rule is below both, but not
    clearly below failing.
    """
    lasting, rng = fleet(1.0, 40, seed=127), np.random.default_rng(127)
    noise = replace(
        lasting, survival=np.sort(rng.uniform(0.5, 1, lasting.survival.shape), axis=1)[:, ::-1]
    )
    verdict = decide_maintenance(
        "m", noise, noise, None, replace(TERMS, resamples=300), seed=0, when="back-test"
    )
    own, failing = verdict.of("renewal"), verdict.of("run_to_failure")
    assert own["saving_low"] > 0
    assert own["cost"] < failing["cost"]
    assert failing["own_saves_low"] < 0 < failing["own_saves"]
    assert (verdict.action, verdict.rule) == ("HOLD", "no_gain")
