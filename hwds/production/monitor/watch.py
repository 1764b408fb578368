"""Watching a bundle: what was captured, window by window, against the reference; violations and a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from hwds.production.bundle.reconstruction import NAME, Components, distances_of
from hwds.production.bundle.reference import WINDOW_GRID, WINDOW_ROWS, column_reference
from hwds.production.monitor.captured import Captured
from hwds.production.monitor.evidence import Baseline, Detector, Finding, discoveries, label_findings
from hwds.production.server.capture import HIDDEN

MONTH_DAYS = 30.4
LEVEL = 0.1
"""The false discovery rate among the columns that an alarm names."""

CHECKS = {
    "missing": "completeness_check",
    "new_values": "categorical_values_check",
    "psi": "baseline_drift_check",
    "ks": "baseline_drift_check",
    "wasserstein": "baseline_drift_check",
    "calibration": "baseline_drift_check",
    "error": "baseline_drift_check",
}
"""By statistic the type of SageMaker Model Monitor's check."""


@dataclass(frozen=True)
class WindowReport:
    """One window.

    Attributes:
        begin: When its first row was answered.
        rows: How many it has.
        evidence: The sequential test's sum over its threshold: 1 is an alarm.
        alarm: What raised an alarm: `inputs`, `labels`; empty for none.
        findings: All statistics.
        named: Those that the alarm names.
    """

    begin: str
    rows: int
    evidence: float
    alarm: tuple[str, ...]
    findings: tuple[Finding, ...]
    named: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Report:
    """The windows that a monitor has judged, and its violations.

    Attributes:
        bundle: The digest of the bundle.
        per_month: False alarms a month at most, as stated.
        windows_a_month: Windows a month at the rate of the captured rows.
        windows: In order.
        labelled: Rows whose label has arrived.
    """

    bundle: str
    per_month: float
    windows_a_month: float
    windows: tuple[WindowReport, ...]
    labelled: int = 0
    remarks: tuple[str, ...] = field(default=())

    @property
    def violations(self) -> list[dict[str, Any]]:
        """The violations in the shape of SageMaker Model Monitor's `constraint_violations.json`."""
        return [
            {
                "feature_name": finding.column,
                "constraint_check_type": CHECKS[finding.check],
                "description": describe(finding, window.begin),
            }
            for window in self.windows
            for finding in window.named
        ]


def describe(finding: Finding, begin: str) -> str:
    """Return a finding in a sentence."""
    usual = f"is {finding.value:.4g}, usually {finding.usual:.4g} (p = {finding.p_value:.2g})"
    return f"{finding.check} of '{finding.column}' in the window from {begin} {usual}"


def watched(
    reference: Mapping[str, Any],
    captured: Sequence[Captured],
    *,
    bundle: str,
    per_month: float,
    labels: Mapping[str, float] | None = None,
    rows: int = WINDOW_ROWS,
    days: float | None = None,
) -> Report:
    """Return the report on captured requests.

    Args:
        reference: A bundle's `reference.json`.
        captured: In the order of time.
        bundle: Its digest.
        per_month: False alarms a month at most, half of them of labels where some have arrived.
        labels: By id, as far as they have arrived.
        rows: Rows of a window; those of the reference's windows, for another number has another spread.
        days: The days that the captured rows span; None takes their times.
    """
    baseline = Baseline(reference)
    table = [(each, row) for each in captured for row in each.rows()]
    parts = [table[at : at + rows] for at in range(0, len(table) - rows + 1, rows)]
    span = days_of(captured) if days is None else days
    a_month = max(len(parts) / max(span, 1e-9) * MONTH_DAYS, 1.0)
    share = per_month / 2 if labels else per_month
    inputs, outcomes = Detector(share, a_month), Detector(share, a_month)
    shown = shown_columns([row for _, row in table])
    reports, labelled = [], 0
    for part in parts:
        statistics = window_statistics(baseline, [row for _, row in part], reference.get("components"), shown)
        findings = baseline.findings(statistics)
        known = _labelled([each for each, _ in part], labels or {})
        of_labels = label_findings(*known, reference.get("calibration", {})) if len(known[1]) else []
        labelled += len(known[1])
        raised_by = {
            "inputs": inputs.take([each.p_value for each in findings]),
            "labels": outcomes.take([f.p_value for f in of_labels]),
        }
        alarm = tuple(name for name, raised in raised_by.items() if raised)
        named = [
            *(discoveries(findings, LEVEL) if raised_by["inputs"] else ()),
            *(discoveries(of_labels, LEVEL) if raised_by["labels"] else ()),
        ]
        sums = max(inputs.value / inputs.threshold, outcomes.value / outcomes.threshold)
        reports.append(
            WindowReport(part[0][0].at, len(part), 1.0 if alarm else sums, alarm, (*findings, *of_labels), tuple(named))
        )
    return Report(bundle, per_month, a_month, tuple(reports), labelled, tuple(_remarks(baseline, table, rows, shown, bundle)))


