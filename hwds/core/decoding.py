"""The reading of stored values: a JSON tree and arrays, of which no part is read more often than it was written."""

from __future__ import annotations

import json
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
COLUMNS = {str(kind): kind for kind in (pl.String, pl.Boolean, pl.Float32, pl.Float64, pl.Date, *INTEGERS)}
"""The types of a table's columns, by their names."""

GENERATORS = ("PCG64", "PCG64DXSM", "Philox", "SFC64", "MT19937")


def class_path(cls: type) -> str:
    """Return `module:Class`, which `buildable` reads."""
    return f"{cls.__module__}:{cls.__qualname__}"


def names_of(cls: Any, value: Any) -> tuple[str, ...]:
    """Return the names of the attributes that are stored of an object."""
    if issubclass(cls, tuple):
        return tuple(cls._fields)
    if is_dataclass(cls):
        return tuple(field.name for field in fields(cls) if field.init)
    return tuple(name for base in cls.__mro__ for name in getattr(base, "__slots__", ())) or tuple(vars(value))


def parted(body: memoryview) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the JSON of a body, and the arrays behind it, which can be no longer than the body itself."""
    size = int.from_bytes(body[:8], "little")
    head, at = json.loads(bytes(body[8 : 8 + size])), 8 + size
    arrays: dict[str, np.ndarray] = {}
    for kind, count in head["arrays"].items():
        if np.dtype(kind).hasobject or not 0 <= count <= len(body):
            raise ValueError(f"{count} items of {kind}")
        arrays[kind] = np.frombuffer(body, kind, count, at)
        at += arrays[kind].nbytes
    return head, arrays


class Decoder:
    """The reader of the trees that `_Encoder` builds.

    What is read is no larger than what was stored: each item of an array, and each tuple that is not flat, is read once, as it
    was written once. Otherwise a file of a few kilobytes could name its own parts again and again until memory ends.

    Args:
        head: The tree, its tuples, and its classes.
        arrays: All of a type one after the other.
        buildable: Returns the class of `module:Class`, where an object may be built of it.
    """

    def __init__(self, head: dict[str, Any], arrays: dict[str, np.ndarray], buildable: Callable[[str], type]) -> None:
        self._classes = [buildable(path) for path in head["classes"]]
        self._arrays = arrays
        self._left = {kind: array.size for kind, array in arrays.items()}
        self._tuples: list[tuple[Any, ...]] = []
        self._deep: dict[int, bool] = {}
        for number, tree in enumerate(head["tuples"]):  # tuples inside a tuple come before it
            self._tuples.append(tuple(self.decode(tree)))
            self._deep[number] = tree[0] != "plain"

    def decode(self, tree: Any) -> Any:
        """Return the value of a tree."""
        return _DECODE[tree[0]](self, *tree[1:]) if isinstance(tree, list) else tree

    def _list(self, trees: list[Any]) -> list[Any]:
        return [self.decode(tree) for tree in trees]

    def _dict(self, keys: Any, values: Any) -> dict[Any, Any]:
        return dict(zip(self.decode(keys), self.decode(values), strict=True))

    def _tuple(self, number: int) -> tuple[Any, ...]:
        if number < 0 or self._deep.get(number) is None:
            raise ValueError(f"tuple {number} is read twice")
        if self._deep[number]:
            self._deep.pop(number)
        return self._tuples[number]

    def _slice(self, kind: str, begin: int, size: int) -> np.ndarray:
        self._left[kind] -= size
        if begin < 0 or size < 0 or self._left[kind] < 0:
            raise ValueError(f"an array of {size} items is read twice")
        return self._arrays[kind][begin : begin + size].copy()

    def _array(self, kind: str, shape: list[int], turned: bool, begin: int) -> np.ndarray:
        flat = self._slice(kind, begin, int(np.prod(shape, dtype=np.int64)))
        return flat.reshape(shape[::-1]).T if turned else flat.reshape(shape)

    def _table(self, names: list[str], kinds: list[str], columns: list[Any]) -> pl.DataFrame:
        values = [self.decode(column) for column in columns]
        if len({len(column) for column in values}) > 1:
            raise ValueError("a table has columns of several lengths")
        parts = zip(names, kinds, values, strict=True)
        return pl.DataFrame([pl.Series(name, column, COLUMNS[kind]) for name, kind, column in parts])

    def _generator(self, tree: Any) -> np.random.Generator:
        state = self.decode(tree)
        bits = {name: getattr(np.random, name) for name in GENERATORS}[state["bit_generator"]]()
        bits.state = state
        return np.random.Generator(bits)

    def _object(self, number: int, trees: dict[str, Any]) -> Any:
        cls: Any = self._classes[number]
        renamed = getattr(cls, "renamed", {})
        values = {renamed.get(name, name): self.decode(tree) for name, tree in trees.items()}
        values = {**getattr(cls, "added", {}), **values}
        if issubclass(cls, tuple) or is_dataclass(cls):
            if set(values) != set(names_of(cls, None)):
                raise TypeError(f"'{class_path(cls)}' has other fields")
            return cls(**values)
        made = cls.__new__(cls)
        for name, value in values.items():
            setattr(made, name, value)
        return made


_DECODE: dict[str, Callable[..., Any]] = {
    "nan": lambda _, text: struct.unpack("<d", bytes.fromhex(text))[0],
    "plain": lambda _, values: values,
    "floats": lambda self, begin, size: self._slice("<f8", begin, size).tolist(),
    "list": Decoder._list,
    "tuple": Decoder._tuple,
    "tuples": lambda self, numbers: [self._tuple(number) for number in numbers],
    "dict": Decoder._dict,
    "set": lambda self, tree: set(self.decode(tree)),
    "frozenset": lambda self, tree: frozenset(self.decode(tree)),
    "deque": lambda self, tree, most: deque(self.decode(tree), most),
    "table": Decoder._table,
    "bytes": lambda self, begin, size: self._slice("|u1", begin, size).tobytes(),
    "bytearray": lambda self, begin, size: bytearray(self._slice("|u1", begin, size)),
    "array": Decoder._array,
    "scalar": lambda self, *array: self._array(*array)[()],
    "generator": Decoder._generator,
    "date": lambda _, text: date.fromisoformat(text),
    "instant": lambda _, text, zone, fold: _moment(text, zone, fold),
    "object": Decoder._object,
}


def _moment(text: str, zone: str, fold: int) -> datetime:
    made = datetime.fromisoformat(text).replace(fold=fold)
    return made.replace(tzinfo=ZoneInfo(zone)) if zone else made
