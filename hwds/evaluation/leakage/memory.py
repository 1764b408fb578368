"""Memory: a cache that lies in this process alone, so that nothing lawful is read from disk while a model predicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwds.core.cache import NO_INPUTS, Cache, Codec, Value


@dataclass(frozen=True)
class Memory(Cache):
    """Values by key, each made once, as long as this object lives."""

    values: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> Memory:
        """Return one without a value."""
        return cls(Path())

    def has(self, key: str, codec: Codec[Value]) -> bool:
        """Return whether there is a value."""
        return key in self.values

    def keys(self, beginning: str, codec: Codec[Value]) -> list[str]:
        """Return the keys that begin so."""
        return [key for key in self.values if key.startswith(beginning)]

    def load(self, key: str, codec: Codec[Value]) -> Value | None:
        """Return the value as it would be read, None where there is none."""
        content = self.values.get(key)
        return None if content is None else codec.decode(content)

    def store(self, key: str, codec: Codec[Value], value: Value, inputs: Mapping[str, str] = NO_INPUTS) -> None:
        """Keep a value as it would be written."""
        self.values[key] = codec.encode(value)

    def get_or_make(self, key: str, codec: Codec[Value], make: Callable[[], Value]) -> Value:
        """Return the value; it is made now where there is none."""
        found = self.load(key, codec)
        if found is not None:
            return found
        value = make()
        self.store(key, codec, value)
        return value
