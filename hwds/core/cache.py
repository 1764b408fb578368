"""The cache: entries by key in a folder, written atomically, verified by checksum, each computed by one process at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from hwds.core.atomic import write_bytes
from hwds.core.audit import unseen
from hwds.core.hashing import digest_bytes
from hwds.core.inputs import note, noted_inputs, noting, read_so_far, unchanged
from hwds.core.locks import making

Value = TypeVar("Value")

INPUTS = b"hwds inputs\n"
"""The beginning of the content of an entry that files belong to."""

NO_INPUTS: Mapping[str, str] = MappingProxyType({})

CHECKSUM = 32
"""Bytes before the content of an entry: its checksum in hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Codec(Generic[Value]):
    """The stored form of a kind of value.

    Attributes:
        suffix: The suffix of the file.
        encode: Returns the content of a value.
        decode: Returns the value of a content, bit for bit.
    """

    suffix: str
    encode: Callable[[Value], bytes]
    decode: Callable[[bytes], Value]


@dataclass(frozen=True)
class Cache:
    """Values by key. A key covers all that its value depends on but for files that a user's code read: those are in the entry.

    Attributes:
        folder: The folder of the entries.
    """

    folder: Path

    def path(self, key: str, codec: Codec[Value]) -> Path:
        """Return the path of an entry."""
        return self.folder / key[:2] / f"{key}.{codec.suffix}"

    def has(self, key: str, codec: Codec[Value]) -> bool:
        """Return whether an entry exists."""
        return self.path(key, codec).is_file()

    def keys(self, beginning: str, codec: Codec[Value]) -> list[str]:
        """Return the keys of all entries that begin so (two characters at least)."""
        return [path.stem for path in (self.folder / beginning[:2]).glob(f"{beginning}*.{codec.suffix}")]

    def load(self, key: str, codec: Codec[Value]) -> Value | None:
        """Return the value of an entry; None where there is none, or a file that it was made from has changed.

        A damaged entry is deleted.
        """
        path = self.path(key, codec)
        try:
            with unseen(), path.open("rb") as file:
                checksum, content = file.read(CHECKSUM), file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if digest_bytes([content]).encode() != checksum:
            path.unlink(missing_ok=True)
            return None
        inputs, content = _taken_apart(content)
        if not unchanged(inputs):
            return None
        note(inputs)
        return codec.decode(content)

    def store(self, key: str, codec: Codec[Value], value: Value, inputs: Mapping[str, str] = NO_INPUTS) -> None:
        """Store a value, and the digests of the files that it was made from.

        Raises:
            HwdsError: The folder cannot be written.
        """
        content = _with_inputs(codec.encode(value), inputs)
        with unseen():
            write_bytes(self.path(key, codec), digest_bytes([content]).encode() + content)

    def get_or_make(self, key: str, codec: Codec[Value], make: Callable[[], Value]) -> Value:
        """Return the value of an entry; a missing or damaged one is computed now, by one process while others wait.

        Raises:
            HwdsError: The folder cannot be written.
        """
        value = self.load(key, codec)
        if value is not None:
            return value
        with making(self.path(key, codec)):
            value = self.load(key, codec)
            if value is None:
                value, inputs = _made(make)
                self.store(key, codec, value, inputs)
        return value


@dataclass(frozen=True)
class Unkept(Cache):
    """A cache that keeps nothing: every value is computed when it is asked for."""

    folder: Path = Path()

    def get_or_make(self, key: str, codec: Codec[Value], make: Callable[[], Value]) -> Value:
        """Return the value, computed now."""
        return make()


def _made(make: Callable[[], Any]) -> tuple[Any, Mapping[str, str]]:
    """Return a value, and what was read for it and before it where that is noted."""
    if not noting():
        return make(), NO_INPUTS
    with noted_inputs():
        value = make()
    return value, read_so_far()


def _with_inputs(content: bytes, inputs: Mapping[str, str]) -> bytes:
    """Return a content with the files that it was made from in front, where there are any."""
    if not inputs:
        return content
    text = json.dumps(dict(inputs)).encode()
    return INPUTS + len(text).to_bytes(8, "little") + text + content


def _taken_apart(content: bytes) -> tuple[Mapping[str, str], bytes]:
    if not content.startswith(INPUTS):
        return NO_INPUTS, content
    begin = len(INPUTS) + 8
    end = begin + int.from_bytes(content[len(INPUTS) : begin], "little")
    return json.loads(content[begin:end]), content[end:]
