"""Numbered rows: which cutoffs of two series fall together, where no date tells it."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from hwds.forecast.metrics.scores import FROM_LAST
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.splitting.panels import Align


def from_last(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows whose cutoffs are counted from each series' end, with `FROM_LAST` where they are numbers.

    Series that are numbered from their own beginnings and end together share what happens at the end: by their numbers, each
    length would be an origin of its own, and a shock of all of them evidence of many.

    Args:
        rows: Of one model at all cutoffs.
    """
    if rows.is_empty() or not rows.schema["cutoff"].is_integer():
        return rows
    return rows.with_columns((pl.col("cutoff") - pl.col("cutoff").max().over(SERIES)).cast(pl.Int64).alias(FROM_LAST))


def on_numbered(panel: Panel, align: Align) -> Iterator[str]:
    """Yield what is taken for granted of several series whose rows are numbered."""
    if panel.n_series < 2 or not panel.table.schema[TIME].is_integer():
        return
    if align == "calendar":
        yield "Rows are numbered: equal numbers of two series are taken as one instant."
    else:
        yield (
            "Rows are numbered, which does not tell which of two series fall together: windows as far from the ends of their"
            " series count as one origin, for a shock may have hit all of them."
        )
