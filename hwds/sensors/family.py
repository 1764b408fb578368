"""The family of sensors: anomalies of machines, row by row.

It is no part of `detection`: there a table's rows stand alone and have a label that is found out
sooner or later, folds are days, and decisions are about a capacity of reviews. Here a row is one
reading of a machine's history, what is normal is learned from the first part of each history, and
what is scored are episodes: whether an anomaly is seen at all, how late, and at how many false
alarms.
"""

from __future__ import annotations

from hwds.core.registry import Family, Task
from hwds.frames.runs import Runs

SENSOR_ANOMALY = Task(
    name="sensor_anomaly",
    frame=Runs,
    headline="f1",
    report="hwds.sensors.report:REPORT",
    comparison="hwds.sensors.report:COMPARISON",
)

FAMILY = Family(name="sensors", tasks=(SENSOR_ANOMALY,), stream="hwds.sensors.live:LiveSensors")
