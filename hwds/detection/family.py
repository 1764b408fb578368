"""The family of detection: which rows are of the rare kind."""

from __future__ import annotations

from hwds.core.registry import Family, Task
from hwds.frames.table import Table

DETECTION = Task(
    name="detection",
    frame=Table,
    headline="aucpr",
    report="hwds.detection.report.run:DETECTION_REPORT",
    comparison="hwds.detection.compare:COMPARISON",
    hub_task="tabular-classification",
)

QUEUE = Task(
    name="review_queue",
    frame=Table,
    headline="injected_recall",
    report="hwds.detection.report.run:QUEUE_REPORT",
)

FAMILY = Family(
    name="detection",
    tasks=(DETECTION, QUEUE),
    rows="hwds.detection.serving:ServedClassifier",
    tables={
        "cases": "hwds.detection.report.decisions:CASES_REPORT",
        "alert_costs": "hwds.detection.report.decisions:ALERT_COSTS_REPORT",
        "alert_thresholds": "hwds.detection.report.decisions:ALERT_THRESHOLDS_REPORT",
        "arbitrage_thresholds": "hwds.detection.report.decisions:ARBITRAGE_REPORT",
    },
)
