"""Segments: the answers to the rows of each text of a column, watched apart, for what changes for few hides among all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hwds.core.errors import ConfigError, nearest
from hwds.production.monitor.captured import Captured
from hwds.production.monitor.watch import Report, days_of, watched


def watched_segments(
    reference: Mapping[str, Any],
    captured: Sequence[Captured],
    column: str,
    *,
    bundle: str,
    per_month: float,
    labels: Mapping[str, float] | None,
    rows: int,
) -> dict[str, Report]:
    """Return the report on each segment of the chosen column.

    Args:
        reference: A bundle's `reference.json`.
        captured: In the order of time.
        column: Of few texts.
        bundle: Its digest.
        per_month: False alarms a month at most, of all segments together.
        labels: By id, as far as they have arrived.
        rows: Rows of a window.

    Raises:
        ConfigError: The bundle has no segments of this column, or no captured question shows one.
    """
    known = reference.get("segments", {})
    if column not in known:
        raise ConfigError(f"--by: the bundle has no segments by '{column}'{nearest(column, known) if known else '.'}")
    by_value = {value: [each for each in captured if each.question.get(column) == value] for value in known[column]}
    asked = {value: part for value, part in by_value.items() if part}
    if not asked:
        raise ConfigError(f"--by: no captured question shows '{column}'; the bundle knows {', '.join(known[column])}.")
    share, days = per_month / len(asked), days_of(captured)
    return {
        value: watched(known[column][value], part, bundle=bundle, per_month=share, labels=labels, rows=rows, days=days)
        for value, part in asked.items()
    }
