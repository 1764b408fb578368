"""Files of rows (CSV, TSV, Parquet, Arrow, compressed ones, those of a URL) read as one table."""

from __future__ import annotations

import codecs
import csv
import glob
import gzip
import hashlib
import os
import re
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from polars import DataFrame, Series

from hwds.core.errors import ConfigError, DataError, HwdsError, nearest
from hwds.core.files import OUTPUTS, write_bytes

# Files on this machine for a `dataset.path` (a file, a glob, a URL), downloaded where need be,
# their digest checked.

DOWNLOADS = OUTPUTS / "cache" / "downloads"
"""A file there bears its digest as its name."""

_TIMEOUT = 60


def local_files(path: str, sha256: str | None = None) -> tuple[Path, ...]:
    """Return the files that a path means, in the order of their names.

    Args:
        path: A file, a glob (`sales/*.parquet`, `**` for nested folders) or an http(s) URL.
        sha256: The digest that the one file must have; needed for a URL.

    Raises:
        ConfigError: A URL without a digest, a digest for a glob, or a digest that is none.
        DataError: No such file, nothing matched, not fetched, or another digest.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ConfigError(f"dataset.sha256: must be 64 hexadecimal digits, got '{sha256}'.")
    if re.match(r"https?://", path):
        return (_fetch_url(path, sha256),)
    file = Path(path).expanduser()
    if glob.has_magic(path) and not file.exists():
        return _match_files(str(file), sha256)
    _require_file(path, file)
    if sha256 is not None:
        _require_digest(path, _digest(file), sha256)
    return (file,)


def file_suffix(file: Path) -> str:
    """Return the suffix that says the format, in small letters."""
    return file.suffix.lower()


def _match_files(pattern: str, sha256: str | None) -> tuple[Path, ...]:
    if sha256 is not None:
        raise ConfigError(
            f"dataset.sha256: names one file, but dataset.path is the glob '{pattern}'."
        )
    files = tuple(
        Path(name) for name in sorted(glob.glob(pattern, recursive=True)) if os.path.isfile(name)
    )
    if not files:
        raise DataError(
            f"dataset.path: no file matches '{pattern}' (current folder: {Path.cwd()})."
        )
    return files


def _require_file(path: str, file: Path) -> None:
    if file.is_file():
        return
    if file.is_dir():
        raise DataError(
            f"dataset.path: '{path}' is a folder; give a file, or a glob such as "
            f"'{file / '*.parquet'}'."
        )
    if not file.parent.is_dir():
        raise DataError(
            f"dataset.path: no file '{path}': there is no folder '{file.parent}' (current folder: "
            f"{Path.cwd()})."
        )
    there = [entry.name for entry in file.parent.iterdir() if entry.is_file()]
    raise DataError(f"dataset.path: no file '{path}'{nearest(file.name, there)}")


def _fetch_url(url: str, sha256: str | None) -> Path:
    from urllib.parse import urlsplit

    if sha256 is None:
        raise ConfigError(f"dataset.sha256: must be given for a URL ('{url}').")
    file = DOWNLOADS / f"{sha256.lower()}{''.join(Path(urlsplit(url).path).suffixes[-2:])}"
    if not (file.is_file() and _digest(file) == sha256.lower()):
        data = _download(url)
        _require_digest(url, hashlib.sha256(data).hexdigest(), sha256)
        _write(file, data)
    return file


def _download(url: str) -> bytes:
    from http.client import HTTPException
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=_TIMEOUT) as response:
            data: bytes = response.read()
    except (OSError, HTTPException, ValueError) as error:  # URLError and timeouts are OSErrors
        raise DataError(f"dataset.path: '{url}' cannot be fetched ({error}).") from error
    return data


def _write(file: Path, data: bytes) -> None:
    """Write a file whole or not at all: another run may read it at the same time."""
    try:
        write_bytes(file, data)
    except HwdsError as error:
        reason = getattr(error.__cause__, "strerror", error)
        raise DataError(
            f"dataset.path: the download cannot be kept in '{file.parent}' ({reason})."
        ) from error


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"dataset.path: '{file}' cannot be read ({error.strerror}).") from error


def _require_digest(path: str, actual: str, wanted: str) -> None:
    if actual != wanted.lower():
        raise DataError(f"dataset.sha256: '{path}' has the digest {actual}, not {wanted.lower()}.")


# The content of text files that are compressed, `.csv.gz` and `.tsv.zst`: read as what they
# are, and no larger than memory.

COMPRESSED = (".gz", ".zst")
"""Suffixes behind that of the format."""

MOST_TIMES, MOST_FREE = 200, 1 << 28
"""The size of a content as a multiple of its file's, and the size from which that is asked."""

