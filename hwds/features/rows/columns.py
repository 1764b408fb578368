"""Columns of a table as features of rows read them: absent ones, instants as numbers, values as codes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.frames.roles import ROLES
from hwds.frames.table import Table

NEVER = np.iinfo(np.int64).max
"""An instant after all others, in microseconds."""

LONG_AGO = np.iinfo(np.int64).min
"""An instant before all others."""

DAY = 86_400_000_000
"""Microseconds."""

HIDDEN = tuple(role.name for role in ROLES.values() if role.known == "never")
"""Roles of what is not known at a row's own moment."""


def present(table: Table, field: str, name: str, default: str = "") -> str:
    """Return the name of a column that a field names, empty where there is none; the default and no name may be absent.

    Raises:
        ConfigError: A name that the user chose is absent, or the column is not known at a row's own moment.
    """
    role = next((role for role in HIDDEN if name in table.roles.get(role, ())), "")
    if role:
        raise ConfigError(f"features.{field}: '{name}' is {role}, which is not known at the moment of its row.")
    if name in table.data.columns:
        return name
    if name in (default, ""):
        return ""
    raise ConfigError(f"features.{field}: no column '{name}'{nearest(name, table.data.columns)}")


def present_numbers(table: Table, field: str, name: str, default: str = "") -> str:
    """Return the same as `present`, for a column of numbers.

    Raises:
        ConfigError: The column holds others.
    """
    column = present(table, field, name, default)
    numbered(table, field, column)
    return column


def needs(table: Table, kind: str, *roles: str) -> None:
    """Refuse a table in which no column plays a role.

    Raises:
        ConfigError: With the role.
        DataError: Several columns play it, or the times are none.
    """
    for role in roles:
        if not table.roles.get(role):
            raise ConfigError(f"features: '{kind}' needs the role '{role}'; set dataset.roles.{role}.")
        table.column(role)
    if "time" in roles:
        happened(table)
        arrivals(table)


def numbered(table: Table, field: str, name: str) -> None:
    """Refuse a column that holds no numbers; no name is fine.

    Raises:
        ConfigError: With what it holds.
    """
    if name and not (table.data.schema[name].is_numeric() or table.data.schema[name] == pl.Boolean):
        raise ConfigError(f"features.{field}: column '{name}' must hold numbers, it holds {table.data.schema[name]}.")


def never_negative(table: Table, field: str, name: str) -> None:
    """Refuse a column with a number below 0; no name is fine.

    Raises:
        DataError: With the first row that has one.
    """
    if not name:
        return
    bad = (table.data[name] < 0).fill_null(False).arg_true()
    if len(bad):
        raise DataError(f"features.{field}: column '{name}' must be >= 0, row {bad[0] + 1} has {table.data[name][bad[0]]}.")


def instants(values: pl.Series, where: str) -> np.ndarray:
    """Return microseconds of the clock on the wall; a null is `NEVER`.

    Args:
        values: Dates or instants.
        where: What in the config names the column.

    Raises:
        DataError: The column holds no dates and no instants.
    """
    if not (values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime)):
        raise DataError(f"{where}: column '{values.name}' must hold dates or instants, it holds {values.dtype}.")
    return wall(values).cast(pl.Int64).fill_null(NEVER).to_numpy()


def wall(values: pl.Series) -> pl.Series:
    """Return dates or instants as instants without a zone."""
    plain = values.dt.replace_time_zone(None) if isinstance(values.dtype, pl.Datetime) else values
    return plain.cast(pl.Datetime("us"))


def happened(table: Table) -> np.ndarray:
    """Return when each row happened, in microseconds.

    Raises:
        DataError: No single column has the role `time`, it holds no instants, or a row has none.
    """
    column = table.column("time")
    time = instants(column, "dataset.roles.time")
    if column.null_count():
        row = int(column.is_null().arg_true()[0]) + 1
        raise DataError(f"dataset.roles.time: column '{column.name}' has no instant in row {row}.")
    return time


def arrivals(table: Table) -> np.ndarray:
    """Return when each row became known, in microseconds: its `available_at` (`NEVER` where null), or else its `time`."""
    role = "available_at" if table.roles.get("available_at") else "time"
    return instants(table.column(role), f"dataset.roles.{role}")


def floats(values: pl.Series) -> np.ndarray:
    """Return numbers, NaN where there is none."""
    return values.cast(pl.Float64).to_numpy()


def codes_of(values: pl.Series) -> np.ndarray:
    """Return for each distinct value a number from 0, in order of first appearance; -1 for null."""
    frame = values.alias("value").to_frame().with_row_index("row")
    first = pl.when(pl.col("value").is_not_null()).then(pl.col("row").first().over("value").cast(pl.Int64)).fill_null(-1)
    place = frame.select(first).to_series().to_numpy()
    known = place >= 0
    rank = np.zeros(len(place), np.int64)
    rank[place[known]] = 1
    rank = np.cumsum(rank) - 1
    return np.where(known, rank[place], -1)


def codes_apart(values: pl.Series) -> np.ndarray:
    """Return the same as `codes_of`, but each null is a value of its own."""
    codes = codes_of(values)
    unknown = np.flatnonzero(codes < 0)
    codes[unknown] = codes.max(initial=-1) + 1 + np.arange(len(unknown))
    return codes


def numbers_of(table: Table, name: str) -> np.ndarray:
    """Return a column as floats, NaN where there is none."""
    return np.array(floats(table.data[name]))  # a copy, which can be written to


def must_have(table: Table, field: str, names: Sequence[str]) -> None:
    """Refuse names of columns that are not there, or are not known at the moment of their row.

    Raises:
        ConfigError: With the nearest right name.
    """
    for name in names:
        present(table, field, name)


def must_be_numbers(table: Table, field: str, names: Sequence[str]) -> None:
    """Refuse names of columns that are not there, or hold no numbers.

    Raises:
        ConfigError: With the nearest right name, or what the column holds.
    """
    for name in names:
        present_numbers(table, field, name)


def entity_of(table: Table, field: str, name: str | None) -> str:
    """Return the column that says whose a row is: the one that is named, or else the one with the role `entity`.

    Raises:
        ConfigError: It is not there, or no column is named and none plays the role alone.
    """
    if name is not None:
        must_have(table, field, [name])
        return name
    played = table.roles.get("entity", ())
    if len(played) != 1:
        raise ConfigError(f"features.{field}: must name a column where no single one has the role 'entity', got null.")
    return played[0]
