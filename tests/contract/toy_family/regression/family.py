"""The family of regressions on rows: the acceptance test of what a family is."""

from __future__ import annotations

from hwds.core.registry import Family, Task
from hwds.frames.table import Table

REGRESSION = Task(
    name="regression",
    frame=Table,
    headline="squared_error",
    report="regression.report.run:REPORT",
    comparison="regression.compare:COMPARISON",
)

FAMILY = Family(
    name="regression",
    tasks=(REGRESSION,),
    tables={"kept_models": "regression.report.kept_models:REPORT"},
    rows="regression.serving:ServedLine",
    stream="regression.serving:LineOfMachines",
)