AT_ONCE = 1 << 24


def file_format(file: Path) -> str:
    """Return the suffix that says the format, in small letters: `.csv` of `sales.csv.gz`."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    packed = bool(suffixes) and suffixes[-1] in COMPRESSED
    return suffixes[-2] if packed and len(suffixes) > 1 else suffixes[-1] if suffixes else ""


def read_content(file: Path, name: str) -> bytes:
    """Return the bytes of a file, decompressed where its suffix says so.

    Raises:
        DataError: It is damaged, or far larger than its file, as no table is.
    """
    data = file.read_bytes()
    kind = file.suffix.lower()
    if kind not in COMPRESSED:
        return data
    try:
        return _decompress(
            _open_compressed(data, kind), max(MOST_TIMES * len(data), MOST_FREE), name
        )
    except (OSError, EOFError, ValueError) as error:
        raise DataError(
            f"dataset.path: '{name}' cannot be read as {kind[1:]} (it is damaged)."
        ) from error


def _open_compressed(data: bytes, kind: str) -> Any:
    if kind == ".gz":
        return gzip.GzipFile(fileobj=BytesIO(data))
    import pyarrow as pa

    return pa.CompressedInputStream(pa.BufferReader(data), "zstd")


def _decompress(stream: Any, most: int, name: str) -> bytes:
    parts, size = [], 0
    while part := stream.read(AT_ONCE):
        parts.append(part)
        size += len(part)
        if size > most:
            raise DataError(
                f"dataset.path: '{name}' has more than {most >> 20:,} MB in a file of a "
                f"{MOST_TIMES}th of that."
            )
    return b"".join(parts)


# CSV and TSV, read as text: what a column means is decided later, by its role, so that '007'
# stays a name.

Decimal = Literal["point", "comma"]

TEXT = {".csv": ",", ".tsv": "\t"}
"""Suffixes of text files, and the usual separator of each."""

Thousands = Literal["ask", "none", "point", "comma", "space", "apostrophe"]

_GROUPS = {"point": r"\.", "comma": ",", "space": "[ \u00a0\u202f]", "apostrophe": "['\u2019]"}
"""The sign between thousands by its name, as a pattern."""

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
"""Names of separators, for a shell or YAML takes some of them for its own signs."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class TextFormat:
    """The format of a CSV or TSV.

    Attributes:
        encoding: The encoding of its characters.
        separator: Between its fields: one character, or one of `SEPARATORS`; by the suffix where
            None.
        decimal: The sign before decimals. With `comma`, points between thousands are dropped.
        thousands: The sign between thousands; `ask` refuses a number that has two readings.
        dates: The form of dates, such as `%d.%m.%Y`; None for the forms of ISO 8601.
        rename: The new name of a column by its name in the file.
        omit: Texts whose rows are left out.
    """

    encoding: str = "utf-8"
    separator: str | None = None
    decimal: Decimal = "point"
    thousands: Thousands = "ask"
    dates: str | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    omit: tuple[str, ...] = ()


USUAL_FORMAT = TextFormat()


def read_text(
    file: Path, name: str, wanted: Sequence[str] | None, form: TextFormat, usual: str
) -> DataFrame:
    """Return the rows of a text file with a header, all columns as text; empty fields are null.

    Args:
        file: Its path.
        name: Its name in refusals.
        wanted: The columns to read, in this order; all where None.
        form: The format of the text.
        usual: The separator where the form names none.

    Raises:
        ConfigError: No such encoding, or a separator that is not one byte.
        DataError: An empty file, other bytes than the encoding has, two columns of one name, a row
            that is too long, or a last row that is too short, as it is where the file was cut in
            writing.
    """
    separator = SEPARATORS.get(form.separator or "", form.separator or usual)
    if len(separator.encode()) != 1:
        names = ", ".join(SEPARATORS)
        raise ConfigError(
            f"dataset.separator: must be one character, or one of {names}, got '{separator}'."
        )
    data = _utf8(read_content(file, name), name, form.encoding).strip(b"\r\n")
    if not data.strip():
        raise DataError(f"dataset.path: '{name}' is empty.")
    header = _header(data, name, separator)
    columns = header if wanted is None else list(wanted)
    if columns != header and len(header) == 1 and any(other in header[0] for other in ";\t|,"):
        likely = next((word for word, sign in SEPARATORS.items() if sign in header[0]), "")
        raise DataError(
            f"dataset.path: '{name}' has one column, '{header[0][:60]}'; dataset.separator may be "
            f"{likely} ('{separator}' now)."
        )
    require_columns(columns, header, name)
    try:
        table = pl.read_csv(
            data, separator=separator, infer_schema=False
        )  # asked for some columns, it lets long rows pass
    except pl.exceptions.ComputeError as error:
        _long_row(data, name, separator, len(header), error)
        raise
    _refuse_cut(data, name, separator, len(header), len(table))
    chosen = DataFrame(
        [table.get_column(column) for column in columns]
    )  # `select` looks at each of 100,000 others
    return plain_numbers(chosen, form)


