"""The family of forecasts: many series at once, one distribution a step."""

from __future__ import annotations

from hwds.core.families import Family, Task
from hwds.frames.panel import Panel

FORECAST = Task(
    name="forecast",
    frame=Panel,
    headline="mase",
    report="hwds.forecast.report.run:REPORT",
    comparison="hwds.forecast.compare:COMPARISON",
)

FAMILY = Family(
    name="forecast",
    tasks=(FORECAST,),
    tables={
        "volume_bands": "hwds.forecast.report.volume_bands:REPORT",
        "stock_record": "hwds.supply.report.stock:RECORD",
        "stock_levels": "hwds.supply.report.stock:LEVELS",
        "supply_plan": "hwds.supply.report.plan:PLAN",
        "supply_volumes": "hwds.supply.report.plan:VOLUMES",
    },
)
