"""Columns of a user's files: by type and role, with their gaps, of plans, and arrays of
archives.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from zipfile import BadZipFile

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col
from pydantic import BeforeValidator

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.recipe import Recipe
from hwds.frames.columns import breaks, check_panel
from hwds.frames.files import USUAL_FORMAT, FileSource, TextFormat, is_with_comma, read_files
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import (
    ROLES,
    SERIES,
    TARGET,
    TIME,
    FrameKind,
    Names,
    Role,
    Roles,
    as_names,
    go_together,
    refuse_unplaced,
    roles_of,
)

# Columns of files read as numbers, as instants, or as whatever their text looks like.

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
"""Texts that stand for a missing number."""

_DATES = {
    r"\d{4}-\d{2}-\d{2}": "%Y-%m-%d",
    r"\d{4}/\d{2}/\d{2}": "%Y/%m/%d",
    r"\d{4}-\d{2}": "%Y-%m",
    r"\d{4}-?Q[1-4]": "quarter",
}
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}([T ])\d{2}:\d{2}(:\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?")
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31, counted from 1970-01-01
_FORMS = "2024-03-01, 2024-03-01T12:00, 2024-03, 2024Q1 or a whole number"


def numbers_of_column(source: FileSource, name: str) -> Series:
    """Return a column as floats; a missing value or NaN is null.

    Raises:
        DataError: Text that is no number, with its row and value, or a column of another kind.
    """
    column = source.table[name]
    if column.dtype == pl.String:
        return _parsed_numbers(source, name)
    if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        raise DataError(
            f"dataset.path: column '{name}' of '{source.files[0]}' holds {_kind(column.dtype)}, "
            f"not numbers."
        )
    return column.cast(pl.Float64).fill_nan(None)


def times_of_column(source: FileSource, name: str, role: str = "time") -> Series:
    """Return a column as dates, instants or whole numbers (Int64).

    Instants that are all midnight become dates.

    Text is read by the form of its first value; a form such as 03/04/2024, which may be April or
    March, is refused. Whole numbers that are all written like 20240301 or 202403 are dates.

    Raises:
        DataError: A value that is no time, with its row, or a column of another kind.
    """
    column = source.table[name]
    if column.dtype == pl.String:
        column = _parsed_times(source, name, role)
    if column.dtype.is_float():
        column = _whole_numbers(source, name, role)
    if column.dtype.is_integer():
        return _compact_dates(column.cast(pl.Int64))
    if column.dtype in (pl.Date, pl.Datetime):
        _in_the_calendar(source, column, role)
        return _days(column) if column.dtype == pl.Datetime else column
    if column.dtype != pl.Null:
        raise DataError(
            f"dataset.roles.{role}: column '{name}' holds {_kind(column.dtype)}, not times; write "
            f"{_FORMS}."
        )
    return column


def series_of_rows(source: FileSource, names: Sequence[str]) -> Series:
    """Return the series of each row: the columns' texts joined with '|'.

    Where there are none, the name of its file.
    """
    if not names:
        return source.stems()
    return source.table.select(
        pl.concat_str(col(*names).cast(pl.String), separator="|")
    ).to_series()


def typed_column(column: Series) -> Series:
    """Return a column of text as what all its values look like: whole numbers, numbers, truth,
    dates, or text as it was.

    Numbers that begin with a needless zero ('007') are names and stay text. A column of another
    type is not changed.
    """
    if column.dtype != pl.String:
        return column
    text = _without_missing(column)
    known = text.drop_nulls()
    if known.is_empty():
        return column
    if not known.str.contains(r"^[+-]?0\d").any():
        for kind in (pl.Int64, pl.Float64):
            if known.cast(kind, strict=False).null_count() == 0:
                return text.cast(kind)
    if known.str.contains(r"^(?i:true|false)$").all():
        return text.str.to_lowercase() == "true"
    if (
        known.str.contains(rf"^{next(iter(_DATES))}$").all()
        and known.str.to_date("%Y-%m-%d", strict=False).null_count() == 0
    ):
        return text.str.to_date("%Y-%m-%d")
    return column


def _parsed_numbers(source: FileSource, name: str) -> Series:
    column = source.table[name]
    values = column.cast(pl.Float64, strict=False)
    if values.null_count() > column.null_count():
        column = _without_missing(column)
        plain = column.str.to_lowercase().replace({"true": "1", "false": "0"})
        values = plain.cast(pl.Float64, strict=False)
        bad = values.is_null() & column.is_not_null()
        comma = bad.any() and is_with_comma(str(column[bad.arg_true()[0]]))
        hint = "; dataset.decimal=comma reads decimal commas" if comma else ""
        _refuse_first(source, name, bad, f"not a number{hint}")
    return values.fill_nan(None)


def _parsed_times(source: FileSource, name: str, role: str) -> Series:
    text = source.table[name].str.strip_chars()
    text = text.set(text == "", None)
    known = text.drop_nulls()
    if known.is_empty():
        return text.cast(pl.Null)
    parsed = _by_form(text, known[0])
    bad = text.is_not_null() & parsed.is_null()
    _refuse_zones(source, name, text.filter(bad), bad, known[0], role)
    _refuse_first(source, name, bad, f"not a time; write {_FORMS}", role)
    return parsed


def _refuse_zones(
    source: FileSource, name: str, odd: Series, bad: Series, first: str, role: str
) -> None:
    """Refuse an instant with a time zone among such without, and the other way round."""
    one, other = _INSTANT.fullmatch(first), _INSTANT.fullmatch(odd[0]) if len(odd) else None
    if one and other and (one[3] is None) != (other[3] is None):
        zones = [
            "no time zone" if instant[3] is None else "a time zone" for instant in (other, one)
        ]
        _refuse_first(
            source, name, bad, f"{zones[0]}, where the first ('{first}') has {zones[1]}", role
        )


def _by_form(text: Series, first: str) -> Series:
    """Return the text as times of the form of one value, null where it has another.

    As ISO dates where that is unknown.
    """
    if re.fullmatch(r"[+-]?\d+", first):
        return text.cast(pl.Int64, strict=False)
    instant = _INSTANT.fullmatch(first)
    if instant:
        between, seconds, zone = instant.groups()
        layout = f"%Y-%m-%d{between}%H:%M{':%S%.f' if seconds else ''}{'%#z' if zone else ''}"
        return text.str.to_datetime(layout, time_unit="us", strict=False)
    layout = next(
        (layout for form, layout in _DATES.items() if re.fullmatch(form, first)), "%Y-%m-%d"
    )
    if layout == "quarter":
        parts = text.str.extract_groups(r"^(\d{4})-?Q([1-4])$").struct
        month = parts.field("2").cast(pl.Int32) * 3 - 2
        return (parts.field("1") + "-" + month.cast(pl.String).str.zfill(2) + "-01").str.to_date(
            "%Y-%m-%d", strict=False
        )
    if layout == "%Y-%m":
        return (text + "-01").str.to_date("%Y-%m-%d", strict=False)
    return text.str.to_date(layout, strict=False)


def _whole_numbers(source: FileSource, name: str, role: str) -> Series:
    """Return whole numbers that were stored as floats, as pandas does where one is missing."""
    column = source.table[name].fill_nan(None)
    values = column.cast(pl.Int64, strict=False)
    odd = (values.cast(pl.Float64) != column).fill_null(column.is_not_null())
    _refuse_first(source, name, odd, f"not a time; write {_FORMS}", role)
    return values


def _compact_dates(values: Series) -> Series:
    """Return dates where every number reads as one: as counters they would have holes, silently
    filled by `gaps: zero`.
    """
    low, high = values.min(), values.max()
    for layout, least, most in (("%Y%m%d", 19000101, 21001231), ("%Y%m", 190001, 210012)):
        if isinstance(low, int) and isinstance(high, int) and least <= low and high <= most:
            text = values.cast(pl.String) + ("" if layout == "%Y%m%d" else "01")
            dates = text.str.to_date("%Y%m%d", strict=False)
            return dates if dates.null_count() == values.null_count() else values
    return values


def _in_the_calendar(source: FileSource, column: Series, role: str) -> None:
    """Refuse what no calendar has: a damaged file can hold days beyond the year 9999, at which
    polars and Python fail.
    """
    unit = column.dtype.time_unit if isinstance(column.dtype, pl.Datetime) else None
    days = (
        column.to_physical()
        // {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000, None: 1}[unit]
    )
    bad = (~days.is_between(_FIRST_DAY, _LAST_DAY)).arg_true()
    if len(bad):
        raise DataError(
            f"dataset.roles.{role}: {source.at(bad[0])} has a time outside of the years 1 to 9999."
        )


def _days(instants: Series) -> Series:
    whole = instants.dtype.time_zone is None and (instants == instants.dt.truncate("1d")).all()  # type: ignore[attr-defined]
    return instants.dt.date() if whole else instants


def _without_missing(column: Series) -> Series:
    text = column.str.strip_chars()
    return text.set(text.is_in(MISSING), None)


def _refuse_first(source: FileSource, name: str, bad: Series, what: str, role: str = "") -> None:
    rows = bad.arg_true()
    if len(rows):
        path = f"dataset.roles.{role}" if role else "dataset.path"
        value = str(source.table[name][rows[0]])
        shown = value if len(value) <= 40 else f"{value[:40]}..."
        raise DataError(f"{path}: {source.at(rows[0])} has {shown!r} in column '{name}', {what}.")


def _kind(dtype: pl.DataType) -> str:
    kinds: dict[type, str] = {pl.String: "text", pl.Date: "dates", pl.Boolean: "truth values"}
    return kinds.get(type(dtype), str(dtype))


# RoleNames: the keys below `dataset.roles`, made of the declared roles, and what is refused of
# the columns they name.


class RoleNames(Recipe):
    """The columns of a file by role; a subclass has a field for each role of its kind of frame.

    `class FileRoles(RoleNames, frame="panel")` gets the fields, their types and their documentation
    from `ROLES`.
    """

    frame: ClassVar[FrameKind]

    def __init_subclass__(cls, frame: FrameKind, **kwargs: Any) -> None:
        cls.frame = frame
        for role in roles_of(frame):
            cls.__annotations__[role.name] = Names if role.many else str | None
            setattr(cls, role.name, None)
        fields = "\n".join(f"    {role.name}: {role.meaning}" for role in roles_of(frame))
        cls.__doc__ = f"{cls.__doc__}\n\nAttributes:\n{fields}\n"
        super().__init_subclass__(**kwargs)

    def given(self) -> Roles:
        """Return the roles that are given, in their order.

        Raises:
            ConfigError: None is given or a required one is not, a column has two roles that do not
                go together, or it lacks the role that says when it is known.
        """
        named = {role.name: as_names(getattr(self, role.name)) for role in roles_of(self.frame)}
        missing = next(
            (role for role in named if self.frame in ROLES[role].required and not named[role]), None
        )
        if missing:
            raise ConfigError(f"dataset.roles.{missing}: must be given.")
        if not any(named.values()):
            raise ConfigError(f"dataset.roles: one must be given; roles: {', '.join(named)}.")
        roles = Roles(named)
        _refuse_shared(roles)
        if self.frame == "panel":
            refuse_unplaced(roles)
        return roles


def _refuse_shared(roles: Roles) -> None:
    """Refuse a column that has two roles which do not go together, or stands in one twice."""
    seen: dict[str, list[str]] = {}
    for role, names in roles.items():
        for name in names:
            for other in seen.setdefault(name, []):
                if not go_together(other, role):
                    twice = "is named twice" if other == role else f"has the role {other} already"
                    raise ConfigError(
                        f"dataset.roles.{role}: column '{name}' {twice}; a column has one role."
                    )
            seen[name].append(role)


def refuse_taken(roles: Roles, taken: Collection[str]) -> None:
    """Refuse a column that keeps its name where hwds has given that name to another.

    Raises:
        ConfigError: With a hint to rename it.
    """
    for role, names in roles.items():
        for name in names:
            if name in taken:
                raise ConfigError(
                    f"dataset.roles.{role}: hwds gives the name '{name}' to another column; "
                    f"rename it in the file."
                )


def column_of(source: FileSource, name: str, roles: Roles) -> Series:
    """Return a column of a file as its roles read it: times, numbers, or whatever all its values
    look like.

    Raises:
        DataError: A value does not fit a role, with its row.
    """
    played = [ROLES[role] for role in roles.roles_of(name)]
    holds = next((role.holds for role in played if role.holds != "any"), "any")
    if holds == "times":
        return times_of_column(
            source, name, next(role.name for role in played if role.holds == "times")
        ).alias(name)
    values = (
        numbers_of_column(source, name) if holds == "numbers" else typed_column(source.table[name])
    )
    for role in played:
        _refuse_outside(values, role)
    return values.alias(name)


def _refuse_outside(values: Series, role: Role) -> None:
    """Refuse a number below the least value of a role, or above its greatest."""
    for bound, sign in ((role.low, ">="), (role.high, "<=")):
        if bound is None:
            continue
        rows = (values < bound if sign == ">=" else values > bound).fill_null(False).arg_true()
        if len(rows):
            row = f"row {rows[0] + 1} has {values[rows[0]]:g} in column '{values.name}'"
            raise DataError(f"dataset.roles.{role.name}: {row}; must be {sign} {bound:g}.")


# Gaps: rows and values that a user's series lack, filled from earlier rows alone.

Gaps = Annotated[
    Literal["error", "zero", "forward", "null"],
    BeforeValidator(lambda value: "null" if value is None else value),
]
"""The treatment of gaps; YAML's null is the word."""

