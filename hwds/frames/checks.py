"""What a panel is held to when it is built; every refusal names the series, the instant and the rows."""

from __future__ import annotations

import polars as pl

from hwds.errors import DataError, nearest
from hwds.frames.frequency import Frequency
from hwds.frames.ordering import in_order, same_series
from hwds.frames.roles import SERIES, TARGET, TIME, PanelRoles

ROW = "__row__"


def checked(table: pl.DataFrame, roles: PanelRoles, frequency: Frequency, *, gaps: bool = False) -> pl.DataFrame:
    """The table sorted by series and time, its columns in order: keys, target, then those with a role.

    Args:
        table: Rows in any order.
        roles: What its columns may be used for.
        frequency: The distance between rows.
        gaps: Let gaps through, for a dataset that will fill them.

    Raises:
        DataError: As `Panel.build` says.
    """
    for name in (SERIES, TIME, TARGET, *roles.names):
        if name not in table.columns:
            raise DataError(f"dataset: no column '{name}'{nearest(name, table.columns)}")
    if table.is_empty():
        raise DataError("dataset: no rows.")
    _no_null_keys(table)
    numbers = (TARGET, *roles.known_future, *roles.past_only)
    _finite(table, numbers)
    table = in_order(
        table.select(SERIES, TIME, TARGET, *roles.names)
        .with_columns(pl.col(SERIES).cast(pl.String), *(pl.col(name).cast(pl.Float64) for name in numbers))
        .with_row_index(ROW)
    )
    same = same_series(table)
    _one_row_an_instant(table, same)
    if not gaps:
        _no_gaps(table, same, frequency)
    _constant(table, same, (*roles.static, *roles.level))
    if roles.split:
        _train_then_test(table, same, roles.split)
    return table.drop(ROW).rechunk()


def _no_null_keys(table: pl.DataFrame) -> None:
    for name in (SERIES, TIME):
        bad = table[name].is_null().arg_true()
        if len(bad):
            raise DataError(f"dataset: row {bad[0] + 1} has no {'series' if name == SERIES else 'time'}.")


def _finite(table: pl.DataFrame, names: tuple[str, ...]) -> None:
    for name in names:
        column = table[name]
        if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
            raise DataError(f"dataset: column '{name}' must hold numbers, row 1 has {column[0]!r}.")
        if not column.dtype.is_float():
            continue
        bad = (column.is_infinite() | column.is_nan()).fill_null(False).arg_true()
        if len(bad):
            row = table.row(bad[0], named=True)
            raise DataError(f"dataset: series '{row[SERIES]}' has {name} {row[name]} at {row[TIME]} (row {bad[0] + 1}).")


def _one_row_an_instant(table: pl.DataFrame, same: pl.Series) -> None:
    bad = (same & (table[TIME] == table[TIME].shift(1)).fill_null(False)).arg_true()
    if len(bad):
        first, second = table.row(bad[0] - 1, named=True), table.row(bad[0], named=True)
        rows = sorted((first[ROW] + 1, second[ROW] + 1))
        raise DataError(f"dataset: series '{second[SERIES]}' has two rows at {second[TIME]} (rows {rows[0]} and {rows[1]}).")


def breaks(table: pl.DataFrame, frequency: Frequency) -> pl.Series:
    """True for each row of a sorted table that is not one step after the row before in its series."""
    return same_series(table) & _off_step(table, frequency)


def _off_step(table: pl.DataFrame, frequency: Frequency) -> pl.Series:
    return (frequency.after(table[TIME], 1).shift(1) != table[TIME]).fill_null(False)


def _no_gaps(table: pl.DataFrame, same: pl.Series, frequency: Frequency) -> None:
    bad = (same & _off_step(table, frequency)).arg_true()
    if len(bad):
        before, after = table.row(bad[0] - 1, named=True), table.row(bad[0], named=True)
        raise DataError(
            f"dataset: series '{after[SERIES]}' has a gap: {before[TIME]} is followed by {after[TIME]}"
            f" (row {after[ROW] + 1}), not by one step of {frequency.every}; see dataset.gaps."
        )


def _constant(table: pl.DataFrame, same: pl.Series, names: tuple[str, ...]) -> None:
    for name in names:
        bad = (same & table[name].ne_missing(table[name].shift(1))).arg_true()
        if len(bad):
            row = table.row(bad[0], named=True)
            raise DataError(
                f"dataset: static column '{name}' changes in series '{row[SERIES]}' at {row[TIME]} (row {row[ROW] + 1})."
            )


def _train_then_test(table: pl.DataFrame, same: pl.Series, split: str) -> None:
    values = table[split].cast(pl.String)
    for value in values.unique().sort().to_list():
        if value not in ("train", "test"):
            raise DataError(f"dataset: split column '{split}' must say 'train' or 'test', got {value!r}.")
    bad = (same & (values == "train") & (values.shift(1) == "test")).fill_null(False).arg_true()
    if len(bad):
        row = table.row(bad[0], named=True)
        raise DataError(
            f"dataset: series '{row[SERIES]}' has a train row after a test row at {row[TIME]} (row {row[ROW] + 1})."
        )
