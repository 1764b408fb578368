"""The schedule of machines that run, and the outages that it and failures bring in each slot."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.supply.maintenance.fleet import arrivals, cheapest_slots
from hwds.supply.maintenance.laws import LifeLaws
from hwds.supply.maintenance.rules import waiting_costs
from hwds.supply.maintenance.terms import MaintenanceTerms

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