_THERE = "__there__"


def without_gaps(table: DataFrame, roles: Roles, frequency: Frequency, policy: Gaps) -> DataFrame:
    """Return the table with a row at every step from the first to the last of each series, sorted
    unless the policy is `error`.

    Args:
        table: Columns `series_id`, `time`, `target` and those with a role.
        roles: What the other columns may be used for.
        frequency: The distance between rows.
        policy: What the target of a missing row, and a missing target, becomes: `zero`, the last
            value before it (`forward`) or `null`. The other columns of an added row are carried
            forward, but its numbers are null under `null`. `error` fills nothing: a missing target
            is refused here, a missing row by `Panel.build` (`_no_gaps` in `frames/columns.py`).
            `File.remarks` tells how many rows were added.

    Raises:
        DataError: Under `error` a missing target; under the others what `Panel.build` refuses, and
            rows that are not whole steps apart.
    """
    if policy == "error":
        _refuse_missing_target(table)
        return table
    table = check_panel(table, roles, frequency, gaps=True)
    if breaks(table, frequency).any():
        table = _fill_gaps(table, roles, frequency, policy)
    if policy == "zero":
        return table.with_columns(col(TARGET).fill_null(0.0))
    if policy == "forward":
        return table.with_columns(col(TARGET).forward_fill().over(SERIES))
    return table


