"""The rows of each part with their inputs, and labels as far as a part may know them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl

from hwds.detection.context import RowContext
from hwds.frames.table import Table
from hwds.splitting.row_windows import PARTS, arrivals, as_known
from hwds.splitting.rows import between

LAST = datetime(9999, 12, 31)


def parts_in_time(
    seen: Table, edges: Mapping[str, tuple[datetime, datetime]], cutoff: datetime, context: RowContext
) -> dict[str, Table]:
    """Return the rows that arrived between the edges of each part; labels as far as they had arrived by the cutoff.

    Args:
        seen: The rows and the labels that had arrived by the last edge.
        edges: The beginning of each part, and its end (excluded).
        cutoff: The last instant that a learner may know.
        context: Computes the inputs.
    """
    wide = seen.with_inputs(context.columns_of(seen))
    label, when = wide.name("label"), wide.name("label_time")
    by_then = pl.when(pl.col(when) <= cutoff).then(pl.col(label)).alias(label)
    return between(replace(wide, data=wide.data.with_columns(by_then)), edges)


def parts_of_groups(known: Table, part: np.ndarray, context: RowContext) -> dict[str, Table]:
    """Return the rows of each part; inputs are made of labels of training rows alone, and scored rows have no label.

    Args:
        known: All rows, without the truth.
        part: The part of each row.
        context: Computes the inputs.
    """
    label = known.name("label")
    train = pl.lit(pl.Series(part == "train"))
    hidden = replace(known, data=known.data.with_columns(pl.when(train).then(pl.col(label)).alias(label)))
    wide = hidden.with_inputs(context.columns_of(hidden))
    learned = pl.lit(pl.Series(np.isin(part, ("train", "stop", "calibrate"))))
    given = replace(wide, data=wide.data.with_columns(pl.when(learned).then(known.data[label]).alias(label)))
    return {name: given.filter(part == name) for name in PARTS}


def without_truth(frame: Table, delay: int) -> Table:
    """Return all rows and labels, without columns that only a simulator knows."""
    if frame.roles.get("time"):
        return as_known(frame, LAST, delay)
    label, truth = frame.name("label"), frame.roles.get("truth", ())
    roles = frame.roles.without("truth")
    return replace(frame, data=frame.data.with_columns(pl.col(label).cast(pl.Float64)).drop(truth), roles=roles)


def with_labels_turned(frame: Table, groups: pl.Series, tested: np.ndarray) -> Table:
    """Return the table with flipped labels in all rows of the groups that have a tested row."""
    label = frame.name("label")
    flipped = pl.lit(groups.is_in(groups.filter(pl.Series(tested)).implode()))
    turned = pl.when(flipped).then(1 - pl.col(label).cast(pl.Float64)).otherwise(pl.col(label)).alias(label)
    return replace(frame, data=frame.data.with_columns(turned))


def arrived_by(rows: pl.DataFrame, frame: Table, instant: datetime) -> pl.DataFrame:
    """Return the rows that had arrived by an instant."""
    arrived = frame.data.select("row_id", arrivals(frame).alias("__arrived"))
    return rows.join(arrived, on="row_id", how="left", maintain_order="left").filter(pl.col("__arrived") <= instant)


def days_since(rows: Table, cutoff: datetime) -> pl.Series:
    """Return days from a cutoff's midnight to the arrival of each row: a late one is scored on the day that it arrives."""
    midnight = cutoff.replace(hour=0, minute=0, second=0, microsecond=0)
    return (arrivals(rows).dt.truncate("1d") - midnight).dt.total_days().cast(pl.Int32).alias("day")
