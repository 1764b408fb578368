"""Files of rows (CSV, TSV, Parquet, Arrow) as one table that knows which file and row each row came from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from hwds.core.errors import DataError, nearest
from hwds.frames.reading.compressed import format_of
from hwds.frames.reading.download import local_files, suffix
from hwds.frames.reading.text import TEXT, USUAL, TextFormat, must_have, read_text

ARROW = (".arrow", ".feather", ".ipc")
SUFFIXES = (*TEXT, ".parquet", *ARROW)


@dataclass(frozen=True, eq=False)
class FileSource:
    """The rows of one or more files, in the order of their names.

    Attributes:
        table: The rows; columns of CSV and TSV are text, those of other formats have the types of the file.
        files: The names of the files.
        starts: The first row of each file, and the number of rows at the end.
    """

    table: pl.DataFrame
    files: tuple[str, ...]
    starts: tuple[int, ...]

    def at(self, row: int) -> str:
        """Return where a row is, for messages: the file and its 1-based row of data (a header is not counted)."""
        index = bisect_right(self.starts, row) - 1
        return f"'{self.files[index]}' row {row - self.starts[index] + 1}"

    def must_have(self, columns: Sequence[str]) -> None:
        """Refuse a table that lacks a column, with the nearest name.

        Raises:
            DataError: A column is not there.
        """
        must_have(columns, self.table.columns, self.files[0])

    def stems(self) -> pl.Series:
        """Return the name of each row's file without its suffix."""
        return pl.Series(np.repeat([Path(file).stem for file in self.files], np.diff(self.starts)))


def read(
    path: str,
    wanted: Sequence[str] | None = None,
    *,
    sha256: str | None = None,
    form: TextFormat = USUAL,
) -> FileSource:
    """Return the rows of a file, of the files of a glob, or of a URL.

    Args:
        path: See `local_files`.
        wanted: The columns to read, in this order; all where None.
        sha256: The digest that the file must have.
        form: How text files are written.

    Raises:
        ConfigError: See `local_files`; no such encoding.
        DataError: No file, a file that cannot be read, a column that is missing or of another type in another file.
    """
    files = local_files(path, sha256)
    names = tuple(path if len(files) == 1 else str(file) for file in files)
    tables = [_read(file, name, wanted, form) for file, name in zip(files, names, strict=True)]
    for name, table in zip(names, tables, strict=True):
        _same_columns(names[0], tables[0], name, table)
    starts = [0]
    for table in tables:
        starts.append(starts[-1] + len(table))
    if starts[-1] == 0:
        raise DataError(f"dataset.path: '{path}' has no rows.")
    return FileSource(pl.concat(tables, how="vertical_relaxed"), names, tuple(starts))


def _read(file: Path, name: str, wanted: Sequence[str] | None, form: TextFormat) -> pl.DataFrame:
    kind = format_of(file) if format_of(file) in TEXT else suffix(file)
    if kind not in SUFFIXES:
        raise DataError(f"dataset.path: '{name}' has the suffix '{kind}'{nearest(kind, SUFFIXES)}")
    try:
        if kind in TEXT:
            return read_text(file, name, wanted, form, TEXT[kind])
        return _read_binary(file, name, wanted)
    except OSError as error:
        raise DataError(f"dataset.path: '{name}' cannot be read ({error.strerror or error}).") from error
    except pl.exceptions.PanicException as error:  # polars fails like this on some damaged files
        raise DataError(f"dataset.path: '{name}' cannot be read as {kind[1:]} (it is damaged).") from error
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0][:120]
        raise DataError(f"dataset.path: '{name}' cannot be read as {kind[1:]} ({reason}).") from error


def _read_binary(file: Path, name: str, wanted: Sequence[str] | None) -> pl.DataFrame:
    if not file.stat().st_size:
        raise DataError(f"dataset.path: '{name}' is empty.")
    parquet = suffix(file) == ".parquet"
    known = list(pl.read_parquet_schema(file) if parquet else pl.read_ipc_schema(file))
    columns = known if wanted is None else list(wanted)
    must_have(columns, known, name)
    table = pl.read_parquet(file, columns=columns) if parquet else pl.read_ipc(file, columns=columns)
    return table.select(columns).with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))


def _same_columns(first: str, one: pl.DataFrame, name: str, other: pl.DataFrame) -> None:
    if one.columns != other.columns:
        odd = next(iter(set(one.columns) ^ set(other.columns)), "in another order")
        raise DataError(f"dataset.path: '{name}' and '{first}' have different columns ({odd}).")
    for column, left, right in zip(one.columns, one.dtypes, other.dtypes, strict=True):
        numbers = (left.is_numeric() or left == pl.Boolean) and (right.is_numeric() or right == pl.Boolean)
        if left != right and not numbers and pl.Null not in (left, right):
            raise DataError(f"dataset.path: column '{column}' holds {right} in '{name}' but {left} in '{first}'.")
