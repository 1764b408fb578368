"""Arrow streams of strangers: how many rows they hold is read off before they are, for a few bytes may stand for billions."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import polars as pl

from hwds.core.errors import DataError
from hwds.production.server.refusals import Refused

DICTIONARY, BATCH = 2, 3
"""The kinds of messages that hold values: texts that are numbered, and rows (`MessageHeader` in Arrow's Message.fbs)."""

MOST_TEXTS = 1_000_000
"""Numbered texts at most."""

TIMES = 8
"""Times the size of the body that the texts of all rows may have: rows may share one."""


def rows_of(body: bytes, most: int) -> list[dict[str, Any]]:
    """Return the rows of a stream.

    Args:
        body: The bytes.
        most: Rows at most.

    Raises:
        Refused: 413, it has more; 415, it is compressed.
        DataError: It is no Arrow stream.
    """
    try:
        for kind, count, compressed in _messages(body):
            if compressed:
                raise Refused(415, "compressed Arrow is not read here; send it as it is.")
            if count > (most if kind == BATCH else MOST_TEXTS):
                raise Refused(413, f"{count:,} rows in one request; {most:,} are allowed.")
        frame = pl.read_ipc_stream(io.BytesIO(body))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, struct.error) as error:
        raise DataError(f"body: is no Arrow stream ({' '.join(str(error).split())[:120]}).") from error
    if frame.height > most:
        raise Refused(413, f"{frame.height:,} rows in one request; {most:,} are allowed.")
    if _texts(frame) > TIMES * len(body):
        raise Refused(413, "texts that rows share are too large.")
    return list(frame.iter_rows(named=True))


def _texts(frame: pl.DataFrame) -> int:
    """Return the bytes of all texts of a table, each as often as it stands there."""
    sizes: list[Any] = [frame[name].str.len_bytes().sum() for name in frame.select(pl.selectors.string()).columns]
    sizes += [frame[name].cat.len_bytes().sum() for name in frame.select(pl.selectors.categorical()).columns]
    return sum(int(size or 0) for size in sizes)


def _messages(body: bytes) -> Iterator[tuple[int, int, bool]]:
    """Yield the kind of each message with values, how many rows or texts it has, and whether it is compressed.

    Raises:
        struct.error: It is cut short, or points beyond its end.
    """
    at = 0
    while at + 4 <= len(body):
        size, at = _number("<i", body, at), at + 4
        if size == -1:  # a marker stands before the size since format 5
            size, at = _number("<i", body, at), at + 4
        if size <= 0:
            return
        facts, at = body[at : at + size], at + size
        message = _number("<I", facts, 0)
        kind, header, length = (_field(facts, message, number) for number in (1, 2, 3))
        which = 0 if kind is None else facts[kind] if kind < len(facts) else 0
        if header is not None and which in (DICTIONARY, BATCH):
            batch: int | None = header + _number("<I", facts, header)
            if which == DICTIONARY:
                inside = _field(facts, header + _number("<I", facts, header), 1)
                batch = None if inside is None else inside + _number("<I", facts, inside)
            if batch is not None:
                count = _field(facts, batch, 0)
                yield which, 0 if count is None else _number("<q", facts, count), _field(facts, batch, 3) is not None
        at += 0 if length is None else max(_number("<q", facts, length), 0)


def _field(facts: bytes, table: int, number: int) -> int | None:
    """Return where a field of a FlatBuffers table stands; None where it is absent."""
    layout = table - _number("<i", facts, table)
    if layout < 0 or 4 + 2 * number >= _number("<H", facts, layout):
        return None
    offset = _number("<H", facts, layout + 4 + 2 * number)
    return table + offset if offset else None


def _number(form: str, data: bytes, at: int) -> int:
    if at < 0:
        raise struct.error("points before its beginning")
    value: int = struct.unpack_from(form, data, at)[0]
    return value
