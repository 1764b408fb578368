"""The one codec: values as JSON and arrays, from which every bit comes back; no code is stored."""

from __future__ import annotations

import json
import math
import struct
from abc import ABC
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.errors import DataError, HwdsError
from hwds.core.files import Displayed, Readable, write_bytes
from hwds.core.moved import current_path
from hwds.core.recipe import Recipe

# The reading of stored values: a JSON tree and arrays, of which no part is read more often than
# it was written.

INTEGER_TYPES = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
COLUMN_TYPES = {
    str(kind): kind
    for kind in (pl.String, pl.Boolean, pl.Float32, pl.Float64, pl.Date, *INTEGER_TYPES)
}
"""The types of a table's columns, by their names."""

GENERATORS = ("PCG64", "PCG64DXSM", "Philox", "SFC64", "MT19937")


def class_path(cls: type) -> str:
    """Return `module:Class`, which `buildable` reads."""
    return f"{cls.__module__}:{cls.__qualname__}"


def stored_attributes(cls: Any, value: Any) -> tuple[str, ...]:
    """Return the names of the attributes that are stored of an object."""
    if issubclass(cls, tuple):
        return tuple(cls._fields)
    if is_dataclass(cls):
        return tuple(field.name for field in fields(cls) if field.init)
    return tuple(name for base in cls.__mro__ for name in getattr(base, "__slots__", ())) or tuple(
        vars(value)
    )


def split_body(body: memoryview) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """Return the JSON of a body, and the arrays behind it, which can be no longer than the body
    itself.
    """
    size = int.from_bytes(body[:8], "little")
    head, at = json.loads(bytes(body[8 : 8 + size])), 8 + size
    arrays: dict[str, ndarray] = {}
    for kind, count in head["arrays"].items():
        if np.dtype(kind).hasobject or not 0 <= count <= len(body):
            raise ValueError(f"{count} items of {kind}")
        arrays[kind] = np.frombuffer(body, kind, count, at)
        at += arrays[kind].nbytes
    return head, arrays


class Decoder:
    """The reader of the trees that `_Encoder` builds.

    What is read is no larger than what was stored: each item of an array, and each tuple that is
    not flat, is read once, as it was written once. Otherwise a file of a few kilobytes could name
    its own parts again and again until memory ends.

    Args:
        head: The tree, its tuples, and its classes.
        arrays: All of a type one after the other.
        buildable: Returns the class of `module:Class`, where an object may be built of it.
    """

    def __init__(
        self, head: dict[str, Any], arrays: dict[str, ndarray], buildable: Callable[[str], type]
    ) -> None:
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

    def _slice(self, kind: str, begin: int, size: int) -> ndarray:
        self._left[kind] -= size
        if begin < 0 or size < 0 or self._left[kind] < 0:
            raise ValueError(f"an array of {size} items is read twice")
        return self._arrays[kind][begin : begin + size].copy()

    def _array(self, kind: str, shape: list[int], turned: bool, begin: int) -> ndarray:
        flat = self._slice(kind, begin, int(np.prod(shape, dtype=np.int64)))
        return flat.reshape(shape[::-1]).T if turned else flat.reshape(shape)

    def _table(self, names: list[str], kinds: list[str], columns: list[Any]) -> DataFrame:
        values = [self.decode(column) for column in columns]
        if len({len(column) for column in values}) > 1:
            raise ValueError("a table has columns of several lengths")
        parts = zip(names, kinds, values, strict=True)
        return DataFrame([Series(name, column, COLUMN_TYPES[kind]) for name, kind, column in parts])

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
            if set(values) != set(stored_attributes(cls, None)):
                raise TypeError(f"'{class_path(cls)}' has other fields")
            return cls(**values)
        instance = cls.__new__(cls)
        for name, value in values.items():
            setattr(instance, name, value)
        return instance


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
    "instant": lambda _, text, zone, fold: _instant_of(text, zone, fold),
    "object": Decoder._object,
}


def _instant_of(text: str, zone: str, fold: int) -> datetime:
    instant = datetime.fromisoformat(text).replace(fold=fold)
    return instant.replace(tzinfo=ZoneInfo(zone)) if zone else instant