def plain_numbers(table: DataFrame, form: TextFormat) -> DataFrame:
    """Return columns of text with numbers such as `1.234,5` written as `1234.5`.

    What is no such number stays.
    """
    comma = form.decimal == "comma" or form.thousands == "point"
    group = _GROUPS.get(form.thousands, _GROUPS["point"] if comma else "")
    if not group:
        return table
    sign = "," if comma else r"\."
    whole = rf"\d{{1,3}}({group}\d{{3}})+"
    shape = rf"^[+-]?({whole}|\d+)?{sign}\d+(?:[eE][+-]?\d+)?$|^[+-]?{whole}$"
    text = pl.all().str.strip_chars()
    plain = text.str.replace_all(group, "").str.replace(sign, ".")
    return table.select(
        pl.when(text.str.contains(shape)).then(plain).otherwise(pl.all()).name.keep()
    )


def require_columns(columns: Sequence[str], present: Sequence[str], name: str) -> None:
    """Refuse a file that lacks a column.

    Raises:
        DataError: With the nearest name that the file has.
    """
    for column in columns:
        if column not in present:
            raise DataError(
                f"dataset.path: '{name}' has no column '{column}'{nearest(column, present)}"
            )


def _utf8(data: bytes, name: str, encoding: str) -> bytes:
    """Return the bytes as UTF-8 without a byte order mark."""
    try:
        codec = codecs.lookup(encoding).name
        if codec == "utf-8" and data.startswith(_UTF16):
            raise DataError(
                f"dataset.path: '{name}' is not UTF-8 but UTF-16; set dataset.encoding=utf-16."
            )
        text = data.decode(codec)
    except LookupError as error:
        raise ConfigError(
            f"dataset.encoding: no encoding '{encoding}'; usual ones: utf-8, latin-1, cp1252, "
            f"utf-16."
        ) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        where = f"byte 0x{data[error.start]:02x} in line {line}"
        hint = (
            "set dataset.encoding, to latin-1 or cp1252 perhaps"
            if codec == "utf-8"
            else f"see dataset.encoding={encoding}"
        )
        raise DataError(
            f"dataset.path: '{name}' is not {encoding.upper()}: {where}; {hint}."
        ) from error
    return (
        data.removeprefix(codecs.BOM_UTF8)
        if codec == "utf-8"
        else text.removeprefix("\ufeff").encode()
    )


def _header(data: bytes, name: str, separator: str) -> list[str]:
    first = data.split(b"\n", 1)[0].decode().rstrip("\r")
    try:
        header = next(csv.reader([first], delimiter=separator))
    except csv.Error as error:
        raise DataError(
            f"dataset.path: '{name}' does not begin with a line of names ({error})."
        ) from error
    counts = Counter(header)
    for column in header:
        if counts[column] > 1:
            raise DataError(f"dataset.path: '{name}' has two columns '{column}'.")
    return header


def _refuse_cut(data: bytes, name: str, separator: str, width: int, height: int) -> None:
    """Refuse a last row with too few fields, which polars fills with nulls."""
    last = data[data.rfind(b"\n") + 1 :]
    # a line that begins within a quoted field has an odd number of quotes: only all lines tell that
    # row
    fields = _fields_of_last(data if last.count(b'"') % 2 else last, name, separator)
    if fields < width:
        raise DataError(
            f"dataset.path: '{name}' row {height}, the last, has {fields} of {width} fields: the "
            f"file was cut in writing, or"
            " lacks the separators of its last fields, which are empty."
        )


