"""CSV and TSV, read as text: what a column means is decided later, by its role, so that '007' stays a name."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Literal

import polars as pl

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.frames.reading.compressed import content_of

Decimal = Literal["point", "comma"]

TEXT = {".csv": ",", ".tsv": "\t"}
"""Suffixes of text files, and the usual separator of each."""

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
"""Names of separators, for a shell or YAML takes some of them for its own signs."""

_WITH_COMMA = r"^[+-]?(\d{1,3}(\.\d{3})+|\d+)?,\d+(?:[eE][+-]?\d+)?$|^[+-]?\d{1,3}(\.\d{3})+$"
"""A number as German, French or Spanish files write it: `1.234,5`, `0,5`, `1.234`."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class TextFormat:
    """The format of a CSV or TSV.

    Attributes:
        encoding: Of its characters.
        separator: Between its fields: one character, or one of `SEPARATORS`; by the suffix where None.
        decimal: The sign before decimals. With `comma`, points between thousands are dropped.
    """

    encoding: str = "utf-8"
    separator: str | None = None
    decimal: Decimal = "point"


USUAL = TextFormat()


def read_text(file: Path, name: str, wanted: Sequence[str] | None, form: TextFormat, usual: str) -> pl.DataFrame:
    """Return the rows of a text file with a header, all columns as text; empty fields are null.

    Args:
        file: Its path.
        name: Its name in refusals.
        wanted: The columns to read, in this order; all where None.
        form: How it is written.
        usual: The separator where the form names none.

    Raises:
        ConfigError: No such encoding, or a separator that is not one byte.
        DataError: An empty file, other bytes than the encoding has, two columns of one name, a row that is too long, or a last
            row that is too short, as it is where the file was cut in writing.
    """
    separator = SEPARATORS.get(form.separator or "", form.separator or usual)
    if len(separator.encode()) != 1:
        names = ", ".join(SEPARATORS)
        raise ConfigError(f"dataset.separator: must be one character, or one of {names}, got '{separator}'.")
    data = _utf8(content_of(file, name), name, form.encoding).strip(b"\r\n")
    if not data.strip():
        raise DataError(f"dataset.path: '{name}' is empty.")
    header = _header(data, name, separator)
    columns = header if wanted is None else list(wanted)
    if columns != header and len(header) == 1 and any(other in header[0] for other in ";\t|,"):
        likely = next((word for word, sign in SEPARATORS.items() if sign in header[0]), "")
        raise DataError(
            f"dataset.path: '{name}' has one column, '{header[0][:60]}'; dataset.separator may be {likely} ('{separator}' now)."
        )
    must_have(columns, header, name)
    try:
        table = pl.read_csv(data, separator=separator, infer_schema=False)  # asked for some columns, it lets long rows pass
    except pl.exceptions.ComputeError as error:
        _long_row(data, name, separator, len(header), error)
        raise
    _refuse_cut(data, name, separator, len(header), len(table))
    chosen = pl.DataFrame([table.get_column(column) for column in columns])  # `select` looks at each of 100,000 others
    return with_points(chosen) if form.decimal == "comma" else chosen


def with_points(table: pl.DataFrame) -> pl.DataFrame:
    """Return columns of text with numbers such as `1.234,5` written as `1234.5`; what is no such number stays."""
    text = pl.all().str.strip_chars()
    plain = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    return table.select(pl.when(text.str.contains(_WITH_COMMA)).then(plain).otherwise(pl.all()).name.keep())


def is_with_comma(value: str) -> bool:
    """Return whether a text is a number with a decimal comma."""
    return "," in value and re.search(_WITH_COMMA, value.strip()) is not None


def must_have(columns: Sequence[str], known: Sequence[str], name: str) -> None:
    """Refuse a file that lacks a column.

    Raises:
        DataError: With the nearest name that the file has.
    """
    for column in columns:
        if column not in known:
            raise DataError(f"dataset.path: '{name}' has no column '{column}'{nearest(column, known)}")


def _utf8(data: bytes, name: str, encoding: str) -> bytes:
    """Return the bytes as UTF-8 without a byte order mark."""
    try:
        codec = codecs.lookup(encoding).name
        if codec == "utf-8" and data.startswith(_UTF16):
            raise DataError(f"dataset.path: '{name}' is not UTF-8 but UTF-16; set dataset.encoding=utf-16.")
        text = data.decode(codec)
    except LookupError as error:
        raise ConfigError(f"dataset.encoding: no encoding '{encoding}'; usual ones: utf-8, latin-1, cp1252, utf-16.") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        where = f"byte 0x{data[error.start]:02x} in line {line}"
        hint = "set dataset.encoding, to latin-1 or cp1252 perhaps" if codec == "utf-8" else f"see dataset.encoding={encoding}"
        raise DataError(f"dataset.path: '{name}' is not {encoding.upper()}: {where}; {hint}.") from error
    return data.removeprefix(codecs.BOM_UTF8) if codec == "utf-8" else text.removeprefix("\ufeff").encode()


def _header(data: bytes, name: str, separator: str) -> list[str]:
    first = data.split(b"\n", 1)[0].decode().rstrip("\r")
    try:
        header = next(csv.reader([first], delimiter=separator))
    except csv.Error as error:
        raise DataError(f"dataset.path: '{name}' does not begin with a line of names ({error}).") from error
    counts = Counter(header)
    for column in header:
        if counts[column] > 1:
            raise DataError(f"dataset.path: '{name}' has two columns '{column}'.")
    return header


def _refuse_cut(data: bytes, name: str, separator: str, width: int, height: int) -> None:
    """Refuse a last row with too few fields, which polars fills with nulls."""
    last = data[data.rfind(b"\n") + 1 :]
    try:  # a line that begins within a quoted field has an odd number of quotes: only all lines tell that row
        fields = _fields_of_last(data if last.count(b'"') % 2 else last, separator)
    except csv.Error as error:
        raise DataError(f"dataset.path: '{name}' cannot be read as text in columns ({error}).") from error
    if fields < width:
        raise DataError(
            f"dataset.path: '{name}' row {height}, the last, has {fields} of {width} fields: the file was cut in writing, or"
            " lacks the separators of its last fields, which are empty."
        )


def _fields_of_last(text: bytes, separator: str) -> int:
    if b'"' not in text:  # one line
        return text.count(separator.encode()) + 1
    return deque(map(len, csv.reader(StringIO(text.decode(), newline=""), delimiter=separator)), maxlen=1)[0]


def _long_row(data: bytes, name: str, separator: str, width: int, error: Exception) -> None:
    """Refuse a row with too many fields, which polars reports without its number."""
    try:
        for row, fields in enumerate(csv.reader(StringIO(data.decode(), newline=""), delimiter=separator)):
            if len(fields) > width:
                raise DataError(f"dataset.path: '{name}' row {row} has {len(fields)} fields, its header {width}.") from error
    except csv.Error as worse:
        raise DataError(f"dataset.path: '{name}' cannot be read as text in columns ({worse}).") from worse
