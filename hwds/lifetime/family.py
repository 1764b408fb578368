"""The family of lifetimes: how long machines and devices will last."""

from __future__ import annotations

from hwds.core.families import Family, Task
from hwds.frames.runs import Runs

REMAINING_LIFE = Task(
    name="remaining_life",
    frame=Runs,
    headline="rmse_capped",
    report="hwds.lifetime.report.run:REPORT",
    comparison="hwds.lifetime.compare:COMPARISON",
)

FAMILY = Family(
    name="lifetime",
    tasks=(REMAINING_LIFE,),
    tables={
        "maintenance_policies": "hwds.supply.report.maintenance:POLICIES",
        "maintenance_schedule": "hwds.supply.report.maintenance:SCHEDULE",
    },
)