# The one codec: values as JSON and arrays, from which every bit comes back; no code is stored
# and none is run.
# It stores numbers, texts, bytes, dates, arrays, tables, random generators, lists, tuples,
# dicts, sets, deques, and objects of classes that opt in: subclasses of `Serializable` (or
# registered with it) and of `Recipe`. One checksum covers all of it, and a class is built only
# where `buildable` allows it. A stored value is one block of bytes: a mark, the checksum, the
# length of the JSON, the JSON, and the arrays, those of a type one after the other.

FILE = "fitted.hwds"
"""The file in the folder of one stored object."""

OLD_FILES = ("class.json", "fields.json")
"""The files that older versions wrote in its place."""

STORED_MARK = b"hwds stored 1\n"
PLAIN = frozenset((type(None), bool, int, float, str))
"""Types that JSON stores exactly, but for a NaN with other bits than the usual one."""

SHARED = frozenset((type(None), bool, int, str))
"""Types of the items of tuples that are stored once however often they occur: equal ones have the
same bits.
"""

LEAST_ARRAY = 16
"""A list of at least so many floats is stored as an array."""

NAN = struct.pack("<d", float("nan"))


class Unserializable(HwdsError):
    """A value has no stored form."""


class Serializable(Displayed, ABC):
    """Mixin of classes whose objects may be stored: `save` and `load`.

    Of a dataclass the fields are stored, of a named tuple (`@Serializable.register`) the items,
    else all attributes. Where a class has `renamed`, fields that older versions stored are read
    under their present names: old name to new name; where it has `added`, fields that they did not
    store have these values.
    """

    __slots__ = ()

    def save(self, folder: Path) -> None:
        """Write the object into a folder; `load` gives an equal one in a fresh process.

        Raises:
            Unserializable: Something in it has no stored form.
            HwdsError: The folder cannot be written.
        """
        write_bytes(folder / FILE, dumps(self))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the object that `save` wrote.

        Raises:
            DataError: There is none, it is damaged, of another class, or of another version.
        """
        loaded = load_fitted(folder)
        if not isinstance(loaded, cls):
            raise DataError(
                f"{folder / FILE}: holds a '{class_path(type(loaded))}', not a '{class_path(cls)}'."
            )
        return loaded

    def stored_as(self) -> Any:
        """Return the object to store in place of this one: itself, but for a wrapper that stands
        for another one.
        """
        return self


def save_fitted(fitted: Any, folder: Path) -> None:
    """Write a fitted model into a folder; errors as of `Serializable.save`."""
    write_bytes(folder / FILE, dumps(fitted))


def load_fitted(folder: Readable) -> Any:
    """Read the fitted model of a folder.

    Raises:
        DataError: There is none, it is damaged, its class is gone or has other fields, or an older
            version of hwds wrote it.
    """
    path, remedy = folder / FILE, "run again with save_model=final"
    if path.is_file():
        return loads(path.read_bytes(), str(path), remedy)
    if has_fitted(folder):
        raise DataError(f"{folder}: the saved model is of an older version of hwds; {remedy}.")
    raise DataError(f"{folder}: no saved model.")


def has_fitted(folder: Readable) -> bool:
    """Return whether a folder holds a fitted model, of this version or an older one."""
    return any((folder / name).is_file() for name in (FILE, *OLD_FILES))


def buildable(path: str) -> type:
    """Return the class of `module:Class`, where a stored object may be built of it: the one place
    that decides this.

    It must have opted in, and be of a package that is known: hwds, or one of which a recipe or a
    stored class is imported, as that is which a config names. So a file can neither import a
    foreign module nor call an arbitrary class.

    Raises:
        DataError: It may not be built.
        ImportError, AttributeError: There is no such class.
    """
    module, _, name = path.partition(":")
    package = module.partition(".")[0]
    if package not in _known_packages():
        raise DataError(f"'{path}' is of a package that neither hwds nor the config names")
    cls: Any = import_module(module)
    for part in name.split("."):
        cls = getattr(cls, part)
    if not isinstance(cls, type) or not issubclass(cls, (Serializable, Recipe)):
        raise DataError(f"'{path}' is no Serializable and no Recipe")
    return cls


def _present(path: str) -> type:
    """Return the class of a stored path, which an older version may have written."""
    return buildable(current_path(path))


def stored_paths(folder: Path) -> dict[str, str]:
    """Return the old path of each class of a stored model that has moved, by its present path.

    With them `dumps` gives the bytes that the version gave which stored the model.
    """
    head, _ = split_body(memoryview((folder / FILE).read_bytes())[len(STORED_MARK) + 16 :])
    return {new: old for old in head["classes"] if (new := current_path(old)) != old}


def dumps(value: Any, paths: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """Return a value as bytes.

    Args:
        value: The value.
        paths: Paths of classes to be written in place of others, as of `stored_paths`.

    Raises:
        Unserializable: It has no stored form.
    """
    encoder = _Encoder(paths)
    tree = encoder.encode(value)
    head = {
        "tree": tree,
        "tuples": encoder.tuples,
        "classes": list(encoder.classes),
        "arrays": encoder.sizes,
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    arrays = [part.tobytes() for parts in encoder.arrays.values() for part in parts]
    body = b"".join([len(text).to_bytes(8, "little"), text, *arrays])
    return STORED_MARK + _checksum(body) + body


def loads(data: bytes, source: str, remedy: str = "make it again") -> Any:
    """Return the value of bytes that `dumps` made.

    Args:
        data: The bytes.
        source: The name of their origin, for the refusal.
        remedy: The advice where they cannot be read.

    Raises:
        DataError: They are damaged, or a class is gone, has other fields, or may not be built.
    """
    start = len(STORED_MARK) + 16
    body = memoryview(data)[start:]
    if not data.startswith(STORED_MARK) or data[len(STORED_MARK) : start] != _checksum(body):
        raise DataError(f"{source}: is damaged; {remedy}.")
    try:
        head, arrays = split_body(body)
        return Decoder(head, arrays, _present).decode(head["tree"])
    except (
        ImportError,
        AttributeError,
        ArithmeticError,
        RecursionError,
        TypeError,
        ValueError,
        LookupError,
        HwdsError,
    ) as error:
        why = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"{source}: is of another version ({why}); {remedy}.") from error


class _Encoder:
    """The builder of the JSON tree of a value, which collects its arrays apart.

    A plain value stands for itself; anything else is a list that begins with the name of its
    decoder.
    """

    def __init__(self, paths: Mapping[str, str]) -> None:
        self._paths = paths
        self.tuples: list[Any] = []
        self.classes: dict[str, int] = {}
        self.arrays: dict[str, list[ndarray]] = {}
        self.sizes: dict[str, int] = {}
        self._numbers: dict[Any, int] = {}

    def encode(self, value: Any) -> Any:
        """Return the tree of a value."""
        kind = type(value)
        if kind in PLAIN:
            return ["nan", struct.pack("<d", value).hex()] if _odd_nan(value) else value
        encode = _ENCODE.get(kind)
        return encode(self, value) if encode else self._other(value)

    def _other(self, value: Any) -> Any:
        if isinstance(value, Serializable | Recipe):
            return self._object(value)
        if isinstance(value, np.generic):
            return ["scalar", *self._array(np.asarray(value))[1:]]
        if isinstance(value, DataFrame):
            return self._table(value)
        raise Unserializable(
            f"a '{class_path(type(value))}' cannot be stored: its class is no Serializable."
        )

    def _list(self, values: list[Any]) -> Any:
        kinds = set(map(type, values))
        if kinds == {float} and len(values) >= LEAST_ARRAY:
            return ["floats", *self._append(np.array(values, np.float64))]
        if kinds <= PLAIN and not (float in kinds and any(map(_odd_nan, values))):
            return ["plain", values]
        if kinds == {tuple}:
            return ["tuples", [self._tuple(value) for value in values]]
        return ["list", [self.encode(value) for value in values]]

    def _dict(self, value: dict[Any, Any]) -> Any:
        return ["dict", self._list(list(value)), self._list(list(value.values()))]

    def _tuple(self, value: tuple[Any, ...]) -> int:
        """Return the tuple's number; tuples inside it have lower numbers."""
        kinds = tuple(map(type, value))
        if not SHARED.issuperset(kinds):
            self.tuples.append(self._list(list(value)))
            return len(self.tuples) - 1
        number = self._numbers.get((kinds, value))
        if number is None:
            self.tuples.append(["plain", list(value)])
            number = self._numbers[kinds, value] = len(self.tuples) - 1
        return number

    def _array(self, value: ndarray) -> Any:
        if value.dtype.hasobject or value.dtype.kind == "V":
            raise Unserializable(f"an array of {value.dtype} cannot be stored.")
        turned = (
            value.flags.f_contiguous and not value.flags.c_contiguous
        )  # the last bits of a product of matrices depend on it
        begin, _ = self._append((value.T if turned else value).ravel())
        return ["array", value.dtype.str, list(value.shape), turned, begin]

    def _table(self, value: DataFrame) -> Any:
        kinds = [str(kind) for kind in value.dtypes]
        unknown = [kind for kind in kinds if kind not in COLUMN_TYPES]
        if unknown:
            raise Unserializable(f"a table with a column of {unknown[0]} cannot be stored.")
        return ["table", value.columns, kinds, [self._list(column.to_list()) for column in value]]

    def _append(self, flat: ndarray) -> tuple[int, int]:
        """Append the items to those of their type.

        Return where they begin there, and how many they are.
        """
        kind = flat.dtype.str
        begin = self.sizes.get(kind, 0)
        self.arrays.setdefault(kind, []).append(flat)
        self.sizes[kind] = begin + flat.size
        return begin, flat.size

    def _bytes(self, value: bytes | bytearray) -> Any:
        return [type(value).__name__, *self._append(np.frombuffer(bytes(value), np.uint8))]

    def _object(self, value: Any) -> Any:
        stored_as = getattr(value, "stored_as", None)  # a registered class may have none
        if stored_as is not None and stored_as() is not value:
            return self.encode(stored_as())
        current = class_path(type(value))
        path = self._paths.get(current, current)
        if path not in self.classes:
            _check_importable(current, type(value))
            self.classes[path] = len(self.classes)
        return [
            "object",
            self.classes[path],
            {
                name: self.encode(getattr(value, name))
                for name in stored_attributes(type(value), value)
            },
        ]