def _refuse_missing_target(table: DataFrame) -> None:
    rows = (
        table[TARGET].is_null() & table[SERIES].is_not_null() & table[TIME].is_not_null()
    ).arg_true()
    if len(rows):
        row = table.row(rows[0], named=True)
        where = f"series '{row[SERIES]}' has no target at {row[TIME]} (row {rows[0] + 1})"
        raise DataError(f"dataset: {where}; dataset.gaps may be zero, forward or null.")


def _fill_gaps(table: DataFrame, roles: Roles, frequency: Frequency, policy: Gaps) -> DataFrame:
    grid = _grid(table, frequency)
    both = grid.join(
        table.with_columns(pl.lit(True).alias(_THERE)),
        on=[SERIES, TIME],
        how="left",
        maintain_order="left",
    )
    if both[_THERE].count() < len(table):
        _refuse_off_grid(table, grid, frequency)
    carried = [name for name in roles.names if policy != "null" or name not in roles.numbers]
    added = col(_THERE).is_null()
    forward = [
        pl.when(added).then(col(name).forward_fill().over(SERIES)).otherwise(col(name))
        for name in carried
    ]
    return both.with_columns(forward).select(table.columns)


def _grid(table: DataFrame, frequency: Frequency) -> DataFrame:
    """Return every step of every series from its first row to its last."""
    first_last = col(TIME).first().alias("first"), col(TIME).last().alias("last")
    spans = table.group_by(SERIES, maintain_order=True).agg(first_last)
    count, unit = re.fullmatch(r"(\d+)(\D+)", frequency.every).groups()  # type: ignore[union-attr]
    kind = table.schema[TIME]
    first = col("first").dt.month_start() if frequency.month_end else col("first")
    if unit == "i":
        steps = pl.int_ranges(first, col("last") + 1, int(count))
    elif kind == pl.Date:
        steps = pl.date_ranges(first, "last", frequency.every)
    else:
        steps = pl.datetime_ranges(first, "last", frequency.every)
    grid = spans.select(SERIES, steps.alias(TIME)).explode(TIME)
    if frequency.month_end:
        grid = grid.with_columns(col(TIME).dt.month_end())
    return grid.with_columns(col(TIME).cast(kind))


