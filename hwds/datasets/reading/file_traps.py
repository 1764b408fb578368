"""Checks of files before they are read: their text, its form, and the settings that fit it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import wraps
from itertools import chain
from typing import Any, TypeVar

import polars as pl
from polars import DataFrame, Series

from hwds.core.errors import DataError, HwdsError
from hwds.datasets.reading.columns import (
    MISSING,
    NUMBER_FORMS,
    OwnRows,
    date_forms,
    has_two_readings,
    number_words,
)
from hwds.datasets.reading.traps import (
    MOST_LOOKED,
    MOST_PERIODS,
    TOTALS,
    Finding,
    in_order,
    other_names,
    repeated_rows,
)
from hwds.frames.files import SEPARATORS, TEXT, TextFormat, file_format, local_files, read_files
from hwds.frames.roles import as_names

CURRENCIES = frozenset(
    ("EUR", "USD", "GBP", "CHF", "JPY", "CNY", "SEK", "NOK", "DKK", "PLN", "CZK", "€", "$", "£")
)


def raw_table(dataset: OwnRows, form: TextFormat | None = None) -> DataFrame:
    """Return the rows of a user's file, unread: columns of a CSV are text.

    Raises:
        HwdsError: The file cannot be read.
    """
    text = form or dataset.text_format
    return read_files(dataset.path, sha256=dataset.sha256, form=text).table


def file_findings(dataset: OwnRows, table: DataFrame) -> list[Finding]:
    """Return the findings of the rows of a user's file before they are read."""
    checks = (_separators, _dates, _currencies, _total_rows, _double_rows)
    found = chain.from_iterable(check(dataset, table) for check in checks)
    return in_order(found, dataset.accept)


def _texts(table: DataFrame) -> Iterator[tuple[str, Series]]:
    for name, kind in table.schema.items():
        if kind == pl.String:
            text = table[name].str.strip_chars().drop_nulls()
            yield name, text.filter(~text.is_in(MISSING))


def _separators(dataset: OwnRows, table: DataFrame) -> Iterator[Finding]:
    if dataset.decimal == "comma" or dataset.thousands != "ask":
        return
    for name, known in _texts(table):
        if has_two_readings(known):
            value = known.filter(known.str.contains("[.,]"))[0]
            sign = "comma" if "," in value else "point"
            decimals = "dataset.decimal=comma" if sign == "comma" else "dataset.thousands=none"
            yield Finding(
                "separator",
                "error",
                name,
                f"All numbers of '{name}' with a {sign} have three digits behind it ({value}): "
                "thousands or decimals?",
                f"Thousands: dataset.thousands={sign}. Decimals: {decimals}.",
            )


def _times(dataset: Any) -> list[str]:
    roles = dataset.roles
    found = [getattr(roles, role, None) for role in ("time", "available_at", "label_time")]
    return [name for name in found if isinstance(name, str)]


def _dates(dataset: Any, table: DataFrame) -> Iterator[Finding]:
    for name, known in _texts(table):
        if name not in _times(dataset) or dataset.dates or not len(known):
            continue
        if re.match(r"\d{4}-?(\d{2}|Q)|\d{4}/\d|\d+$", known[0]):
            continue
        forms = date_forms(known)
        yield Finding(
            "dates",
            "error",
            name,
            f"'{name}' has dates such as '{known[0]}'"
            + (", which have two readings." if len(forms) > 1 else "."),
            f"Name their form: {' or '.join(f'dataset.dates={form!r}' for form in forms)}."
            if forms
            else "Name their form in dataset.dates.",
        )


def _currencies(dataset: OwnRows, table: DataFrame) -> Iterator[Finding]:
    for name, known in _texts(table):
        kinds = known.str.to_uppercase().unique(maintain_order=True).head(MOST_PERIODS).to_list()
        signs = [known.str.contains(sign, literal=True).any() for sign in ("€", "$", "£")]
        named = 1 < len(kinds) < MOST_PERIODS and CURRENCIES.issuperset(kinds)
        amounts = sum(signs) > 1 and known.str.contains(r"\d").all()
        if named or amounts:
            yield Finding(
                "currencies",
                "warning",
                name,
                f"'{name}' has several currencies ({', '.join(kinds[:3])}).",
                "Convert the amounts to one, or leave the others out: "
                f"dataset.omit=[{', '.join(kinds[1:3])}].",
            )


def _total_rows(dataset: OwnRows, table: DataFrame) -> Iterator[Finding]:
    names = totals_in(table)
    if names:
        yield Finding(
            "totals",
            "warning",
            "",
            f"Rows with '{names[0]}'{other_names(names)} are sums of others.",
            f"Leave them out: dataset.omit=[{', '.join(names)}].",
        )


def totals_in(table: DataFrame) -> list[str]:
    """Return the texts of a table that name sums; none of columns with few other texts."""
    found: dict[str, None] = {}
    for _, known in _texts(table):
        kinds = known.unique(maintain_order=True).to_list() if len(known) < MOST_LOOKED else []
        names = [kind for kind in kinds if TOTALS.match(kind)]
        if names and len(names) < len(kinds) / 2:
            found |= dict.fromkeys(names)
    return list(found)


