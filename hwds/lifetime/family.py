"""The family of lifetimes: how long machines and devices will last."""

from __future__ import annotations

from hwds.core.registry import Family, Task
from hwds.frames.runs import Runs

REMAINING_LIFE = Task(
    name="remaining_life",
    frame=Runs,
    headline="rmse_capped",
    report="hwds.lifetime.report:REPORT",
    comparison="hwds.lifetime.compare:COMPARISON",
    hub_task="tabular-regression",
)

FAMILY = Family(
    name="lifetime",
    tasks=(REMAINING_LIFE,),
    tables={
        "maintenance_policies": "hwds.supply.maintenance:POLICIES_REPORT",
        "maintenance_schedule": "hwds.supply.maintenance:SCHEDULE_REPORT",
    },
)
