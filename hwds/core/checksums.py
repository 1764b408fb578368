"""JSON, Parquet and sealed folders that hold checksums: what was damaged is refused."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
from polars import DataFrame

from hwds.core.errors import HwdsError
from hwds.core.files import (
    digest_file,
    flush_to_disk,
    lock_for_making,
    write_atomically,
    write_bytes,
)
from hwds.core.secrets import secrets, texts_without_secrets

# Files that hold a checksum of themselves, JSON and Parquet: one that was damaged is refused,
# whatever it still looks like.
# The checksum is that of the file's bytes with zeros in its own place, so that a file is
# written, moved and copied alone. Files of earlier versions hold none and are read as they are.

DIGITS = 32
ZEROS = b"0" * DIGITS
CHECKSUM = "checksum"
JSON_MARK = b'"checksum": "'
"""The text before the checksum of a JSON file, which is its last value."""

JSON_END = b'"\n}'

PARQUET_KEY = "hwds.checksum"
PARQUET_MARK = PARQUET_KEY.encode() + b"\x18 "
"""The bytes before the checksum of a Parquet file: a key of its metadata, the type of the value and
its length.
"""


class Damaged(ValueError):
    """A file has other bytes than were written."""


def write_json(
    path: Path, content: Mapping[str, Any], *, redacted: bool = False, **options: Any
) -> None:
    """Write a mapping as JSON with a checksum, atomically, and without secrets.

    Args:
        path: The file.
        content: The mapping.
        redacted: Whether it has names of variables in place of secrets already.
        options: The options of `json.dumps`.
    """
    shown = content if redacted else texts_without_secrets(content)
    text = json.dumps({**shown, CHECKSUM: ZEROS.decode()}, indent=1, **options).encode()
    place = text.rindex(JSON_MARK) + len(JSON_MARK)
    write_bytes(path, text[:place] + _checksum(text, place) + text[place + DIGITS :])


def read_json(path: Path) -> dict[str, Any]:
    """Return the mapping that `write_json` wrote.

    Raises:
        OSError: It cannot be read.
        ValueError: It is damaged.
    """
    data = path.read_bytes()
    if data.endswith(JSON_END):
        _check_json(data, len(data) - len(JSON_END) - DIGITS)
    content = dict(json.loads(data))
    content.pop(CHECKSUM, None)
    return content


def write_parquet(path: Path, table: DataFrame, **options: Any) -> None:
    """Write a table as Parquet with a checksum, atomically, and without secrets.

    `options` are those of `write_parquet`.
    """
    out = BytesIO()  # of a full disk polars says that the file was "out of specification"
    table_without_secrets(table).rechunk().write_parquet(out, metadata=_METADATA, **options)
    out.seek(out.getvalue().rindex(PARQUET_MARK) + len(PARQUET_MARK))
    out.write(_checksum(out.getvalue(), out.tell()))
    write_atomically(path, lambda part: part.write_bytes(out.getbuffer()))


def table_without_secrets(table: DataFrame) -> DataFrame:
    """Return a table with `***` for every secret in its texts."""
    hidden = secrets()
    if not hidden or pl.String not in table.schema.dtypes():
        return table
    return table.with_columns(
        pl.col(pl.String).str.replace_many(list(hidden), ["***"] * len(hidden))
    )


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> DataFrame:
    """Return the table that `write_parquet` wrote, or some of its columns.

    Raises:
        OSError: It cannot be read.
        ValueError: It is damaged.
        polars.exceptions.PolarsError: It is no such table.
    """
    data = path.read_bytes()
    _check(data, PARQUET_MARK)
    try:
        return pl.read_parquet(BytesIO(data), columns=None if columns is None else list(columns))
    except (
        pl.exceptions.PanicException
    ) as error:  # which is no Exception; only a file without a checksum comes to it
        raise Damaged("is no table") from error


def check_parquet(path: Path) -> None:
    """Refuse a Parquet file whose bytes have changed, for readers that scan it themselves.

    Raises:
        OSError: It cannot be read.
        Damaged: It is damaged.
    """
    _check(path.read_bytes(), PARQUET_MARK)


_METADATA = {PARQUET_KEY: ZEROS.decode()}


def _check_json(data: bytes, place: int) -> None:
    """Refuse JSON whose checksum is another, or of which the very name of the checksum is damaged.

    Others pass.
    """
    marked = data[: max(place - len(JSON_MARK), 0)] + JSON_MARK + data[place:]
    right = data[place : place + DIGITS] == _checksum(marked, place)
    if right != (marked == data):
        raise Damaged("has another checksum than when it was written")


def _check(data: bytes, mark: bytes) -> None:
    """Refuse bytes whose checksum is another; those without one pass."""
    place = data.rfind(mark) + len(mark)
    if place >= len(mark) and data[place : place + DIGITS] != _checksum(data, place):
        raise Damaged("has another checksum than when it was written")


def _checksum(data: bytes, place: int) -> bytes:
    """Return the checksum of bytes with zeros in place of the checksum itself."""
    view = memoryview(data)
    hasher = hashlib.blake2b(view[:place], digest_size=DIGITS // 2)
    hasher.update(ZEROS)
    hasher.update(view[place + DIGITS :])
    return hasher.hexdigest().encode()


# Sealed folders: written whole or not at all, with the checksum of each of their files, by
# which damage is noticed.

SEAL = "checksums.json"
"""The file in a sealed folder with the checksum of every other one."""


def lay_sealed(folder: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write a folder, flush it to disk and seal it.

    A sound one stays, a damaged one is written again.

    Args:
        folder: The folder.
        fill: Writes its files, without folders among them; where it writes a seal too, that one
            holds.

    Raises:
        HwdsError: The folder cannot be written.
    """
    if is_sound(folder):
        return
    with lock_for_making(folder):
        if is_sound(folder):
            return
        part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
        try:
            shutil.rmtree(
                part, ignore_errors=True
            )  # of a killed process with the same number, as in a container
            part.mkdir(parents=True)
            fill(part)
            _seal(part)
            _move_in_place(part, folder)
        except OSError as error:
            raise HwdsError(f"{folder}: cannot be written: {error.strerror or error}.") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)


