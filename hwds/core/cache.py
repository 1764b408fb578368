"""The cache: entries by key in a folder, written atomically, verified by checksum, each computed by one process at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from hwds.core.atomic import write_bytes
from hwds.core.hashing import digest_bytes
from hwds.core.locks import making

Value = TypeVar("Value")

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
    """Values by key. A key covers all that its value depends on, so that no entry is ever out of date.

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
        """Return the value of an entry; None where there is none. A damaged entry is deleted."""
        path = self.path(key, codec)
        try:
            with path.open("rb") as file:
                checksum, content = file.read(CHECKSUM), file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if digest_bytes([content]).encode() == checksum:
            return codec.decode(content)
        path.unlink(missing_ok=True)
        return None

    def store(self, key: str, codec: Codec[Value], value: Value) -> None:
        """Store a value.

        Raises:
            HwdsError: The folder cannot be written.
        """
        content = codec.encode(value)
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
                value = make()
                self.store(key, codec, value)
        return value
