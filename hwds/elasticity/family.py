"""The family of price elasticities: how demand answers to price, cell by cell."""

from __future__ import annotations

from hwds.core.families import Family, Task
from hwds.frames.panel import Panel

ELASTICITY = Task(name="elasticity", frame=Panel, headline="elasticity_rmse", report="")

PRICE_CHANGE = Task(
    name="price_change",
    frame=Panel,
    headline="change_rmse",
    report="hwds.elasticity.report.changes:REPORT",
    comparison="hwds.elasticity.compare:COMPARISON",
)

FAMILY = Family(name="elasticity", tasks=(ELASTICITY, PRICE_CHANGE))
