"""Gaps: rows and values that a user's series lack, filled from earlier rows alone."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import polars as pl
from pydantic import BeforeValidator

from hwds.core.errors import DataError
from hwds.frames.checks import breaks, checked
from hwds.frames.frequency import Frequency
from hwds.frames.roles import SERIES, TARGET, TIME, Roles

Gaps = Annotated[Literal["error", "zero", "forward", "null"], BeforeValidator(lambda value: "null" if value is None else value)]
"""The treatment of gaps; YAML's null is the word."""

_THERE = "__there__"


def without_gaps(table: pl.DataFrame, roles: Roles, frequency: Frequency, policy: Gaps) -> pl.DataFrame:
    """Return the table with a row at every step from the first to the last of each series, sorted unless the policy is `error`.

    Args:
        table: Columns `series_id`, `time`, `target` and those with a role.
        roles: What the other columns may be used for.
        frequency: The distance between rows.
        policy: What the target of a missing row, and a missing target, becomes: `zero`, the last value before it (`forward`)
            or `null`. The other columns of an added row are carried forward, but its numbers are null under `null`.
            `error` fills nothing.

    Raises:
        DataError: Under `error` a missing target; under the others what `Panel.build` refuses, and rows that are not whole
            steps apart.
    """
    if policy == "error":
        _refuse_missing_target(table)
        return table
    table = checked(table, roles, frequency, gaps=True)
    if breaks(table, frequency).any():
        table = _filled(table, roles, frequency, policy)
    if policy == "zero":
        return table.with_columns(pl.col(TARGET).fill_null(0.0))
    if policy == "forward":
        return table.with_columns(pl.col(TARGET).forward_fill().over(SERIES))
    return table


def _refuse_missing_target(table: pl.DataFrame) -> None:
    rows = (table[TARGET].is_null() & table[SERIES].is_not_null() & table[TIME].is_not_null()).arg_true()
    if len(rows):
        row = table.row(rows[0], named=True)
        where = f"series '{row[SERIES]}' has no target at {row[TIME]} (row {rows[0] + 1})"
        raise DataError(f"dataset: {where}; dataset.gaps may be zero, forward or null.")


def _filled(table: pl.DataFrame, roles: Roles, frequency: Frequency, policy: Gaps) -> pl.DataFrame:
    grid = _grid(table, frequency)
    both = grid.join(table.with_columns(pl.lit(True).alias(_THERE)), on=[SERIES, TIME], how="left", maintain_order="left")
    if both[_THERE].count() < len(table):
        _refuse_off_grid(table, grid, frequency)
    carried = [name for name in roles.names if policy != "null" or name not in roles.numbers]
    added = pl.col(_THERE).is_null()
    before = {name: pl.col(name).forward_fill().over(SERIES) for name in carried}
    forward = [pl.when(added).then(value).otherwise(pl.col(name)).alias(name) for name, value in before.items()]
    return both.with_columns(forward).select(table.columns)


def _grid(table: pl.DataFrame, frequency: Frequency) -> pl.DataFrame:
    """Return every step of every series from its first row to its last."""
    first_last = pl.col(TIME).first().alias("first"), pl.col(TIME).last().alias("last")
    spans = table.group_by(SERIES, maintain_order=True).agg(first_last)
    count, unit = re.fullmatch(r"(\d+)(\D+)", frequency.every).groups()  # type: ignore[union-attr]
    kind = table.schema[TIME]
    first = pl.col("first").dt.month_start() if frequency.month_end else pl.col("first")
    if unit == "i":
        steps = pl.int_ranges(first, pl.col("last") + 1, int(count))
    elif kind == pl.Date:
        steps = pl.date_ranges(first, "last", frequency.every)
    else:
        steps = pl.datetime_ranges(first, "last", frequency.every)
    grid = spans.select(SERIES, steps.alias(TIME)).explode(TIME)
    if frequency.month_end:
        grid = grid.with_columns(pl.col(TIME).dt.month_end())
    return grid.with_columns(pl.col(TIME).cast(kind))


def _refuse_off_grid(table: pl.DataFrame, grid: pl.DataFrame, frequency: Frequency) -> None:
    row = table.join(grid, on=[SERIES, TIME], how="anti", maintain_order="left").row(0, named=True)
    first = table.filter(pl.col(SERIES) == row[SERIES])[TIME][0]
    raise DataError(
        f"dataset: series '{row[SERIES]}' has a row at {row[TIME]}, which is not a whole number of steps of {frequency.every}"
        f" after {first}; see dataset.frequency."
    )
