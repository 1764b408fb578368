"""The columns of a test's table: arms and numbers, checked; every refusal names the role, the column and the row."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.frames.table import Table

CONTROL = "control"
"""The arm that is the control where the config names none."""

ROUNDING = 1e-6
"""The rounding error allowed in a share of a number of units."""


def arm_names(table: Table, control: str | None) -> tuple[str, ...]:
    """Return the arms, the control first, the others in order.

    Raises:
        ConfigError: The control is no arm.
        DataError: A row has no arm, or there is but one.
    """
    column = table.column("arm")
    if column.null_count():
        raise DataError(f"dataset.roles.arm: row {_row(table, column.is_null())} has no arm in column '{column.name}'.")
    arms = [str(arm) for arm in column.unique().sort().to_list()]
    if len(arms) < 2:
        raise DataError(f"dataset.roles.arm: column '{column.name}' has one arm, '{arms[0]}'; a test needs two.")
    if control is None and CONTROL not in arms:
        raise ConfigError(f"protocol.control: must be given; arms: {', '.join(arms[:12])}.")
    first = CONTROL if control is None else control
    if first not in arms:
        raise ConfigError(f"protocol.control: no arm '{first}'{nearest(first, arms)}")
    return (first, *(arm for arm in arms if arm != first))


def arm_codes(table: Table, names: tuple[str, ...]) -> np.ndarray:
    """Return the number of each row's arm."""
    text = table.column("arm").cast(pl.String)
    return text.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int64)


def day_ends(times: pl.Series, most: int) -> list[tuple[str, int]]:
    """Return the days of sorted times, each with the number of times until its end: at most so many, the last among them.

    An instant belongs to its date; a whole number is a day.
    """
    days = times.dt.date() if times.dtype == pl.Datetime else times
    last = (days != days.shift(-1)).fill_null(True).arg_true().to_numpy()
    shown = last if len(last) <= most else last[np.unique(np.linspace(0, len(last) - 1, most).round().astype(int))]
    return [(str(days[int(row)]), int(row) + 1) for row in shown]


def floats(table: Table, name: str, role: str, least: float | None = None) -> np.ndarray:
    """Return a column of numbers, one in each row.

    Raises:
        DataError: Text, a missing or infinite number, or one below the least.
    """
    column = table.data[name]
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        raise DataError(f"dataset.roles.{role}: column '{name}' holds {str(column.dtype).lower()} values, not numbers.")
    values = column.cast(pl.Float64)
    bad = values.is_null() | values.is_nan() | values.is_infinite()
    if bad.any():
        value = column[int(bad.arg_true()[0])]
        shown = "no value" if value is None else value
        raise DataError(f"dataset.roles.{role}: row {_row(table, bad)} has {shown} in column '{name}'; must be a number.")
    if least is not None and (values < least).any():
        low = values < least
        shown = f"{values[int(low.arg_true()[0])]:g}"
        raise DataError(f"dataset.roles.{role}: row {_row(table, low)} has {shown} in column '{name}'; must be >= {least:g}.")
    return values.to_numpy()


def _row(table: Table, bad: pl.Series) -> int:
    """Return the row of the source, counted from 1."""
    return int(table.data["row_id"][int(bad.arg_true()[0])]) + 1
