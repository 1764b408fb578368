"""The family of A/B tests: their analysis, and their plan."""

from __future__ import annotations

from hwds.core.registry import Family, Task
from hwds.frames.table import Table

TEST = Task(
    name="ab",
    frame=Table,
    headline="minimum_effect",
    report="hwds.ab.report.run:REPORT",
    comparison="hwds.ab.report.scores:COMPARISON",
    comparable=False,
)

PLAN = Task(
    name="ab_plan",
    frame=Table,
    headline="size",
    report="hwds.ab.report.run:PLAN_REPORT",
    comparable=False,
)

FAMILY = Family(name="ab", tasks=(TEST, PLAN))
