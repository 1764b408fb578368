"""Watching a bundle: captured rows, window by window, against the reference; and the report."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hwds.core.checksums import write_json
from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.files import write_text
from hwds.core.questions import ID, Fields, Json
from hwds.results.formatting import counted
from hwds.serve.bundle.reference import (
    RECONSTRUCTION,
    WINDOW_GRID,
    WINDOW_ROWS,
    Components,
    column_reference,
    distances_of,
)
from hwds.serve.monitor.drift import (
    Baseline,
    ChangeDetector,
    DriftFinding,
    discoveries,
    label_findings,
)
from hwds.serve.server.records import HIDDEN

# Captured requests as windows of rows: what `hwds serve --capture` has written, in the order of
# time.


@dataclass(frozen=True, slots=True)
class Captured:
    """A question with its answer.

    Attributes:
        at: The time of the answer, as text of UTC that is in order.
        question: The question as it came.
        answer: The answer as it was sent.
        request: The id of the request, which the arms of a server share; empty where it has one
            arm.
        bundle: The digest of the bundle that has answered; empty where it is not known.
    """

    at: str
    question: Fields
    answer: Fields
    request: str = ""
    bundle: str = ""

    def rows(self) -> Iterator[Json]:
        """Yield its rows by column: of a history each row, of which the last has the answer's
        first.
        """
        history, answered = self.question.get("rows"), self.answer.get("rows")
        if not isinstance(history, list):
            yield {
                **self.question,
                **{name: value for name, value in self.answer.items() if name != ID},
            }
            return
        yield from history[:-1]
        yield {**history[-1], **(answered[0] if answered else {})}


def read_captured(folder: Path, arm: str = "main") -> list[Captured]:
    """Return the questions that were captured in a folder and answered by an arm of the server, in
    the order of time.

    Args:
        folder: The folder of `hwds serve --capture`.
        arm: `main`, `canary` or `shadow`.

    Raises:
        DataError: There is nothing, or a line is damaged.
    """
    found = []
    for path in sorted(folder.rglob("*.jsonl")):
        *lines, _torn = path.read_text(encoding="utf-8").split(
            "\n"
        )  # who was killed may have left half a line
        for number, line in enumerate(lines, 1):
            try:
                found += _of_line(json.loads(line), arm)
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"{path}: line {number} is no captured request ({type(error).__name__})."
                ) from error
    if not found:
        of_arm = "" if arm == "main" else f" of the {arm}"
        raise DataError(
            f"{folder}: nothing{of_arm} was captured; `hwds serve FOLDER --http --capture "
            f"{folder}` writes there."
        )
    return sorted(found, key=lambda each: each.at)


def _of_line(line: Fields, arm: str) -> list[Captured]:
    data, facts = line["captureData"], line["eventMetadata"]
    if facts.get("arm", "main") != arm:
        return []
    sides = (data[side]["data"].split("\n") for side in ("endpointInput", "endpointOutput"))
    pairs = zip(*([json.loads(text) for text in side] for side in sides), strict=True)
    at, *ids = (
        str(facts["inferenceTime"]),
        str(facts.get("inferenceId", "")),
        str(facts.get("bundle", "")),
    )
    return [
        Captured(at, question, answer, *ids) for question, answer in pairs if "of" not in question
    ]


def read_labels(path: Path) -> dict[str, float]:
    """Return labels by the ids of their questions, from a CSV or JSON lines with `id` (or `of`) and
    `label`.

    Raises:
        DataError: It cannot be read, or a label is neither 0 nor 1.
    """
    try:
        text = path.read_text(encoding="utf-8")
        lines = [line for line in text.split("\n") if line.strip()]
        rows = (
            [json.loads(line) for line in lines]
            if text.lstrip().startswith("{")
            else list(csv.DictReader(lines))
        )
        labels = {str(row.get(ID) or row["of"]): float(row["label"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"--labels: {path} must have 'id' and 'label' in each row ({type(error).__name__})."
        ) from error
    wrong = next((name for name, label in labels.items() if label not in (0.0, 1.0)), None)
    if wrong is not None:
        raise DataError(f"--labels: the label of '{wrong}' must be 0 or 1, got {labels[wrong]:g}.")
    return labels


# Watching a bundle: what was captured, window by window, against the reference; violations and
# a report.

MONTH_DAYS = 30.4
FALSE_DISCOVERIES = 0.1
"""The false discovery rate among the columns that an alarm names."""

DRIFT_CHECK = "baseline_drift_check"
SAGEMAKER_CHECKS = {"missing": "completeness_check", "new_values": "categorical_values_check"}
"""By statistic the type of SageMaker Model Monitor's check, where it is not that of drift."""


