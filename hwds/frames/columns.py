"""The columns of a frame, given as polars, pandas or Arrow, and the checks of a panel of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import time
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
from polars import DataFrame, Series, col

from hwds.core.errors import DataError, nearest
from hwds.core.files import Readable
from hwds.frames.frequency import Frequency
from hwds.frames.roles import (
    KEYS,
    ROLES,
    SERIES,
    TARGET,
    TIME,
    Names,
    Roles,
    as_names,
    refuse_unplaced,
)

# Frames of polars or pandas as the columns of a panel or a table.


def as_polars(data: Any) -> DataFrame:
    """Return a frame of polars, pandas or Arrow as one of polars; a mapping of columns likewise.

    Raises:
        DataError: It is none of these.
    """
    if isinstance(data, DataFrame):
        return data
    if isinstance(data, pl.LazyFrame):
        return data.collect()
    if type(data).__module__.partition(".")[0] == "pandas":
        return pl.from_pandas(with_index_columns(data))
    if hasattr(data, "__arrow_c_stream__") or isinstance(data, dict):
        return DataFrame(data)
    raise DataError(
        f"frame: must be a frame of polars, pandas or Arrow, got {type(data).__name__}."
    )


def with_index_columns(data: Any) -> Any:
    """Return a frame of pandas whose named or dated index levels are columns, and whose periods are
    the instants at which they begin.
    """
    frame = data.to_frame() if type(data).__name__ == "Series" else data
    index = frame.index.to_frame(index=False)
    kinds = [getattr(kind, "kind", "O") == "M" or "period" in str(kind) for kind in index.dtypes]
    named = zip(frame.index.names, kinds, strict=True)
    index.columns = [name if name is not None else INDEX if dated else "" for name, dated in named]
    kept = [name for name in index.columns if name != "" and name not in frame.columns]
    frame = frame.reset_index(drop=True)
    for place, name in enumerate(kept):
        frame.insert(place, name, index[name])
    for name, kind in frame.dtypes.items():
        if "period" in str(kind):
            frame[name] = frame[name].dt.to_timestamp()
    return frame


INDEX = "index"
"""The name of an index of times that has none, as pandas calls its column."""

NIXTLA = {"series": "unique_id", "time": "ds", "target": "y"}
"""The names of statsforecast and its siblings."""


def panel_names(
    columns: DataFrame, series: Names, time: str, target: str
) -> tuple[Names, str, str]:
    """Return the columns of series, times and target; where one is not given, that of Nixtla's
    name, or the only column of times.

    Raises:
        DataError: There is none of these, or nothing tells series apart.
    """
    present = columns.columns
    if series is None and NIXTLA["series"] in present:
        series = NIXTLA["series"]
    times = [name for name, kind in columns.schema.items() if kind.is_temporal()]
    given = {"time": time, "target": target}
    guessed = {
        "time": NIXTLA["time"]
        if NIXTLA["time"] in present
        else times[0]
        if len(times) == 1
        else "",
        "target": NIXTLA["target"] if NIXTLA["target"] in present else "",
    }
    for name in (name for name in given if not given[name] and not guessed[name]):
        raise DataError(
            f"Panel.of: {name} must be given, such as {name}='{present[-1]}': there is no column "
            f"'{NIXTLA[name]}'; the columns are {', '.join(present[:12])}."
        )
    if time and time not in present and INDEX in present:
        raise DataError(
            f"Panel.of: no column '{time}'; the index of times has no name. Name it by "
            f"data.index.name = '{time}', or pass time='{INDEX}'."
        )
    time, target = time or guessed["time"], target or guessed["target"]
    texts = [name for name, kind in columns.schema.items() if kind == pl.String]
    if series is None and texts and time in present and columns[time].is_duplicated().any():
        raise DataError(
            f"Panel.of: several rows have the same '{time}'; name the columns that tell series "
            f"apart, such as series='{texts[0]}'."
        )
    return series, time, target


def panel_columns(
    data: DataFrame, series: Names, time: str, target: str | None, roles: Roles
) -> DataFrame:
    """Return the columns of a panel: `series_id`, `time`, `target`, then those with a role.

    Args:
        data: Rows in any order.
        series: The columns that name a series, several joined with '|'; nothing where all rows are
            one series.
        time: The column of instants: dates, datetimes or whole numbers.
        target: The column to forecast; None for rows that are still to come.
        roles: The roles of the other columns.

    Raises:
        DataError: A column is missing, the times are text, or a column of numbers holds something
            else.
    """
    names = as_names(series)
    keys = [*names, time, *([target] if target else [])]
    refuse_absent("frame", (*keys, *roles.names), data.columns)
    ids = (
        pl.concat_str([col(name).cast(pl.String) for name in names], separator="|")
        if names
        else pl.lit(target or "series")
    )
    columns = [ids.alias(SERIES), _dates_or_instants(data[time]).alias(TIME)]
    columns += [to_float_column(data[target]).alias(TARGET)] if target else []
    columns += [to_float_column(data[name]) for name in roles.numbers]
    columns += [col(name) for name in roles.names if name not in roles.numbers]
    return data.select(columns)


def to_float_column(column: Series) -> Series:
    """Return a column as floats, null where it is NaN; numbers that are written as text are read.

    Raises:
        DataError: It holds something else, with the first row that does.
    """
    if column.dtype.is_nested() or column.dtype in (pl.Object, pl.Binary):
        raise DataError(f"frame: column '{column.name}' must hold numbers, got {column.dtype}.")
    values = column.cast(pl.Float64, strict=False)
    wrong = (values.is_null() & column.is_not_null()).arg_true()
    if len(wrong):
        raise DataError(
            f"frame: column '{column.name}' must hold numbers, row {wrong[0] + 1} has "
            f"{column[wrong[0]]!r}."
        )
    return values.fill_nan(None)


def refuse_absent(where: str, names: Iterable[str], present: Sequence[str]) -> None:
    """Refuse names of columns that a frame does not have.

    Raises:
        DataError: With the nearest right name.
    """
    for name in names:
        if name not in present:
            raise DataError(f"{where}: no column '{name}'{nearest(name, present)}")


def first_row(table: DataFrame, mask: Series) -> dict[str, Any] | None:
    """Return the first row of which a mask is true, by column; None where there is none."""
    places = mask.arg_true()
    return table.row(places[0], named=True) if len(places) else None


def first_pair(table: DataFrame, mask: Series) -> tuple[dict[str, Any], ...]:
    """Return the first row of which a mask is true after the row before it; nothing where there is
    none.
    """
    places = mask.arg_true()[:1]
    return tuple(table.row(at, named=True) for place in places for at in (place - 1, place))


def is_number(kind: pl.DataType) -> bool:
    """Return whether a column of a type can be computed with; that of nulls alone can."""
    return kind.is_numeric() or kind in (pl.Boolean, pl.Null)


def ipc_bytes(table: DataFrame) -> bytes:
    """Return a table as uncompressed Arrow, of which digests are made."""
    buffer = BytesIO()
    table.rechunk().write_ipc(buffer)
    return buffer.getvalue()


def read_arrow(file: Readable) -> DataFrame:
    """Return the table of an Arrow file, which is mapped into memory if it is not there already."""
    return pl.read_ipc(file if isinstance(file, Path) else file.read_bytes())


def _dates_or_instants(column: Series) -> Series:
    """Dates where every instant is a midnight, as pandas has them; else as they are."""
    if not (column.dtype.is_temporal() or column.dtype.is_integer()):
        raise DataError(
            f"frame: column '{column.name}' must hold dates, datetimes or whole numbers, got "
            f"{column.dtype}."
        )
    if isinstance(column.dtype, pl.Datetime) and bool(
        (column.drop_nulls().dt.time() == time(0)).all()
    ):
        return column.cast(pl.Date)
    return column.cast(pl.Int64) if column.dtype.is_integer() else column


# Checks of a panel when it is built, and its order; every refusal names the series, the instant
# and the rows.

ROW, _KEY = "__row__", "__key__"


def check_panel(
    table: DataFrame, roles: Roles, frequency: Frequency, *, gaps: bool = False
) -> DataFrame:
    """Return the table sorted by series and time, its columns in order: keys, target, then those
    with a role.

    Args:
        table: Rows in any order.
        roles: What its columns may be used for.
        frequency: The distance between rows.
        gaps: Let gaps through, for a dataset that will fill them.

    Raises:
        DataError: As `Panel.build` says.
    """
    refuse_absent("dataset", (SERIES, TIME, TARGET, *roles.names), table.columns)
    if table.is_empty():
        raise DataError("dataset: no rows.")
    refuse_unplaced(roles)
    _no_null_keys(table)
    numbers = (TARGET, *roles.numbers)
    _finite(table, numbers)
    table = in_order(
        table.select(SERIES, TIME, TARGET, *roles.names)
        .with_columns(
            col(SERIES).cast(pl.String), *(col(name).cast(pl.Float64) for name in numbers)
        )
        .with_row_index(ROW)
    )
    same = same_series(table)
    _one_row_an_instant(table, same)
    if not gaps:
        _no_gaps(table, same, frequency)
    _constant(table, same, roles.constant)
    if roles.split:
        _train_then_test(table, same, roles.split)
    return table.drop(ROW).rechunk()


def _no_null_keys(table: DataFrame) -> None:
    for role, name in KEYS.items():
        bad = table[name].is_null().arg_true()
        if len(bad) and not ROLES[role].null:
            raise DataError(f"dataset: row {bad[0] + 1} has no {role}.")


LARGEST = 1e100
"""The largest number of a column: its square, and the sum of a million of them, is still a number.
"""


def _finite(table: DataFrame, names: tuple[str, ...]) -> None:
    for name in names:
        column = table[name]
        if not is_number(column.dtype):
            raise DataError(f"dataset: column '{name}' must hold numbers, row 1 has {column[0]!r}.")
        if not column.dtype.is_float():
            continue
        bad = (column.is_nan() | (column.abs() > LARGEST)).fill_null(False).arg_true()
        if len(bad):
            row = table.row(bad[0], named=True)
            raise DataError(
                f"dataset: series '{row[SERIES]}' has {name} {row[name]} at {row[TIME]} (row "
                f"{bad[0] + 1})."
            )


def _one_row_an_instant(table: DataFrame, same: Series) -> None:
    if pair := first_pair(table, same & (table[TIME] == table[TIME].shift(1))):
        first, second = sorted(row[ROW] + 1 for row in pair)
        raise DataError(
            f"dataset: series '{pair[1][SERIES]}' has two rows at {pair[1][TIME]} (rows {first} "
            f"and {second}); dataset.duplicates may be sum, mean or last."
        )


def breaks(table: DataFrame, frequency: Frequency) -> Series:
    """Return, for each row of a sorted table, whether it is not one step after the row before in
    its series.
    """
    return same_series(table) & _off_step(table, frequency)


def _off_step(table: DataFrame, frequency: Frequency) -> Series:
    return (frequency.after(table[TIME], 1).shift(1) != table[TIME]).fill_null(False)


def _no_gaps(table: DataFrame, same: Series, frequency: Frequency) -> None:
    if pair := first_pair(table, same & _off_step(table, frequency)):
        before, after = pair
        raise DataError(
            f"dataset: series '{after[SERIES]}' has a gap: {before[TIME]} is followed by "
            f"{after[TIME]}"
            f" (row {after[ROW] + 1}), not by one step of {frequency.every}; dataset.gaps may be "
            f"zero, forward or null."
        )


def _constant(table: DataFrame, same: Series, names: tuple[str, ...]) -> None:
    for name in names:
        if row := first_row(table, same & table[name].ne_missing(table[name].shift(1))):
            raise DataError(
                f"dataset: static column '{name}' changes in series '{row[SERIES]}' at "
                f"{row[TIME]} (row {row[ROW] + 1})."
            )


def _train_then_test(table: DataFrame, same: Series, split: str) -> None:
    values = table[split].cast(pl.String)
    for value in values.unique().sort().to_list():
        if value not in ("train", "test"):
            raise DataError(
                f"dataset: split column '{split}' must say 'train' or 'test', got {value!r}."
            )
    if row := first_row(table, same & (values == "train") & (values.shift(1) == "test")):
        raise DataError(
            f"dataset: series '{row[SERIES]}' has a train row after a test row at {row[TIME]} "
            f"(row {row[ROW] + 1})."
        )


def in_order(table: DataFrame) -> DataFrame:
    """Return the rows by series (text) and time, those of one key in the order they came in.

    Neither key may be null.
    """
    return (
        table
        if _is_in_order(table)
        else table.with_columns(_key(table)).sort(_KEY, maintain_order=True).drop(_KEY)
    )


def _is_in_order(table: DataFrame) -> bool:
    ids, times = table[SERIES], table[TIME]
    return ids.is_sorted() and not (same_series(table) & (times < times.shift(1))).any()


def _key(table: DataFrame) -> Series:
    """Return one whole number a row for both keys: it sorts several times faster than a text and a
    time, best with 32 bits.
    """
    names, times = table[SERIES].unique().sort(), table[TIME].to_physical()
    instants = times.unique().sort()
    whole = pl.UInt32 if len(names) * len(instants) < 2**32 else pl.Int64
    series = table[SERIES].cast(pl.Enum(names)).to_physical().cast(whole)
    places = times.replace_strict(instants, pl.int_range(len(instants), dtype=whole, eager=True))
    return (series * len(instants) + places).alias(_KEY)


def same_series(table: DataFrame) -> Series:
    """Return, for each row, whether the row before is of the same series; false for the first."""
    return (table[SERIES] == table[SERIES].shift(1)).fill_null(False)
