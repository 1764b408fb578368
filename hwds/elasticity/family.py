"""The family of price elasticities: how demand answers to price, cell by cell."""

from __future__ import annotations

from hwds.core.registry import Family, Task
from hwds.frames.panel import Panel

ELASTICITY = Task(
    name="elasticity",
    frame=Panel,
    headline="elasticity_rmse",
    report="hwds.elasticity.report:REPORT",
    comparison="hwds.elasticity.compare:ELASTICITIES",
)

PRICE_CHANGE = Task(
    name="price_change",
    frame=Panel,
    headline="change_rmse",
    report="hwds.elasticity.report:CHANGES_REPORT",
    comparison="hwds.elasticity.compare:COMPARISON",
)

PLACEBO = Task(
    name="placebo",
    frame=Panel,
    headline="placebo_z",
    report="hwds.elasticity.report:PLACEBO_REPORT",
    comparison="hwds.elasticity.compare:PLACEBOS",
    comparable=False,
)

FAMILY = Family(name="elasticity", tasks=(ELASTICITY, PRICE_CHANGE, PLACEBO))