def _fields_of_last(text: bytes, name: str, separator: str) -> int:
    if b'"' not in text:  # one line
        return text.count(separator.encode()) + 1
    return deque(map(len, _csv_rows(text, name, separator)), maxlen=1)[0]


def _long_row(data: bytes, name: str, separator: str, width: int, error: Exception) -> None:
    """Refuse a row with too many fields, which polars reports without its number."""
    for row, fields in enumerate(_csv_rows(data, name, separator)):
        if len(fields) > width:
            raise DataError(
                f"dataset.path: '{name}' row {row} has {len(fields)} fields, its header {width}."
            ) from error


def _csv_rows(data: bytes, name: str, separator: str) -> Iterator[list[str]]:
    """Yield the fields of each row, the header's first.

    Raises:
        DataError: They are no such text.
    """
    try:
        yield from csv.reader(StringIO(data.decode(), newline=""), delimiter=separator)
    except csv.Error as error:
        raise DataError(
            f"dataset.path: '{name}' cannot be read as text in columns ({error})."
        ) from error


# Files of rows (CSV, TSV, Parquet, Arrow) as one table that knows which file and row each row
# came from.

FORMATS: dict[str, Callable[[Path], pl.LazyFrame]] = {
    **{
        suffix: partial(pl.scan_csv, separator=separator, infer_schema=False)
        for suffix, separator in TEXT.items()
    },
    ".parquet": pl.scan_parquet,
    **dict.fromkeys((".arrow", ".feather", ".ipc"), pl.scan_ipc),
}
"""By its suffix each format of files of rows, with the function that scans one. Datasets, plans and
batches read these and no others. A damaged file raises a polars error, an OSError or a ValueError.
"""


def readable() -> str:
    """Return the suffixes of files that can be read, for a sentence."""
    others = ", ".join(suffix for suffix in FORMATS if suffix not in TEXT)
    return f"{' or '.join(TEXT)}, also {' or '.join(COMPRESSED)}, {others}"


@dataclass(frozen=True, eq=False)
class FileSource:
    """The rows of one or more files, in the order of their names.

    Attributes:
        table: The rows; columns of CSV and TSV are text, those of other formats have the types of
            the file.
        files: The names of the files.
        starts: The first row of each file, and the number of rows at the end.
        form: The format of its text.
    """

    table: DataFrame
    files: tuple[str, ...]
    starts: tuple[int, ...]
    form: TextFormat = USUAL_FORMAT

    def at(self, row: int) -> str:
        """Return where a row is, for messages: the file and its 1-based row of data (a header is
        not counted).
        """
        index = bisect_right(self.starts, row) - 1
        return f"'{self.files[index]}' row {row - self.starts[index] + 1}"

    def must_have(self, columns: Sequence[str]) -> None:
        """Refuse a table that lacks a column, with the nearest name.

        Raises:
            DataError: A column is not there.
        """
        require_columns(columns, self.table.columns, self.files[0])

    def stems(self) -> Series:
        """Return the name of each row's file without its suffix."""
        return Series(np.repeat([Path(file).stem for file in self.files], np.diff(self.starts)))


def read_files(
    path: str,
    wanted: Sequence[str] | None = None,
    *,
    sha256: str | None = None,
    form: TextFormat = USUAL_FORMAT,
) -> FileSource:
    """Return the rows of a file, of the files of a glob, or of a URL.

    Args:
        path: See `local_files`.
        wanted: The columns to read, in this order; all where None.
        sha256: The digest that the file must have.
        form: The format of text files.

    Raises:
        ConfigError: See `local_files`; no such encoding.
        DataError: No file, a file that cannot be read, a column that is missing or of another type
            in another file.
    """
    files = local_files(path, sha256)
    names = tuple(path if len(files) == 1 else str(file) for file in files)
    old = {new: name for name, new in form.rename.items()}
    read = None if wanted is None else [old.get(name, name) for name in wanted]
    tables = [
        _without(_read(file, name, read, form), form)
        for file, name in zip(files, names, strict=True)
    ]
    for name, table in zip(names, tables, strict=True):
        _same_columns(names[0], tables[0], name, table)
    starts = [0]
    for table in tables:
        starts.append(starts[-1] + len(table))
    if starts[-1] == 0:
        raise DataError(f"dataset.path: '{path}' has no rows.")
    return FileSource(pl.concat(tables, how="vertical_relaxed"), names, tuple(starts), form)


