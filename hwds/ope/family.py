"""The family of off-policy evaluation: what a policy would have earned on the log of another."""

from __future__ import annotations

from hwds.core.registry import Family, Task
from hwds.frames.table import Table

OFF_POLICY = Task(
    name="ope",
    frame=Table,
    headline="policy_value",
    report="hwds.ope.report:REPORT",
    comparison="hwds.ope.report:COMPARISON",
    comparable=False,
)

FAMILY = Family(name="ope", tasks=(OFF_POLICY,))
