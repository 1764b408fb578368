"""The content of text files that are compressed, `.csv.gz` and `.tsv.zst`: read as what they are, and no larger than memory."""

from __future__ import annotations

import gzip
from io import BytesIO
from pathlib import Path
from typing import Any

from hwds.core.errors import DataError

COMPRESSED = (".gz", ".zst")
"""Suffixes behind that of the format."""

MOST_TIMES, MOST_FREE = 200, 1 << 28
"""The size of a content as a multiple of its file's, and the size from which that is asked."""

AT_ONCE = 1 << 24


def format_of(file: Path) -> str:
    """Return the suffix that says the format, in small letters: `.csv` of `sales.csv.gz`."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    packed = bool(suffixes) and suffixes[-1] in COMPRESSED
    return suffixes[-2] if packed and len(suffixes) > 1 else suffixes[-1] if suffixes else ""


def content_of(file: Path, name: str) -> bytes:
    """Return the bytes of a file, decompressed where its suffix says so.

    Raises:
        DataError: It is damaged, or far larger than its file, as no table is.
    """
    data = file.read_bytes()
    kind = file.suffix.lower()
    if kind not in COMPRESSED:
        return data
    try:
        return _decompressed(_opened(data, kind), max(MOST_TIMES * len(data), MOST_FREE), name)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"dataset.path: '{name}' cannot be read as {kind[1:]} (it is damaged).") from error


def _opened(data: bytes, kind: str) -> Any:
    if kind == ".gz":
        return gzip.GzipFile(fileobj=BytesIO(data))
    import pyarrow as pa

    return pa.CompressedInputStream(pa.BufferReader(data), "zstd")


def _decompressed(stream: Any, most: int, name: str) -> bytes:
    parts, size = [], 0
    while part := stream.read(AT_ONCE):
        parts.append(part)
        size += len(part)
        if size > most:
            raise DataError(f"dataset.path: '{name}' has more than {most >> 20:,} MB in a file of a {MOST_TIMES}th of that.")
    return b"".join(parts)