def _without(table: DataFrame, form: TextFormat) -> DataFrame:
    """Return a table without the rows that have a text to omit, its columns renamed."""
    texts = [name for name, kind in table.schema.items() if kind == pl.String]
    if form.omit and texts:
        left_out = pl.any_horizontal(pl.col(texts).str.strip_chars().is_in(form.omit))
        table = table.filter(~left_out.fill_null(False))
    return table.rename(dict(form.rename), strict=False) if form.rename else table


def _read(file: Path, name: str, wanted: Sequence[str] | None, form: TextFormat) -> DataFrame:
    kind = file_format(file) if file_format(file) in TEXT else file_suffix(file)
    if kind not in FORMATS:
        raise DataError(f"dataset.path: '{name}' has the suffix '{kind}'{nearest(kind, FORMATS)}")
    try:
        if kind in TEXT:
            return read_text(file, name, wanted, form, TEXT[kind])
        return _read_binary(file, name, wanted)
    except OSError as error:
        raise DataError(
            f"dataset.path: '{name}' cannot be read ({error.strerror or error})."
        ) from error
    except pl.exceptions.PanicException as error:  # polars fails like this on some damaged files
        raise DataError(
            f"dataset.path: '{name}' cannot be read as {kind[1:]} (it is damaged)."
        ) from error
    except (pl.exceptions.PolarsError, ValueError) as error:
        reason = str(error).partition("\n")[0][:120]
        raise DataError(
            f"dataset.path: '{name}' cannot be read as {kind[1:]} ({reason})."
        ) from error


def _read_binary(file: Path, name: str, wanted: Sequence[str] | None) -> DataFrame:
    if not file.stat().st_size:
        raise DataError(f"dataset.path: '{name}' is empty.")
    scan = FORMATS[file_suffix(file)](file)
    present = scan.collect_schema().names()
    columns = present if wanted is None else list(wanted)
    require_columns(columns, present, name)
    texts = pl.col(pl.Categorical, pl.Enum).cast(pl.String)
    return scan.select(columns).collect().with_columns(texts)


def _same_columns(first: str, one: DataFrame, name: str, other: DataFrame) -> None:
    if one.columns != other.columns:
        odd = next(iter(set(one.columns) ^ set(other.columns)), "in another order")
        raise DataError(f"dataset.path: '{name}' and '{first}' have different columns ({odd}).")
    for column, left, right in zip(one.columns, one.dtypes, other.dtypes, strict=True):
        numbers = all(kind.is_numeric() or kind == pl.Boolean for kind in (left, right))
        if left != right and not numbers and pl.Null not in (left, right):
            raise DataError(
                f"dataset.path: column '{column}' holds {right} in '{name}' but {left} in "
                f"'{first}'."
            )


# The ends of text files: one that was cut in writing reads like a whole one whose last number
# is smaller.

WIDEST = 4
"""The most bytes that an encoding has for a line break."""


def without_line_break(
    path: str | None, *others: str | None, sha256: str | None = None
) -> Iterator[str]:
    """Yield a remark for each path with text files that do not end with a line break, as one does
    that was cut in writing.

    Args:
        path: The path of files that were read, see `local_files`; None for none.
        others: Paths beside it.
        sha256: The digest of the one file of `path`, if it was given: then it is whole.

    Raises:
        DataError: A file is no longer there.
    """
    for each in (path if sha256 is None else None, *others):
        cut = (
            [
                file
                for file in local_files(each)
                if file_format(file) in TEXT and not _ends_a_line(file)
            ]
            if each
            else []
        )
        if cut:
            does = "does" if len(cut) == 1 else f"and {len(cut) - 1:,} more do"
            yield (
                f"'{cut[0]}' {does} not end with a line break: if it was cut in writing, its "
                f"last value is wrong."
            )


def _ends_a_line(file: Path) -> bool:
    """Return whether the last character is a line break, in any of the encodings that have one byte
    or more for it.
    """
    if file.suffix.lower() in COMPRESSED:
        end = read_content(file, str(file))[-WIDEST:]
    else:
        with file.open("rb") as opened:
            opened.seek(-min(WIDEST, file.stat().st_size), os.SEEK_END)
            end = opened.read()
    return end.rstrip(b"\0").endswith((b"\n", b"\r"))