def _double_rows(dataset: Any, table: DataFrame) -> Iterator[Finding]:
    keys = _keys(dataset, table)
    again = repeated_rows(table.select(keys)) if keys else 0
    if again and getattr(dataset, "duplicates", "") == "refuse":
        yield Finding(
            "duplicates",
            "error",
            ", ".join(keys),
            f"{again:,} rows have the {' and '.join(keys)} of an earlier one.",
            f"Put them together: dataset.duplicates={_words_of(dataset)}.",
        )


def _words_of(dataset: Any) -> str:
    return "sum, mean or last" if hasattr(dataset, "gaps") else "mean or last"


def _keys(dataset: Any, table: DataFrame) -> list[str]:
    """Return the columns that name a row of series or of runs; none of other rows."""
    roles = dataset.roles
    names = [
        *as_names(getattr(roles, "series", None)),
        *((roles.time,) if hasattr(dataset, "gaps") and roles.time else ()),
    ]
    if hasattr(roles, "cycle"):
        names = [*as_names(roles.entity), *as_names(roles.cycle)]
    names = [name for name in names if name]
    return names if len(names) > 1 and set(names) <= set(table.columns) else []


def fitting_settings(dataset: Any) -> tuple[list[str], list[str]]:
    """Return the settings that a text file needs and the dataset lacks, and those to choose.

    Nothing of other files, and of a file that no setting reads.
    """
    files = local_files(dataset.path, dataset.sha256)
    if any(file_format(file) not in TEXT for file in files):
        return [], []
    form, words = fitting_text(dataset, files[0].read_bytes())
    try:
        table = raw_table(dataset, form)
    except HwdsError:
        return words, []
    if names := totals_in(table):
        words.append(f"dataset.omit=[{','.join([*dataset.omit, *names])}]")
        table = table.filter(~pl.any_horizontal(pl.col(pl.String).str.strip_chars().is_in(names)))
    numbers = _fitting_numbers(dataset, table)
    words += numbers
    times = [known for name, known in _texts(table) if name in _times(dataset) and len(known)]
    forms = [date_forms(known) for known in times] if not dataset.dates else []
    words += [f"dataset.dates='{found[0]}'" for found in forms[:1] if len(found) == 1]
    choices = [f"dataset.dates='{form}'" for form in chain(*forms[:1]) if len(forms[0]) > 1]
    if not numbers:
        choices += [each.mend for each in _separators(dataset, table)][:1]
    if next(_double_rows(dataset, table), None):
        choices.append(f"dataset.duplicates={_words_of(dataset)}")
    return words, choices


def fitting_text(dataset: Any, data: bytes) -> tuple[TextFormat, list[str]]:
    """Return the form with an encoding and a separator that a file has, and their settings."""
    form, words = dataset.text_format, list[str]()
    encoding = form.encoding
    for encoding in (
        form.encoding,
        "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252",
    ):
        try:
            text = data.decode(encoding)
            break
        except (UnicodeDecodeError, LookupError):
            continue
    else:
        return form, words
    if encoding != form.encoding:
        words.append(f"dataset.encoding={encoding}")
    header = text.lstrip("\ufeff").split("\n", 1)[0]
    usual = SEPARATORS.get(form.separator or "", form.separator or ",")
    if usual not in header and "\t" not in (form.separator or ""):
        name, sign = max(SEPARATORS.items(), key=lambda each: header.count(each[1]))
        if header.count(sign):
            words.append(f"dataset.separator={name}")
            usual = sign
    return replace(form, encoding=encoding, separator=usual, decimal="point"), words


def _fitting_numbers(dataset: Any, table: DataFrame) -> list[str]:
    """Return the setting under which every column that looks like numbers can be read."""
    sign = r"\s*([€$£¥]|EUR|USD|GBP|CHF)\s*"
    fits = [number_words(known.str.replace_all(sign, "")) for _, known in _texts(table)]
    fits = [words for words in fits if words]
    common = [words for words in NUMBER_FORMS if fits and all(words in each for each in fits)]
    if not common or NUMBER_FORMS[common[0]] == TextFormat(
        decimal=dataset.decimal, thousands=dataset.thousands
    ):
        return []
    sure = len(common) == 1 or not all("dataset.thousands=comma" in each for each in fits)
    return [common[0]] if sure else []


def cures(dataset: Any, said: str) -> str:
    """Return the settings that fit a file, as sentences behind a refusal; empty if it has them."""
    if "://" in dataset.path:
        return ""  # it would be fetched again
    try:
        words, choices = fitting_settings(dataset)
    except (HwdsError, OSError):
        return ""
    choices = [each for each in choices if each.partition("=")[0] not in said]
    fit = f" These settings fit the file: {' '.join(words)}." if words else ""
    return fit + (
        f" To choose: {'; '.join(each.rstrip('.') for each in choices)}." if choices else ""
    )


LoadT = TypeVar("LoadT", bound=Callable[..., Any])


def with_cures(load: LoadT) -> LoadT:
    """Return the `load` of a user's rows, whose refusals name the settings that fit the file."""

    @wraps(load)
    def asked(self: Any) -> Any:
        try:
            return load(self)
        except DataError as error:
            raise DataError(f"{error}{cures(self, str(error))}") from error

    return asked  # type: ignore[return-value]
