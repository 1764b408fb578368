"""The family of forecasts: many series at once, one distribution a step."""

from __future__ import annotations

from hwds.core.registry import Family, Task
from hwds.frames.panel import Panel

FORECAST = Task(
    name="forecast",
    frame=Panel,
    headline="mase",
    report="hwds.forecast.report:REPORT",
    comparison="hwds.forecast.compare:COMPARISON",
    hub_task="time-series-forecasting",
)

FAMILY = Family(name="forecast", tasks=(FORECAST,))
