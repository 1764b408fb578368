"""The metrics of sensor anomalies, and what each of them means."""

from __future__ import annotations

from typing import Literal

from hwds.results.measure import Measure


def sensor_measures(unit: str = "cycles") -> tuple[Measure, ...]:
    """Return the metrics.

    Args:
        unit: What cycles count.
    """

    def measure(
        name: str,
        meaning: str,
        better: Literal["low", "high", "none"],
        beside: Literal["no", "page", "always"] = "always",
        units: str = "runs",
        measured_in: str = "",
    ) -> Measure:
        return Measure(name, meaning=meaning, better=better, units=units, beside=beside, measured_in=measured_in)

    return (
        measure("f1", "F1 of rows, the mean over runs; flagging no row has 0", "high"),
        measure("f1_everything", "F1 of flagging every row, the mean over runs", "none"),
        measure("f1_gain", "F1 less that of flagging every row, the mean over runs", "high"),
        measure("far", "false alarm rate: the share of normal rows that are called anomalous, the mean over runs", "low"),
        measure("mar", "missed alarm rate: the share of anomalous rows that are not, the mean over runs", "low"),
        measure("f1_pooled", "F1 of the rows of all runs together, as the SKAB board has it", "high", "page"),
        measure("far_pooled", "false alarm rate of the rows of all runs together", "low", "page"),
        measure("mar_pooled", "missed alarm rate of the rows of all runs together", "low", "page"),
        measure(
            "event_recall", "share of anomalies in which an alarm is on; flagging every row has 1", "high", units="anomalies"
        ),
        measure("event_precision", "share of episodes of alarms that meet an anomaly", "high", units="episodes"),
        measure("fresh_recall", "share of anomalies in which an episode of alarms begins", "high", "page", "anomalies"),
        measure("delay", "from the beginning of an anomaly to the first alarm in it", "low", "always", "anomalies", unit),
        measure("episodes", "episodes of alarms that meet no anomaly, in 1,000 normal rows", "low", "page", "rows"),
        measure("average_precision", "average precision of scores, whatever the limit, the mean over runs", "high", "page"),
    )
