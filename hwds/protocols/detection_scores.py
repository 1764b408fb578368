"""The scores of judged rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from hwds.metrics.base import Measure
from hwds.metrics.detection import average_precision
from hwds.protocols.score import Score


def detection_measures(protocol: Any, unit: str) -> Sequence[Measure]:
    """What each metric says of itself."""
    return (
        Measure("aucpr", meaning="average precision: the area under precision against recall", better="high", units="rows"),
    )


def scores_of(rows: pl.DataFrame, protocol: Any) -> list[Score]:
    """The scores of test rows."""
    known = rows.filter(pl.col("label").is_not_null())
    windows = known.partition_by("cutoff")
    values = [average_precision(window["label"].to_numpy(), window["score"].to_numpy()) for window in windows]
    return [Score("aucpr", "mean", sum(values) / len(values), n=len(known))] if values else []
