"""Columns of a user's files: by type and role, with their gaps, of plans, and arrays of
archives.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from polars import DataFrame, Series, col
from pydantic import BeforeValidator

from hwds.core.errors import ConfigError, DataError
from hwds.core.recipe import Names as Texts
from hwds.core.recipe import Recipe
from hwds.frames.columns import NIXTLA, breaks, check_panel
from hwds.frames.files import (
    USUAL_FORMAT,
    Decimal,
    FileSource,
    TextFormat,
    Thousands,
    plain_numbers,
    read_files,
)
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
_FIRST_YEAR = 1000
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31, counted from 1970-01-01
_FORMS = "2024-03-01, 2024-03-01T12:00, 2024-03, 2024Q1 or a whole number"

DATE_FORMS = (
    *(
        f"%d{sign}%m{sign}%{year}{time}"
        for time in ("", " %H:%M", " %H:%M:%S")
        for sign in "./-"
        for year in "Yy"
    ),
    *(
        f"%m{sign}%d{sign}%{year}{time}"
        for time in ("", " %H:%M", " %H:%M:%S")
        for sign in "/-"
        for year in "Yy"
    ),
    *("%Y.%m.%d", "%m.%Y", "%m/%Y", "%b %Y", "%B %Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y"),
    *("%b-%y", "%d-%b-%Y", "%d-%b-%y", "%G-W%V"),
)
"""Forms of dates that a refusal tries to find the one to set."""

NUMBER_FORMS = {
    "dataset.decimal=comma": TextFormat(decimal="comma"),
    "dataset.thousands=comma": TextFormat(thousands="comma"),
    "dataset.thousands=space": TextFormat(thousands="space"),
    "dataset.decimal=comma dataset.thousands=space": TextFormat(decimal="comma", thousands="space"),
    "dataset.thousands=apostrophe": TextFormat(thousands="apostrophe"),
    "dataset.thousands=point": TextFormat(thousands="point"),
}
"""Settings under which more numbers can be read, and what each means."""

_THREES = r"^[+-]?[1-9]\d{0,2}(?:[.,]\d{3})+$"
"""A number whose signs all stand before three digits."""

_TRUTHS = dict.fromkeys(("true", "yes", "y", "ja", "j", "wahr", "oui", "si", "sí"), "1")
_TRUTHS |= dict.fromkeys(("false", "no", "n", "nein", "falsch", "non"), "0")

_CURRENCY = r"(?i)^([€$£¥]|EUR|USD|GBP|CHF|JPY)\s*[\d+.-]|\d\s*([€$£¥]|EUR|USD|GBP|CHF|JPY)$"


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
    refuse_two_readings(source, name)
    values = column.cast(pl.Float64, strict=False)
    if values.null_count() > column.null_count():
        column = _without_currency(source, name)
        plain = column.str.to_lowercase().replace(_TRUTHS)
        values = plain.cast(pl.Float64, strict=False)
        bad = values.is_null() & column.is_not_null()
        if bad.any():
            hint = _readings(column.drop_nulls(), source.form)
            _refuse_first(source, name, bad, f"not a number{hint}")
    return values.fill_nan(None)


def refuse_two_readings(source: FileSource, name: str) -> None:
    """Refuse a column of text whose every point could stand before decimals or between thousands.

    Raises:
        DataError: With both settings.
    """
    form, column = source.form, source.table[name]
    if form.decimal == "comma" or form.thousands != "ask" or not has_two_readings(column):
        return
    value = column.drop_nulls().str.strip_chars()
    value = value.filter(value.str.contains(r"[.,]"))[0]
    thousands = "comma" if "," in value else "point"
    decimals = "dataset.decimal=comma" if "," in value else "dataset.thousands=none"
    raise DataError(
        f"dataset.thousands: column '{name}' of '{source.files[0]}' has numbers such as {value!r}, "
        f"which have two readings: dataset.thousands={thousands} reads "
        f"{re.sub('[.,]', '', value)}, and {decimals} reads {value.replace(',', '.')}."
    )


def has_two_readings(column: Series) -> bool:
    """Return whether all points, or all commas, of a column of text stand before three digits."""
    text = column.drop_nulls().str.strip_chars()
    signed = text.filter(text.str.contains(r"[.,]"))
    if signed.is_empty() or not signed.str.contains(_THREES).all():
        return False
    if (
        signed.str.contains(",", literal=True).n_unique() > 1
        or (signed.str.count_matches(r"[.,]") > 1).any()
    ):
        return False
    rest = text.filter(~text.str.contains(r"[.,]") & ~text.is_in(MISSING))
    return not rest.str.contains(r"\d{4}").any()


def _without_currency(source: FileSource, name: str) -> Series:
    """Return a column of text without missing values and without the one currency it names.

    Raises:
        DataError: It names several.
    """
    column = _without_missing(source.table[name])
    found = column.str.extract_groups(_CURRENCY).struct
    signs = pl.select(pl.coalesce(found.field("1"), found.field("2"))).to_series()
    kinds = signs.drop_nulls().str.to_uppercase().unique(maintain_order=True)
    if kinds.is_empty():
        return column
    if len(kinds) > 1:
        raise DataError(
            f"dataset.path: column '{name}' of '{source.files[0]}' has amounts in {kinds[0]} and "
            f"in {kinds[1]}: one column has one currency. Convert them, or make two files."
        )
    bare = column.str.replace(signs.drop_nulls()[0], "", literal=True).str.strip_chars()
    return plain_numbers(bare.to_frame(), source.form).to_series()


def _readings(known: Series, form: TextFormat) -> str:
    """Return the settings that would read all values of a column, as the end of a refusal."""
    words = number_words(known)
    return f"; {words[0]} reads such numbers" if words and NUMBER_FORMS[words[0]] != form else ""


def number_words(known: Series) -> list[str]:
    """Return the settings of `NUMBER_FORMS` under which all texts are numbers; none if they are
    numbers already.
    """
    if known.cast(pl.Float64, strict=False).null_count() == 0:
        return []
    table = known.to_frame()
    return [
        words
        for words, form in NUMBER_FORMS.items()
        if plain_numbers(table, form).to_series().cast(pl.Float64, strict=False).null_count() == 0
    ]


def _parsed_times(source: FileSource, name: str, role: str) -> Series:
    text = source.table[name].str.strip_chars()
    text = text.set(text == "", None)
    known = text.drop_nulls()
    if known.is_empty():
        return text.cast(pl.Null)
    form = source.form.dates
    parsed = by_layout(text, form) if form else _by_form(text, known[0])
    bad = text.is_not_null() & parsed.is_null()
    if not form:
        _refuse_zones(source, name, text.filter(bad), bad, known[0], role)
    if bad.any():
        hint = "; ".join([f"write {_FORMS}", *([found] if (found := date_hint(known)) else [])])
        what = f"not a time of the form {form}" if form else f"not a time; {hint}"
        _refuse_first(source, name, bad, what, role)
    return parsed


def by_layout(text: Series, layout: str) -> Series:
    """Return texts of a form of `strftime` as dates or instants, null where they have another.

    A form without a day means the first day of its month, week or year.
    """
    if "%V" in layout:
        text, layout = text + "-1", f"{layout}-%u"
    elif not re.search(r"%[djesDF]", layout):
        month = re.search(r"%[mbBh]", layout)
        text, layout = (
            text + ("-01" if month else "-01-01"),
            layout + ("-%d" if month else "-%m-%d"),
        )
    try:
        if re.search(r"%[HIMsTR]", layout):
            times = text.str.to_datetime(layout, time_unit="us", strict=False)
        else:
            times = text.str.to_date(layout, strict=False)
    except pl.exceptions.PolarsError as error:
        raise ConfigError(f"dataset.dates: '{layout}' is no form of dates ({error}).") from error
    return times.set((times.dt.year() < _FIRST_YEAR).fill_null(False), None)


def date_forms(known: Series) -> list[str]:
    """Return the forms of `DATE_FORMS` that all texts have, at most two."""
    few = known.head(20)
    fits = [form for form in DATE_FORMS if by_layout(few, form).null_count() == 0]
    return [form for form in fits if by_layout(known, form).null_count() == 0][:2]


def date_hint(known: Series) -> str:
    """Return how a form of dates is set that all texts have; empty if there is none."""
    forms = [f"dataset.dates='{form}'" for form in date_forms(known)]
    return f"or set {' or '.join(forms)}" if forms else ""


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

    def given(self, present: Sequence[str] = ()) -> Roles:
        """Return the roles that are given, in their order.

        Args:
            present: The columns of the file. Nixtla's names among them are those of series, time
                and target, if neither time nor target is given.

        Raises:
            ConfigError: None is given or a required one is not, a column has two roles that do not
                go together, or it lacks the role that says when it is known.
        """
        named = {role.name: as_names(getattr(self, role.name)) for role in roles_of(self.frame)}
        if self.frame == "panel" and not (named["time"] or named["target"]):
            usual = {role: (name,) for role, name in NIXTLA.items() if name in present}
            if {"time", "target"} <= set(usual):
                named |= {role: named[role] or names for role, names in usual.items()}
        missing = next(
            (role for role in named if self.frame in ROLES[role].required and not named[role]), None
        )
        if missing:
            raise ConfigError(f"dataset.roles.{missing}: must be given{_listed(present)}.")
        if not any(named.values()):
            raise ConfigError(f"dataset.roles: one must be given; roles: {', '.join(named)}.")
        roles = Roles(named)
        _refuse_shared(roles)
        if self.frame == "panel":
            refuse_unplaced(roles)
        return roles


def _listed(columns: Sequence[str]) -> str:
    """Return the columns to choose from, as the end of a refusal."""
    return f"; the columns are {', '.join(columns[:12])}" if columns else ""


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
    if holds == "numbers" or _is_truth(source.table[name], played):
        values = numbers_of_column(source, name)
    else:
        values = typed_column(source.table[name])
        if values.dtype in (pl.Float64, pl.String) and source.table.schema[name] == pl.String:
            refuse_two_readings(source, name)
    for role in played:
        _refuse_outside(values, role)
    return values.alias(name)


def _is_truth(column: Series, played: Sequence[Role]) -> bool:
    """Return whether a label or an outcome is written as yes and no."""
    if column.dtype != pl.String or not {"label", "outcome"} & {role.name for role in played}:
        return False
    return bool(_without_missing(column).drop_nulls().str.to_lowercase().is_in([*_TRUTHS]).all())


def _refuse_outside(values: Series, role: Role) -> None:
    """Refuse a number below the least value of a role, or above its greatest."""
    for bound, sign in ((role.low, ">="), (role.high, "<=")):
        if bound is None:
            continue
        rows = (values < bound if sign == ">=" else values > bound).fill_null(False).arg_true()
        if len(rows):
            row = f"row {rows[0] + 1} has {values[rows[0]]:g} in column '{values.name}'"
            raise DataError(f"dataset.roles.{role.name}: {row}; must be {sign} {bound:g}.")


# The settings that all readers of a user's rows share.


class OwnRows(Recipe):
    """Rows of a user's files.

    Attributes:
        sha256: The digest of the file; needed for a URL.
        trust: Columns that may give away what is predicted, because they are known so early.
        encoding: The encoding of a CSV or TSV (`latin-1`, `cp1252`, `utf-16`).
        separator: Between the fields of a CSV or TSV: one character, or `comma`, `semicolon`,
            `tab`, `pipe`; by the suffix where nothing is given.
        decimal: The sign before the decimals of a CSV or TSV, `point` or `comma`; with `comma`,
            `1.234,5` is 1234.5.
        thousands: The sign between thousands: `point`, `comma`, `space`, `apostrophe` or `none`.
            `ask` refuses a column in which it could also stand before decimals.
        dates: The form of dates, such as `%d.%m.%Y`; forms of ISO 8601 need none.
        rename: New names of columns, which roles use: `{Menge: units}`.
        omit: Texts whose rows are left out, such as `Total` in the rows of sums.
        accept: Checks of `hwds check` that say nothing here, by name.
    """

    later: ClassVar[frozenset[str]] = frozenset(
        ("thousands", "dates", "rename", "omit", "accept", "duplicates")
    )

    path: str
    sha256: str | None = None
    trust: Texts = ()
    encoding: str = "utf-8"
    separator: str | None = None
    decimal: Decimal = "point"
    thousands: Thousands = "ask"
    dates: str | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    omit: Texts = ()
    accept: Texts = ()

    @property
    def text_format(self) -> TextFormat:
        """The format of its CSV or TSV."""
        return TextFormat(
            self.encoding,
            self.separator,
            self.decimal,
            self.thousands,
            self.dates,
            self.rename,
            self.omit,
        )


# Duplicates: several rows of one series and time, or of one machine and cycle.

Duplicates = Literal["refuse", "sum", "mean", "last"]


def combine_duplicates(
    table: DataFrame, keys: Sequence[str], how: str, added: str = ""
) -> DataFrame:
    """Return a table with one row for each key, in the order of the first ones.

    Args:
        table: The rows.
        keys: The columns that name a row.
        how: `sum` adds up one column and averages other numbers, `mean` averages all numbers,
            `last` takes the last row of the file, and `refuse` changes nothing.
        added: The column that `sum` adds up.
    """
    if how == "refuse" or not table.select(keys).is_duplicated().any():
        return table
    values = {
        name: col(name).mean() if how != "last" and kind.is_float() else col(name).last()
        for name, kind in table.schema.items()
        if name not in keys
    }
    if how == "sum":
        values[added] = pl.when(col(added).count() > 0).then(col(added).sum())
    combined = table.group_by(keys, maintain_order=True).agg(
        value.alias(name) for name, value in values.items()
    )
    return combined.select(table.columns)


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