def _remarks(baseline: Baseline, table: Sequence[Any], rows: int, shown: Set[str], bundle: str) -> list[str]:
    said = []
    if hidden := [name for name in baseline.names if name != NAME and name not in shown]:
        said.append(f"No captured row shows {', '.join(hidden[:8])}{' ...' if len(hidden) > 8 else ''}: not watched.")
    if others := sum(each.bundle not in ("", bundle) for each, _ in table):
        said.append(
            f"{others:,} of {len(table):,} rows were answered by another bundle, and are judged by this one's reference."
        )
    if baseline.windows < 10:
        said.append(f"The reference has {baseline.windows} windows: what is usual is known roughly, so that alarms come late.")
    if len(table) < rows:
        said.append(f"{len(table)} rows are no window of {rows} yet; nothing was judged.")
    return said


def shown_columns(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the columns that rows have, but for those that the capture hides."""
    return {name for row in rows for name, value in row.items() if value != HIDDEN}


def window_statistics(
    baseline: Baseline, rows: Sequence[Mapping[str, Any]], components: Components | None, shown: Set[str]
) -> dict[str, Any]:
    """Return the statistics of a window, of the columns that the reference has.

    Args:
        baseline: Of the reference.
        rows: Of the window, by column.
        components: The principal components of the reference; None where it has none.
        shown: The columns that any captured row shows. One that ceases to be sent is missing; one that nobody has sent is not
            judged, nor is the distance from components that it belongs to.
    """
    statistics = {}
    if components is not None and shown >= {*components["columns"]}:
        statistics[NAME] = column_reference(pl.Series(NAME, distances_of(components, rows)), WINDOW_GRID)
    for name in baseline.names:
        if name == NAME or name not in shown:
            continue
        values = [row.get(name) for row in rows if name in row or name not in baseline.predictions]
        if not values:  # rows of histories, of which the last alone is answered
            continue
        kind = pl.String if any(isinstance(value, str) for value in values) else pl.Float64
        series = pl.Series(name, [_cast(value, kind) for value in values], kind)
        statistics[name] = column_reference(series, WINDOW_GRID)
    return statistics


def _cast(value: Any, kind: Any) -> Any:
    if value is None or isinstance(value, list | dict):
        return None
    return str(value) if kind == pl.String else float(value)


def _labelled(part: Sequence[Captured], labels: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and labels of the questions of a window whose label has arrived."""
    known = [
        (float(each.answer["probability"]), labels[str(each.answer.get("id"))])
        for each in part
        if str(each.answer.get("id")) in labels and each.answer.get("probability") is not None
    ]
    pairs = np.array(known, float).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def days_of(captured: Sequence[Captured]) -> float:
    """Return the days that captured rows span, an hour at least."""
    first, last = (datetime.fromisoformat(captured[place].at.replace("Z", "+00:00")) for place in (0, -1))
    return max((last - first).total_seconds() / 86_400, 1 / 24)
