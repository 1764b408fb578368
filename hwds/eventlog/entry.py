"""Entry: one thing that happened, and the row of the database that keeps it."""

from __future__ import annotations

from typing import Any, NamedTuple
from zlib import crc32


class Entry(NamedTuple):
    """One thing that happened.

    Attributes:
        kind: What it is, such as `event`, `label` or `decision`.
        id: Tells it from all others of its kind; None where each is another one.
        place: The number of what it is or is about, from 0; -1 of none.
        at: When it happened, or holds from, in the unit of the log; None where that does not matter.
        body: Its content.
        reply: The answer; None where none was needed.
        data: Numbers that belong to the reply.
    """

    kind: str
    id: str | None
    place: int
    at: float | None
    body: str
    reply: str | None = None
    data: bytes | None = None


COLUMNS = "number, kind, id, place, at, body, reply, data, checksum"
INSERT = "insert into entries values (?, ?, ?, ?, ?, ?, ?, ?, ?)"


def row_of(number: int, entry: Entry) -> tuple[Any, ...]:
    """Return the row of an entry, in the order of `COLUMNS`."""
    return (number, *entry, checksum_of(number, entry))


def checksum_of(number: int, entry: Entry) -> int:
    """Return the checksum of an entry and its number."""
    data = entry.data or b""
    return crc32(data, crc32(repr((number, *entry[:6], len(data))).encode("utf-8", "surrogatepass")))
