"""The log of an offline folder, read to see that it is whole.

A log is LevelDB's: blocks of 32 KiB, in them chunks with a header of 7 bytes (checksum, length, type), a record being one chunk
or several (https://github.com/google/leveldb/blob/main/doc/log_format.md); wandb puts 7 bytes of its own before the first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

BLOCK, HEADER = 32_768, struct.Struct("<IHB")
FULL, LAST = 1, 4
"""Types of a chunk that a record ends with."""


def kinds(path: Path) -> Iterator[str]:
    """What each record is: `run`, `history`, `summary`, ..., `exit` last where the log is whole."""
    from wandb.proto.wandb_internal_pb2 import Record

    for data in _records(path.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        yield str(record.WhichOneof("record_type"))


def _records(data: bytes) -> Iterator[bytes]:
    at, parts = HEADER.size, b""
    while at + HEADER.size <= len(data):
        if BLOCK - at % BLOCK < HEADER.size:  # the end of a block that has no room for a header
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = HEADER.unpack_from(data, at)
        at += HEADER.size
        parts += data[at : at + length]
        if at + length > len(data):
            return
        at += length
        if kind in (FULL, LAST):
            yield parts
            parts = b""