def _refuse_off_grid(table: DataFrame, grid: DataFrame, frequency: Frequency) -> None:
    row = table.join(grid, on=[SERIES, TIME], how="anti", maintain_order="left").row(0, named=True)
    first = table.filter(col(SERIES) == row[SERIES])[TIME][0]
    raise DataError(
        f"dataset: series '{row[SERIES]}' has a row at {row[TIME]}, which is not a whole number "
        f"of steps of {frequency.every}"
        f" after {first}; see dataset.frequency."
    )


# A user's plan: the known-future columns of rows that are still to come.


def read_plan(
    path: str,
    panel: Panel,
    horizon: int,
    *,
    series: Names = SERIES,
    time: str = TIME,
    form: TextFormat = USUAL_FORMAT,
) -> DataFrame:
    """Return the plan of a panel from a file that is written as the panel's own file is.

    Args:
        path: A CSV, TSV, Parquet or Arrow file, or a glob.
        panel: The data that the plan goes on from.
        horizon: How many rows of each series will be forecast.
        series: The columns that name a series; where there are none, the name of the file does.
        time: The column of time.
        form: How a CSV or TSV is written.

    Returns:
        `series_id`, `time` and the panel's planned columns.

    Raises:
        DataError: The file cannot be read, or lacks a column, a series or a row that must be
            planned.
    """
    columns = panel.planned
    try:
        source = read_files(path, (*as_names(series), time, *columns), form=form)
        plan = _read_plan_rows(source, panel, as_names(series), time)
    except DataError as error:  # the file is not the dataset's
        raise DataError(str(error).replace("dataset.path:", "--future:", 1)) from error
    twice = plan.filter(plan.select(SERIES, TIME).is_duplicated())
    if not twice.is_empty():
        raise DataError(
            f"--future: '{path}' has two rows for series '{twice[SERIES][0]}' at {twice[TIME][0]}."
        )
    _refuse_holes(path, plan, due_rows(panel, horizon), columns)
    return plan