_ENCODE: dict[type, Callable[..., Any]] = {
    list: _Encoder._list,
    tuple: lambda self, value: ["tuple", self._tuple(value)],
    dict: _Encoder._dict,
    set: lambda self, value: ["set", self._list(list(value))],
    frozenset: lambda self, value: ["frozenset", self._list(list(value))],
    deque: lambda self, value: ["deque", self._list(list(value)), value.maxlen],
    bytes: _Encoder._bytes,
    bytearray: _Encoder._bytes,
    ndarray: _Encoder._array,
    np.random.Generator: lambda self, value: ["generator", self.encode(value.bit_generator.state)],
    date: lambda _, value: ["date", value.isoformat()],
    datetime: lambda _, value: ["instant", *_instant(value)],
}


def _check_importable(path: str, cls: type) -> None:
    """Refuse a class that cannot be imported by its path."""
    try:
        found = buildable(path)
    except (ImportError, AttributeError, DataError) as error:
        raise Unserializable(f"a '{path}' cannot be stored: {error}.") from error
    if found is not cls:
        raise Unserializable(f"a '{path}' cannot be stored: another class has its name.")


def _known_packages() -> set[str]:
    pending: list[type] = [Serializable, Recipe]
    packages: set[str] = set()
    while pending:
        cls = pending.pop()
        packages.add(cls.__module__.partition(".")[0])
        pending += cls.__subclasses__()
    return packages


def _odd_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value) and struct.pack("<d", value) != NAN


def _instant(value: datetime) -> tuple[str, str, int]:
    if isinstance(value.tzinfo, ZoneInfo):
        return value.replace(tzinfo=None).isoformat(), value.tzinfo.key, value.fold
    return value.isoformat(), "", value.fold


def _checksum(body: bytes | memoryview) -> bytes:
    return blake2b(body, digest_size=16).digest()
