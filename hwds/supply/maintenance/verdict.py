"""The verdict on maintenance, as plain values, the back-test of rules, a schedule and its outages."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

from hwds.results.verdict import Verdict

TABLES = ("maintenance_policies", "maintenance_schedule", "outages")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceVerdict(Verdict):
    """When to replace which machine, and whether that is shown to pay.

    Attributes:
        action: `SCHEDULE` or `HOLD`.
        rate: The worth of a unit of running time that the rule acts by: its limit, chosen on all machines.
        planned, failure: The cost of a planned replacement and of a failure, downtime included.
        planned_downtime, failure_downtime: How long a machine stands still for each.
        slot, slots: The time from one inspection to the next, and how many are looked ahead.
        crew, parts, parts_rate: The capacity; None for any.
        within_capacity: Whether the back-test is within it; it is not where machines share no clock.
        machines, failed: Of the back-test.
        running: Machines in the schedule; with a slot, and of these now.
        due, now: See `running`.
        when: `back-test`, or `future` for the machines at their last row.
        unit: Of ages.
        policies: See `hwds.supply.maintenance.back_test.POLICIES`.
        schedule, outages: See `hwds.supply.maintenance.decide`.
    """

    action: Literal["SCHEDULE", "HOLD"]
    rate: float | None
    planned: float
    failure: float
    planned_downtime: float
    failure_downtime: float
    slot: float
    slots: int
    crew: int | None
    parts: int | None
    parts_rate: float
    within_capacity: bool
    machines: int
    failed: int
    running: int
    due: int
    now: int
    when: Literal["back-test", "future"]
    unit: str
    policies: pl.DataFrame
    schedule: pl.DataFrame
    outages: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; policies, schedule and outages are tables beside them."""
        return {name: value for name, value in asdict(self).items() if name not in ("policies", "schedule", "outages")}

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the policies, the schedule and the outages."""
        return dict(zip(TABLES, (self.policies, self.schedule, self.outages), strict=True))

    def of(self, policy: str) -> dict[str, Any] | None:
        """Return the row of a policy; None where it has none."""
        rows = self.policies.filter(pl.col("policy") == policy)
        return rows.row(0, named=True) if len(rows) else None
