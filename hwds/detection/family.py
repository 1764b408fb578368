"""The family of detection: which rows are of the rare kind."""

from __future__ import annotations

from hwds.core.families import Family, Task
from hwds.frames.table import Table

DETECTION = Task(
    name="detection",
    frame=Table,
    headline="aucpr",
    report="hwds.detection.report.run:REPORT",
    comparison="hwds.detection.compare:COMPARISON",
)

QUEUE = Task(
    name="review_queue",
    frame=Table,
    headline="injected_recall",
    report="hwds.detection.report.queue:REPORT",
)

FAMILY = Family(
    name="detection",
    tasks=(DETECTION, QUEUE),
    tables={
        "cases": "hwds.detection.report.alerts.case_files:REPORT",
        "alert_costs": "hwds.detection.report.alerts.costs:REPORT",
        "alert_thresholds": "hwds.detection.report.alerts.thresholds:REPORT",
        "arbitrage_thresholds": "hwds.detection.report.arbitrage.thresholds:REPORT",
    },
)
