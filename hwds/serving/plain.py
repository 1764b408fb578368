"""Plain: the state of features as numbers, texts and arrays, from which it is filled in again; no code is kept and none is run.

What changes as rows arrive is told by the attribute `changing` of live features. A list of plain values stays as it is; equal
tuples are kept once, for a group of rows is named by each of them; arrays of a type lie one after the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from typing import Any

import numpy as np

from hwds.stored import class_at, class_path

PLAIN = frozenset((type(None), bool, int, float, str))
"""What JSON keeps to the bit."""

Told = dict[str, Any]


class Unkept(Exception):
    """There is something that has no plain form."""


class Packed:
    """What values are told by: a tree for JSON, tuples, names of classes, and arrays.

    Attributes:
        tuples: Each kept once, in the order in which they were met.
        classes: Of objects, by number.
        arrays: By type, to be laid one after the other.
    """

    def __init__(self) -> None:
        self.tuples: list[Any] = []
        self.classes: dict[str, int] = {}
        self.arrays: dict[str, list[np.ndarray]] = {}
        self._known: dict[Any, int] = {}

    def changing(self, live: Any) -> Told:
        """What changes of an object.

        Raises:
            Unkept: It does not say what that is.
        """
        if live.changing is None:
            raise Unkept(f"'{type(live).__name__}' does not say what changes.")
        return {name: self._part(getattr(live, name)) for name in live.changing}

    def _part(self, value: Any) -> Any:
        if hasattr(value, "changing"):
            return self.changing(value)
        if isinstance(value, tuple) and value and hasattr(value[0], "changing"):
            return [self.changing(part) for part in value]
        return self.packed(value)

    def packed(self, value: Any) -> Any:
        """A value: as it is, or a list whose first item says how the rest is to be read."""
        if type(value) in PLAIN:
            return value
        pack = _PACK.get(type(value))
        return pack(self, value) if pack else self._object(value)

    def _dict(self, value: dict[Any, Any]) -> Any:
        return ["dict", self._list(list(value)), self._list(list(value.values()))]

    def _array(self, value: np.ndarray) -> Any:
        self.arrays.setdefault(value.dtype.str, []).append(value.ravel())
        return ["array", value.dtype.str, list(value.shape)]

    def _list(self, values: list[Any]) -> Any:
        kinds = set(map(type, values))
        if kinds <= PLAIN:
            return ["plain", values]
        if kinds == {tuple}:
            return ["tuples", [self._tuple(value) for value in values]]
        return ["list", [self.packed(value) for value in values]]

    def _tuple(self, value: tuple[Any, ...]) -> int:
        """Its number; one of something that cannot be looked up is kept each time."""
        try:
            number = self._known.get(value)
        except TypeError:  # of arrays, say
            return self._appended(value)
        if number is None:
            number = self._known[value] = self._appended(value)
        return number

    def _appended(self, value: tuple[Any, ...]) -> int:
        """What is in it comes before it."""
        self.tuples.append(self._list(list(value)))
        return len(self.tuples) - 1

    def _object(self, value: Any) -> Any:
        """A record, or an object of which all attributes are state."""
        if isinstance(value, np.generic):
            return value.item()
        if type(value).__module__ in ("builtins", "collections"):
            raise Unkept(f"{type(value).__name__} has no plain form.")
        number = self.classes.setdefault(class_path(type(value)), len(self.classes))
        if isinstance(value, tuple):
            return ["record", number, [self.packed(item) for item in value]]
        return ["object", number, {name: self.packed(getattr(value, name)) for name in _attributes(value)}]


_PACK: dict[type, Callable[..., Any]] = {
    tuple: lambda packed, value: ["tuple", packed._tuple(value)],
    list: Packed._list,
    dict: Packed._dict,
    defaultdict: Packed._dict,
    np.ndarray: Packed._array,
    date: lambda _, value: ["date", value.isoformat()],
    datetime: lambda _, value: ["instant", value.isoformat()],
}


class Unpacked:
    """Reads what `Packed` told.

    Args:
        tuples: Those of `Packed`.
        classes: Names in the order of their numbers.
        arrays: All of a type one after the other.
    """

    def __init__(self, tuples: Iterable[Any], classes: Iterable[str], arrays: dict[str, np.ndarray]) -> None:
        self._classes = [class_at(name) for name in classes]
        self._arrays, self._at = arrays, dict.fromkeys(arrays, 0)
        self._tuples: list[tuple[Any, ...]] = []
        for inner in tuples:
            self._tuples.append(tuple(self.value(inner)))

    def fill(self, live: Any, told: Told) -> None:
        """Let an object that is as good as new know what another one had come to know."""
        for name in live.changing:
            own = getattr(live, name)
            if hasattr(own, "changing"):
                self.fill(own, told[name])
            elif isinstance(own, tuple) and own and hasattr(own[0], "changing"):
                for part, each in zip(own, told[name], strict=True):
                    self.fill(part, each)
            elif isinstance(own, dict):  # it may know what to do about what is missing
                own.update(self.value(told[name]))
            else:
                setattr(live, name, self.value(told[name]))

    def value(self, told: Any) -> Any:
        """What `Packed.packed` packed."""
        return _READ[told[0]](self, *told[1:]) if isinstance(told, list) else told

    def _list(self, values: list[Any]) -> list[Any]:
        return [self.value(value) for value in values]

    def _dict(self, keys: Any, values: Any) -> dict[Any, Any]:
        return dict(zip(self.value(keys), self.value(values), strict=True))

    def _array(self, kind: str, shape: list[int]) -> np.ndarray:
        begin = self._at[kind]
        self._at[kind] = end = begin + int(np.prod(shape))
        return self._arrays[kind][begin:end].reshape(shape).copy()

    def _object(self, number: int, told: Told) -> Any:
        cls = self._classes[number]
        made = cls.__new__(cls)
        for name, value in told.items():
            setattr(made, name, self.value(value))
        return made

    def _record(self, number: int, items: list[Any]) -> Any:
        return self._classes[number](*self._list(items))

    def _numbered(self, number: int) -> tuple[Any, ...]:
        return self._tuples[number]

    def _numbered_all(self, numbers: list[int]) -> list[tuple[Any, ...]]:
        return [self._tuples[number] for number in numbers]


_READ: dict[str, Callable[..., Any]] = {
    "plain": lambda _, values: values,
    "list": Unpacked._list,
    "tuple": Unpacked._numbered,
    "tuples": Unpacked._numbered_all,
    "dict": Unpacked._dict,
    "array": Unpacked._array,
    "record": Unpacked._record,
    "object": Unpacked._object,
    "date": lambda _, text: date.fromisoformat(text),
    "instant": lambda _, text: datetime.fromisoformat(text),
}


def _attributes(value: Any) -> Iterator[str]:
    slots = getattr(type(value), "__slots__", ())
    yield from slots or vars(value)
