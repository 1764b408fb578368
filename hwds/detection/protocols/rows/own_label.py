"""Twins of a table that differ in the label of one scored row: no prediction of that row may change."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from hwds.frames.table import ROW_ID, Table
from hwds.splitting.row_windows import arrivals


def last_tested(frame: Table, rows: pl.DataFrame) -> int | None:
    """Return the id of the labelled test row that arrived last, of which no other row may depend; None where there is none."""
    tested = rows.filter((pl.col("part") == "test") & pl.col("label").is_not_null()) if rows.width else rows
    if tested.is_empty():
        return None
    arrived = frame.data.select(ROW_ID, arrivals(frame).alias("arrived"))
    both = tested.select(ROW_ID).join(arrived, on=ROW_ID, how="left").sort("arrived", ROW_ID)
    return int(both[ROW_ID][-1])


def with_label_turned(frame: Table, row: int) -> Table:
    """Return the table with another label in one row."""
    label = frame.data[frame.name("label")].cast(pl.Float64)
    return replace(frame, data=frame.data.with_columns(label.zip_with(frame.data[ROW_ID] != row, 1 - label)))