def due_rows(panel: Panel, horizon: int) -> DataFrame:
    """Return the rows that a plan must have: those of the dataset's plan, else `horizon` of every
    series that has not ended.

    Returns:
        `series_id` and `time`.
    """
    if panel.plan is not None:
        return panel.plan.select(SERIES, TIME)
    last = panel.table[panel.offsets[1:] - 1].select(SERIES, TIME)
    going_on = last.filter(panel.frequency.after(last[TIME], 1) > last[TIME].max())
    steps = range(1, horizon + 1)
    return pl.concat(
        [
            going_on.with_columns(panel.frequency.after(going_on[TIME], step).alias(TIME))
            for step in steps
        ]
    )


def _read_plan_rows(
    source: FileSource, panel: Panel, series: Sequence[str], time: str
) -> DataFrame:
    ids = series_of_rows(source, series)
    if not series and panel.n_series == 1:
        ids = Series([panel.series_ids[0]] * len(ids))
    when, kind = times_of_column(source, time), panel.table.schema[TIME]
    if when.dtype.is_integer() != kind.is_integer():
        raise DataError(
            f"--future: '{source.files[0]}' has {when[0]} in column '{time}', the data "
            f"{panel.table[TIME][-1]}."
        )
    plan = DataFrame({SERIES: ids, TIME: when.cast(kind)})
    return plan.with_columns(numbers_of_column(source, name).alias(name) for name in panel.planned)


