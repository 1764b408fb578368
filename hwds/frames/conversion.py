"""Frames of polars or pandas as the columns of a panel or a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time
from typing import Any

import polars as pl

from hwds.core.errors import DataError, nearest
from hwds.frames.roles import SERIES, TARGET, TIME, Names, Roles, listed


def as_polars(data: Any) -> pl.DataFrame:
    """Return a frame of polars, pandas or Arrow as one of polars; a mapping of columns likewise.

    Raises:
        DataError: It is none of these.
    """
    if isinstance(data, pl.DataFrame):
        return data
    if isinstance(data, pl.LazyFrame):
        return data.collect()
    if hasattr(data, "__arrow_c_stream__") or isinstance(data, dict):
        return pl.DataFrame(data)
    if type(data).__module__.partition(".")[0] == "pandas":
        return pl.from_pandas(data)
    raise DataError(f"frame: must be a frame of polars, pandas or Arrow, got {type(data).__name__}.")


def panel_columns(data: pl.DataFrame, series: Names, time: str, target: str | None, roles: Roles) -> pl.DataFrame:
    """Return the columns of a panel: `series_id`, `time`, `target`, then those with a role.

    Args:
        data: Rows in any order.
        series: The columns that name a series, several joined with '|'; nothing where all rows are one series.
        time: The column of instants: dates, datetimes or whole numbers.
        target: The column to forecast; None for rows that are still to come.
        roles: Of the other columns.

    Raises:
        DataError: A column is missing, the times are text, or a column of numbers holds something else.
    """
    names = listed(series)
    _must_have(data, [*names, time, *([target] if target else []), *roles.names])
    ids = (
        pl.concat_str([pl.col(name).cast(pl.String) for name in names], separator="|") if names else pl.lit(target or "series")
    )
    columns = [ids.alias(SERIES), _instants(data[time]).alias(TIME)]
    columns += [numbers(data[target]).alias(TARGET)] if target else []
    columns += [numbers(data[name]) for name in roles.numbers]
    columns += [pl.col(name) for name in roles.names if name not in roles.numbers]
    return data.select(columns)


def numbers(column: pl.Series) -> pl.Series:
    """Return a column as floats, null where it is NaN; numbers that are written as text are read.

    Raises:
        DataError: It holds something else, with the first row that does.
    """
    if column.dtype.is_nested() or column.dtype in (pl.Object, pl.Binary):
        raise DataError(f"frame: column '{column.name}' must hold numbers, got {column.dtype}.")
    values = column.cast(pl.Float64, strict=False)
    wrong = (values.is_null() & column.is_not_null()).arg_true()
    if len(wrong):
        raise DataError(f"frame: column '{column.name}' must hold numbers, row {wrong[0] + 1} has {column[wrong[0]]!r}.")
    return values.fill_nan(None)


def _must_have(data: pl.DataFrame, names: Sequence[str]) -> None:
    missing = next((name for name in names if name not in data.columns), None)
    if missing is not None:
        raise DataError(f"frame: no column '{missing}'{nearest(missing, data.columns)}")


def _instants(column: pl.Series) -> pl.Series:
    """Dates where every instant is a midnight, as pandas has them; else as they are."""
    if not (column.dtype.is_temporal() or column.dtype.is_integer()):
        raise DataError(f"frame: column '{column.name}' must hold dates, datetimes or whole numbers, got {column.dtype}.")
    if isinstance(column.dtype, pl.Datetime) and bool((column.drop_nulls().dt.time() == time(0)).all()):
        return column.cast(pl.Date)
    return column.cast(pl.Int64) if column.dtype.is_integer() else column
