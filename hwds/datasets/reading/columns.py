"""Columns of files read as numbers, as instants, or as whatever their text looks like."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from hwds.core.errors import DataError
from hwds.frames.reading.files import FileSource
from hwds.frames.reading.text import is_with_comma

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


def numbers(source: FileSource, name: str) -> pl.Series:
    """Return a column as floats; a missing value or NaN is null.

    Raises:
        DataError: Text that is no number, with its row and value, or a column of another kind.
    """
    column = source.table[name]
    if column.dtype == pl.String:
        return _parsed_numbers(source, name)
    if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        raise DataError(f"dataset.path: column '{name}' of '{source.files[0]}' holds {_kind(column.dtype)}, not numbers.")
    return column.cast(pl.Float64).fill_nan(None)


def times(source: FileSource, name: str, role: str = "time") -> pl.Series:
    """Return a column as dates, instants or whole numbers (Int64); instants that are all midnight become dates.

    Text is read by the form of its first value; a form such as 03/04/2024, which may be April or March, is refused.
    Whole numbers that are all written like 20240301 or 202403 are dates.

    Raises:
        DataError: A value that is no time, with its row, or a column of another kind.
    """
    column = source.table[name]
    if column.dtype == pl.String:
        column = _parsed_times(source, name, role)
    if column.dtype.is_float():
        column = _whole(source, name, role)
    if column.dtype.is_integer():
        return _compact(column.cast(pl.Int64))
    if column.dtype in (pl.Date, pl.Datetime):
        _in_the_calendar(source, column, role)
        return _days(column) if column.dtype == pl.Datetime else column
    if column.dtype != pl.Null:
        raise DataError(f"dataset.roles.{role}: column '{name}' holds {_kind(column.dtype)}, not times; write {_FORMS}.")
    return column


def joined(source: FileSource, names: Sequence[str]) -> pl.Series:
    """Return the series of each row: the columns' texts joined with '|'; where there are none, the name of its file."""
    if not names:
        return source.stems()
    return source.table.select(pl.concat_str(pl.col(*names).cast(pl.String), separator="|")).to_series()


def typed(column: pl.Series) -> pl.Series:
    """Return a column of text as what all its values look like: whole numbers, numbers, truth, dates, or text as it was.

    Numbers that begin with a needless zero ('007') are names and stay text. A column of another type is not changed.
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
    if known.str.contains(rf"^{next(iter(_DATES))}$").all() and known.str.to_date("%Y-%m-%d", strict=False).null_count() == 0:
        return text.str.to_date("%Y-%m-%d")
    return column


def _parsed_numbers(source: FileSource, name: str) -> pl.Series:
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


def _parsed_times(source: FileSource, name: str, role: str) -> pl.Series:
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


def _refuse_zones(source: FileSource, name: str, odd: pl.Series, bad: pl.Series, first: str, role: str) -> None:
    """Refuse an instant with a time zone among such without, and the other way round."""
    one, other = _INSTANT.fullmatch(first), _INSTANT.fullmatch(odd[0]) if len(odd) else None
    if one and other and (one[3] is None) != (other[3] is None):
        zones = ["no time zone" if instant[3] is None else "a time zone" for instant in (other, one)]
        _refuse_first(source, name, bad, f"{zones[0]}, where the first ('{first}') has {zones[1]}", role)


def _by_form(text: pl.Series, first: str) -> pl.Series:
    """Return the text as times of the form of one value, null where it has another; as ISO dates where that is unknown."""
    if re.fullmatch(r"[+-]?\d+", first):
        return text.cast(pl.Int64, strict=False)
    instant = _INSTANT.fullmatch(first)
    if instant:
        between, seconds, zone = instant.groups()
        layout = f"%Y-%m-%d{between}%H:%M{':%S%.f' if seconds else ''}{'%#z' if zone else ''}"
        return text.str.to_datetime(layout, time_unit="us", strict=False)
    layout = next((layout for form, layout in _DATES.items() if re.fullmatch(form, first)), "%Y-%m-%d")
    if layout == "quarter":
        parts = text.str.extract_groups(r"^(\d{4})-?Q([1-4])$").struct
        month = parts.field("2").cast(pl.Int32) * 3 - 2
        return (parts.field("1") + "-" + month.cast(pl.String).str.zfill(2) + "-01").str.to_date("%Y-%m-%d", strict=False)
    if layout == "%Y-%m":
        return (text + "-01").str.to_date("%Y-%m-%d", strict=False)
    return text.str.to_date(layout, strict=False)


def _whole(source: FileSource, name: str, role: str) -> pl.Series:
    """Return whole numbers that were stored as floats, as pandas does where one is missing."""
    column = source.table[name].fill_nan(None)
    values = column.cast(pl.Int64, strict=False)
    odd = (values.cast(pl.Float64) != column).fill_null(column.is_not_null())
    _refuse_first(source, name, odd, f"not a time; write {_FORMS}", role)
    return values


def _compact(values: pl.Series) -> pl.Series:
    """Return dates where every number reads as one: as counters they would have holes, silently filled by `gaps: zero`."""
    low, high = values.min(), values.max()
    for layout, least, most in (("%Y%m%d", 19000101, 21001231), ("%Y%m", 190001, 210012)):
        if isinstance(low, int) and isinstance(high, int) and least <= low and high <= most:
            text = values.cast(pl.String) + ("" if layout == "%Y%m%d" else "01")
            dates = text.str.to_date("%Y%m%d", strict=False)
            return dates if dates.null_count() == values.null_count() else values
    return values


def _in_the_calendar(source: FileSource, column: pl.Series, role: str) -> None:
    """Refuse what no calendar has: a damaged file can hold days beyond the year 9999, at which polars and Python fail."""
    unit = column.dtype.time_unit if isinstance(column.dtype, pl.Datetime) else None
    days = column.to_physical() // {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000, None: 1}[unit]
    bad = (~days.is_between(_FIRST_DAY, _LAST_DAY)).arg_true()
    if len(bad):
        raise DataError(f"dataset.roles.{role}: {source.at(bad[0])} has a time outside of the years 1 to 9999.")


def _days(instants: pl.Series) -> pl.Series:
    whole = instants.dtype.time_zone is None and (instants == instants.dt.truncate("1d")).all()  # type: ignore[attr-defined]
    return instants.dt.date() if whole else instants


def _without_missing(column: pl.Series) -> pl.Series:
    text = column.str.strip_chars()
    return text.set(text.is_in(MISSING), None)


def _refuse_first(source: FileSource, name: str, bad: pl.Series, what: str, role: str = "") -> None:
    rows = bad.arg_true()
    if len(rows):
        path = f"dataset.roles.{role}" if role else "dataset.path"
        value = str(source.table[name][rows[0]])
        shown = value if len(value) <= 40 else f"{value[:40]}..."
        raise DataError(f"{path}: {source.at(rows[0])} has {shown!r} in column '{name}', {what}.")


def _kind(dtype: pl.DataType) -> str:
    kinds: dict[type, str] = {pl.String: "text", pl.Date: "dates", pl.Boolean: "truth values"}
    return kinds.get(type(dtype), str(dtype))