def _refuse_holes(path: str, plan: DataFrame, wanted: DataFrame, columns: Sequence[str]) -> None:
    laid = wanted.join(plan, on=[SERIES, TIME], how="left", maintain_order="left")
    for name in columns:
        holes = laid.filter(col(name).is_null())
        if holes.is_empty():
            continue
        series, instant = holes.select(SERIES, TIME).row(0)
        if series not in plan[SERIES]:
            raise DataError(
                f"--future: '{path}' has no row for series '{series}'; '{name}' must be planned "
                f"for every series."
            )
        raise DataError(
            f"--future: '{path}' has no '{name}' for series '{series}' at {instant};"
            f" {len(holes)} of {len(wanted)} planned rows lack it."
        )


# Arrays and pictures of a user: npz archives, and folders of PNG or JPEG that are read one by
# one into a mapped file.

MODES = {"1": 1, "L": 1, "LA": 1, "P": 3, "RGB": 3, "RGBA": 3, "CMYK": 3, "YCbCr": 3}
"""Modes of pictures of 8 bits a channel or fewer, with the channels that they become."""

PICTURES = (".png", ".jpg", ".jpeg")


def open_archive(file: Path, needed: Sequence[str]) -> dict[str, ndarray]:
    """Return arrays of an npz archive.

    Args:
        file: The archive.
        needed: Names of its arrays.

    Raises:
        DataError: It cannot be read, or an array is missing.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            missing = next((name for name in needed if name not in archive.files), None)
            if missing is not None:
                raise DataError(
                    f"dataset.path: '{file}' has no array "
                    f"'{missing}'{nearest(missing, archive.files)}"
                )
            return {name: archive[name] for name in needed}
    except (OSError, ValueError, BadZipFile, EOFError) as error:
        raise DataError(f"dataset.path: '{file}' cannot be read as npz: {_line(error)}") from error


def read_pictures(folder: Path, names: Sequence[str]) -> ndarray:
    """Return the pixels of pictures of one size, mapped from a file of no name, shape (n, height,
    width, channels).

    Sizes are read from the heads of the files before any pixel is. Pictures in grey alone have one
    channel, others three.

    Args:
        folder: Where they lie.
        names: The names of the files.

    Raises:
        DataError: One is not there, cannot be read, has more than 8 bits a channel, or another size
            than the first.
    """
    heads = [_picture_head(folder, name) for name in names]
    size = heads[0][0]
    for name, (other, _) in zip(names, heads, strict=True):
        if other != size:
            said = f"{other[0]} x {other[1]} pixels, and '{names[0]}' {size[0]} x {size[1]}"
            raise DataError(f"dataset.path: image '{name}' has {said}; all must have one size.")
    channels = max(count for _, count in heads)
    with tempfile.TemporaryFile() as file:
        shape = (len(names), size[1], size[0], channels)
        pixels = np.memmap(file, np.uint8, "w+", shape=shape)
        for place, name in enumerate(names):
            pixels[place] = _pixels(folder, name, channels).reshape(shape[1:])
    return pixels


def _picture_head(folder: Path, name: str) -> tuple[tuple[int, int], int]:
    """Return width and height of a picture, and its channels."""
    picture = _open_picture(folder, name)
    with picture:
        if picture.mode not in MODES:
            raise DataError(
                f"dataset.path: image '{name}' is of mode {picture.mode}; it must have 8 bits a "
                f"channel."
            )
        grey = MODES[picture.mode] == 1
        return picture.size, 1 if grey else 3


def _pixels(folder: Path, name: str, channels: int) -> ndarray:
    with _open_picture(folder, name) as picture:
        try:
            return np.asarray(picture.convert("L" if channels == 1 else "RGB"))
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise DataError(
                f"dataset.path: image '{name}' cannot be read: {_line(error)}"
            ) from error


def _open_picture(folder: Path, name: str) -> Any:
    from PIL import Image

    path = folder / name
    if not path.is_file():
        raise DataError(f"dataset.path: there is no image '{name}' below '{folder}'.")
    try:
        return Image.open(path)
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"dataset.path: image '{name}' cannot be read: {_line(error)}") from error


def _line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.endswith(".") else f"{text}."