@dataclass(frozen=True)
class WindowReport:
    """One window.

    Attributes:
        begin: The time of the answer to its first row.
        rows: The number of its rows.
        evidence: The sequential test's sum over its threshold: 1 is an alarm.
        alarm: What raised an alarm: `inputs`, `labels`; empty for none.
        findings: All statistics.
        named: The columns that the alarm names.
    """

    begin: str
    rows: int
    evidence: float
    alarm: tuple[str, ...]
    findings: tuple[DriftFinding, ...]
    named: tuple[DriftFinding, ...] = ()


@dataclass(frozen=True)
class MonitorReport:
    """The windows that a monitor has judged, and its violations.

    Attributes:
        bundle: The digest of the bundle.
        per_month: False alarms a month at most, as stated.
        windows_a_month: Windows a month at the rate of the captured rows.
        windows: The windows in their order.
        labelled: Rows whose label has arrived.
    """

    bundle: str
    per_month: float
    windows_a_month: float
    windows: tuple[WindowReport, ...]
    labelled: int = 0
    remarks: tuple[str, ...] = field(default=())

    @property
    def violations(self) -> list[Json]:
        """The violations in the shape of SageMaker Model Monitor's `constraint_violations.json`."""
        return [
            {
                "feature_name": finding.column,
                "constraint_check_type": SAGEMAKER_CHECKS.get(finding.check, DRIFT_CHECK),
                "description": describe(finding, window.begin),
            }
            for window in self.windows
            for finding in window.named
        ]


def describe(finding: DriftFinding, begin: str) -> str:
    """Return a finding in a sentence."""
    usual = f"is {finding.value:.4g}, usually {finding.usual:.4g} (p = {finding.p_value:.2g})"
    return f"{finding.check} of '{finding.column}' in the window from {begin} {usual}"


def watch_bundle(
    reference: Fields,
    captured: Sequence[Captured],
    *,
    bundle: str,
    per_month: float,
    labels: Mapping[str, float] | None = None,
    rows: int = WINDOW_ROWS,
    days: float | None = None,
) -> MonitorReport:
    """Return the report on captured requests.

    Args:
        reference: A bundle's `reference.json`.
        captured: The answers in the order of time.
        bundle: Its digest.
        per_month: False alarms a month at most, half of them of labels where some have arrived.
        labels: The labels by id, as far as they have arrived.
        rows: Rows of a window; those of the reference's windows, for another number has another
            spread.
        days: The days that the captured rows span; None takes their times.
    """
    baseline = Baseline(reference)
    table = [(each, row) for each in captured for row in each.rows()]
    parts = [table[at : at + rows] for at in range(0, len(table) - rows + 1, rows)]
    span = captured_days(captured) if days is None else days
    a_month = max(len(parts) / max(span, 1e-9) * MONTH_DAYS, 1.0)
    share = per_month / 2 if labels else per_month
    inputs, outcomes = ChangeDetector(share, a_month), ChangeDetector(share, a_month)
    shown = shown_columns([row for _, row in table])
    reports, labelled = [], 0
    for part in parts:
        statistics = window_statistics(
            baseline, [row for _, row in part], reference.get("components"), shown
        )
        findings = baseline.findings(statistics)
        of_part = _labelled_rows([each for each, _ in part], labels or {})
        of_labels = (
            label_findings(*of_part, reference.get("calibration", {})) if len(of_part[1]) else []
        )
        labelled += len(of_part[1])
        raised_by = {
            "inputs": inputs.take([each.p_value for each in findings]),
            "labels": outcomes.take([f.p_value for f in of_labels]),
        }
        alarm = tuple(name for name, raised in raised_by.items() if raised)
        named = [
            *(discoveries(findings, FALSE_DISCOVERIES) if raised_by["inputs"] else ()),
            *(discoveries(of_labels, FALSE_DISCOVERIES) if raised_by["labels"] else ()),
        ]
        sums = max(inputs.value / inputs.threshold, outcomes.value / outcomes.threshold)
        reports.append(
            WindowReport(
                part[0][0].at,
                len(part),
                1.0 if alarm else sums,
                alarm,
                (*findings, *of_labels),
                tuple(named),
            )
        )
    return MonitorReport(
        bundle,
        per_month,
        a_month,
        tuple(reports),
        labelled,
        tuple(_remarks(baseline, table, rows, shown, bundle)),
    )


def _remarks(
    baseline: Baseline, table: Sequence[Any], rows: int, shown: Set[str], bundle: str
) -> list[str]:
    remarks = []
    if hidden := [name for name in baseline.names if name != RECONSTRUCTION and name not in shown]:
        remarks.append(
            f"No captured row shows {', '.join(hidden[:8])}{' ...' if len(hidden) > 8 else ''}: "
            f"not watched."
        )
    if others := sum(each.bundle not in ("", bundle) for each, _ in table):
        remarks.append(
            f"{others:,} of {len(table):,} rows were answered by another bundle, and are judged "
            f"by this one's reference."
        )
    if baseline.windows < 10:
        remarks.append(
            f"The reference has {baseline.windows} windows: what is usual is known roughly, so "
            f"that alarms come late."
        )
    if len(table) < rows:
        remarks.append(f"{len(table)} rows are no window of {rows} yet; nothing was judged.")
    return remarks


