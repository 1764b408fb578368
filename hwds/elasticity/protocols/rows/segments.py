"""The segments of cells."""

from __future__ import annotations

import polars as pl

from hwds.core.errors import ConfigError, nearest
from hwds.evaluation.segments import SEGMENT
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES

IN_ROWS = ("status",)
"""Segments that the rows of an evaluation hold themselves."""


def cell_labels(frame: Panel, column: str) -> pl.DataFrame | None:
    """Return the segment of each cell by a static column; None for one of the rows themselves.

    Raises:
        ConfigError: There is no such column.
    """
    if column in IN_ROWS:
        return None
    if column not in frame.roles.constant:
        raise ConfigError(f"protocol.segments: no static column '{column}'{nearest(column, (*frame.roles.constant, *IN_ROWS))}")
    return frame.table.select(SERIES, pl.col(column).alias(SEGMENT))[frame.offsets[:-1]]