def is_sound(folder: Path) -> bool:
    """Return whether a folder has all files of its seal, and each with its checksum."""
    return folder.is_dir() and not _damage(folder)


def require_sound(folder: Path, remedy: str) -> None:
    """Refuse a folder that is damaged.

    Args:
        folder: The folder.
        remedy: What to do about it.

    Raises:
        HwdsError: A file is absent or has another checksum, with its path.
    """
    if path := _damage(folder):
        raise HwdsError(f"{path}: is damaged; {remedy}.")


def _damage(folder: Path) -> Path | None:
    """Return the first file that is absent or has another checksum."""
    try:
        sums = dict(json.loads((folder / SEAL).read_bytes()))
    except (OSError, ValueError, TypeError):
        return folder / SEAL
    for path in (folder / str(name) for name in sums):
        if not path.is_file() or digest_file(path) != sums[path.name]:
            return path
    return None if {path.name for path in folder.iterdir()} == {SEAL, *sums} else folder / SEAL


def _seal(folder: Path) -> None:
    files = sorted(folder.iterdir())
    if folder / SEAL not in files:
        (folder / SEAL).write_text(json.dumps({path.name: digest_file(path) for path in files}))
    for path in (*folder.iterdir(), folder):
        flush_to_disk(path)


def _move_in_place(part: Path, folder: Path) -> None:
    """Rename a new folder to its place.

    A process that has mapped the files of the one before keeps them.
    """
    before = part.with_name(f"{part.name}.before")
    if folder.is_dir():
        folder.rename(before)
    part.rename(folder)
    flush_to_disk(folder.parent)
    shutil.rmtree(before, ignore_errors=True)