def shown_columns(rows: Sequence[Fields]) -> set[str]:
    """Return the columns that rows have, but for those that the capture hides."""
    return {name for row in rows for name, value in row.items() if value != HIDDEN}


def window_statistics(
    baseline: Baseline,
    rows: Sequence[Fields],
    components: Components | None,
    shown: Set[str],
) -> Json:
    """Return the statistics of a window, of the columns that the reference has.

    Args:
        baseline: The baseline of the reference.
        rows: The rows of the window, by column.
        components: The principal components of the reference; None where it has none.
        shown: The columns that any captured row shows. One that ceases to be sent is missing; one
            that nobody has sent is not judged, nor is the distance from components that it belongs
            to.
    """
    statistics = {}
    if components is not None and shown >= {*components["columns"]}:
        statistics[RECONSTRUCTION] = column_reference(
            pl.Series(RECONSTRUCTION, distances_of(components, rows)), WINDOW_GRID
        )
    for name in baseline.names:
        if name == RECONSTRUCTION or name not in shown:
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


def _labelled_rows(
    part: Sequence[Captured], labels: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and labels of the questions of a window whose label has arrived."""
    labelled = [
        (float(each.answer["probability"]), labels[str(each.answer.get("id"))])
        for each in part
        if str(each.answer.get("id")) in labels and each.answer.get("probability") is not None
    ]
    pairs = np.array(labelled, float).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def captured_days(captured: Sequence[Captured]) -> float:
    """Return the days that captured rows span, an hour at least."""
    first, last = (
        datetime.fromisoformat(captured[place].at.replace("Z", "+00:00")) for place in (0, -1)
    )
    return max((last - first).total_seconds() / 86_400, 1 / 24)


# Segments: the answers to the rows of each text of a column, watched apart, for what changes
# for few hides among all.


def watch_segments(
    reference: Fields,
    captured: Sequence[Captured],
    column: str,
    *,
    bundle: str,
    per_month: float,
    labels: Mapping[str, float] | None,
    rows: int,
) -> dict[str, MonitorReport]:
    """Return the report on each segment of the chosen column.

    Args:
        reference: A bundle's `reference.json`.
        captured: The answers in the order of time.
        column: A column of few texts.
        bundle: Its digest.
        per_month: False alarms a month at most, of all segments together.
        labels: The labels by id, as far as they have arrived.
        rows: Rows of a window.

    Raises:
        ConfigError: The bundle has no segments of this column, or no captured question shows one.
    """
    segments = reference.get("segments", {})
    if column not in segments:
        raise ConfigError(
            f"--by: the bundle has no segments by "
            f"'{column}'{nearest(column, segments) if segments else '.'}"
        )
    by_value = {
        value: [each for each in captured if each.question.get(column) == value]
        for value in segments[column]
    }
    shown = {value: part for value, part in by_value.items() if part}
    if not shown:
        raise ConfigError(
            f"--by: no captured question shows '{column}'; the bundle knows "
            f"{', '.join(segments[column])}."
        )
    share, days = per_month / len(shown), captured_days(captured)
    return {
        value: watch_bundle(
            segments[column][value],
            part,
            bundle=bundle,
            per_month=share,
            labels=labels,
            rows=rows,
            days=days,
        )
        for value, part in shown.items()
    }


# The page of a monitor: the evidence by window, what was named, and every column; it loads
# nothing from elsewhere.

PAGE = Path(__file__).with_name("page.html.j2")
WIDTH, HEIGHT = 860, 180


def monitor_page(report: MonitorReport) -> str:
    """Return the page of a report; in its picture an alarm is a dot at the threshold."""
    from jinja2 import Environment

    windows = report.windows
    alarms, step = sum(bool(window.alarm) for window in windows), WIDTH / max(len(windows), 1)
    points = [
        (step * (place + 0.5), HEIGHT - 20 - (HEIGHT - 50) * min(each.evidence, 1.0), each.alarm)
        for place, each in enumerate(windows)
    ]
    return (
        Environment(autoescape=True)
        .from_string(PAGE.read_text(encoding="utf-8"))
        .render(
            report=report,
            alarms=counted(alarms, "alarms") if alarms else "No alarm",
            windows=counted(len(windows), "windows"),
            points=points,
            width=WIDTH,
            height=HEIGHT,
        )
    )


def write_report(folder: Path, report: MonitorReport) -> None:
    """Write `report.json`, SageMaker's `constraint_violations.json`, and the page."""
    write_json(folder / "report.json", {**asdict(report), "violations": report.violations})
    write_json(folder / "constraint_violations.json", {"violations": report.violations})
    write_text(folder / "report.html", monitor_page(report))
