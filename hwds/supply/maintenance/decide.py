"""From the laws of remaining lives to the verdict: is the rule shown to pay, and which machine is replaced when."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import polars as pl

from hwds.supply.maintenance.back_test import BLIND, BackTest
from hwds.supply.maintenance.crowded import finite
from hwds.supply.maintenance.fleet import arrivals, cheapest_slots
from hwds.supply.maintenance.laws import LifeLaws
from hwds.supply.maintenance.rules import waiting_costs
from hwds.supply.maintenance.sentence import sentence
from hwds.supply.maintenance.terms import MaintenanceTerms
from hwds.supply.maintenance.verdict import MaintenanceVerdict

SCHEDULE = {
    "machine": pl.String,
    "age": pl.Float64,
    "slot": pl.Int64,
    "due": pl.Float64,
    "wanted": pl.Int64,
    "fails_before": pl.Float64,
    "fails_next": pl.Float64,
    "delay_cost": pl.Float64,
    "median_life": pl.Float64,
}
"""The columns of a schedule: the slot, 0 for now and null for later; the age then; the slot without limits; the chance to fail
before the slot (by the end of all slots for later) and in the next one; the expected cost of one slot more; the median life."""

OUTAGES = {
    "slot": pl.Int64,
    "begin": pl.Float64,
    "planned": pl.Float64,
    "failures": pl.Float64,
    "lost": pl.Float64,
    "lost_sd": pl.Float64,
    "machines": pl.Int64,
}
"""The columns of outages: the slot, when it begins from now, the expected planned replacements and failures, the expected
time that machines stand still and its standard deviation, and how many machines there are."""


def decide_maintenance(
    name: str,
    laws: LifeLaws,
    running: LifeLaws,
    truth: LifeLaws | None,
    terms: MaintenanceTerms,
    *,
    seed: int,
    when: Literal["back-test", "future"],
) -> MaintenanceVerdict:
    """Return the verdict.

    Args:
        name: The decision's.
        laws: Of machines that were held out, by which rules are chosen and judged.
        running: Of the machines to schedule.
        truth: The true laws of `laws`; None where they are not known.
        terms: Costs and capacity.
        seed: Names the random draws.
        when: Whether the machines to schedule are those of the back-test or of now.
    """
    tested = BackTest(laws, truth, terms, seed)
    policies = tested.table()
    limit = tested.limit()
    table, lost = scheduled(running, terms, float(finite(np.array(limit), laws, terms)))
    failed = int(laws.failed.sum())
    rule = rule_of(policies, failed, terms)
    verdict = MaintenanceVerdict(
        decision=name,
        action="SCHEDULE" if rule == "none" else "HOLD",
        rule=rule,
        excluded={},
        sentence="",
        rate=limit if np.isfinite(limit) else None,
        planned=terms.planned,
        failure=terms.failure,
        planned_downtime=terms.planned_downtime,
        failure_downtime=terms.failure_downtime,
        slot=laws.slot,
        slots=laws.slots,
        crew=terms.crew,
        parts=terms.parts,
        parts_rate=terms.parts_rate,
        within_capacity=tested.within_capacity,
        machines=laws.m,
        failed=failed,
        running=len(table),
        due=len(table.drop_nulls("slot")),
        now=len(table.filter(pl.col("slot") == 0)),
        when=when,
        unit=laws.unit,
        policies=policies,
        schedule=table,
        outages=lost,
    )
    return replace(verdict, sentence=sentence(verdict, terms.least_failures))


def rule_of(policies: pl.DataFrame, failed: int, terms: MaintenanceTerms) -> str:
    """Return the rule that forbids to schedule, `none` where none does.

    Enough machines must have failed, and the cost must be shown, at 95 %, to be below that of each rule without sensors: by
    resamples of machines in which both rules are counted.
    """
    if failed < terms.least_failures:
        return "few_failures"
    lows = policies.filter(pl.col("policy").is_in(BLIND))["own_saves_low"].to_list()
    return "none" if all(low is not None and low > 0 for low in lows) else "no_gain"


def scheduled(laws: LifeLaws, terms: MaintenanceTerms, rate: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the cheapest schedule of machines at their last inspection, soonest first, and the outages of each slot.

    Args:
        laws: Of the machines that run; the last inspection of each counts.
        terms: Costs and capacity.
        rate: The worth of a unit of running time.
    """
    rows = laws.last_inspections
    costs = waiting_costs(laws, terms, np.full(len(laws.age), rate))[rows]
    crews = np.full(laws.slots, terms.crew_of(len(rows)))
    slots = cheapest_slots(costs, crews, None if terms.parts is None else arrivals(terms.parts, terms, laws.slots))
    curves = laws.curves[rows]
    place = np.arange(len(rows))
    later = slots == laws.slots
    following = np.minimum(slots + 1, laws.slots)
    table = pl.DataFrame(
        {
            "machine": [laws.names[each] for each in laws.machine[rows]],
            "age": laws.age[rows],
            "slot": pl.Series([None if late else int(slot) for slot, late in zip(slots, later, strict=True)], dtype=pl.Int64),
            "due": pl.Series(np.where(later, np.nan, laws.age[rows] + slots * laws.slot), nan_to_null=True),
            "wanted": pl.Series([None if w == laws.slots else int(w) for w in costs.argmin(axis=1)], dtype=pl.Int64),
            "fails_before": 1 - curves[place, slots],
            "fails_next": 1 - curves[:, 1],
            "delay_cost": pl.Series(np.where(later, np.nan, costs[place, following] - costs[place, slots]), nan_to_null=True),
            "median_life": laws.median[rows],
        },
        schema=SCHEDULE,
    )
    order = ["slot", "fails_next", "machine"]
    return table.sort(order, descending=[False, True, False], nulls_last=True), outages(laws, terms, curves, slots)


def outages(laws: LifeLaws, terms: MaintenanceTerms, curves: np.ndarray, slots: np.ndarray) -> pl.DataFrame:
    """Return what falls out in each slot; a machine that was replaced or repaired is taken to run on to the end of them.

    Args:
        laws: Their slots.
        terms: Times that machines stand still.
        curves: The chance to run on at the beginning of each slot, shape (m, slots + 1).
        slots: Of each machine, shape (m,).
    """
    made = []
    for slot in range(laws.slots):
        mine, running = slots == slot, slots > slot
        planned, fails = curves[mine, slot], (curves[:, slot] - curves[:, slot + 1])[running]
        variance = terms.planned_downtime**2 * (planned * (1 - planned)).sum()
        variance += terms.failure_downtime**2 * (fails * (1 - fails)).sum()
        lost = terms.planned_downtime * planned.sum() + terms.failure_downtime * fails.sum()
        made.append((slot, slot * laws.slot, planned.sum(), fails.sum(), lost, np.sqrt(variance), len(slots)))
    return pl.DataFrame(made, schema=OUTAGES, orient="row")
