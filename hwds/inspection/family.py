"""The family of inspection: whether a part is good, by its picture."""

from __future__ import annotations

from hwds.core.registry import Family, Task
from hwds.frames.images import Images

INSPECTION = Task(
    name="inspection",
    frame=Images,
    headline="recall",
    report="hwds.inspection.report:REPORT",
    comparison="hwds.inspection.compare:COMPARISON",
    hub_task="image-classification",
)

FAMILY = Family(name="inspection", tasks=(INSPECTION,), single_precision=True)
