"""Few rows: values by column that models read without a detour over a table; it is made where somebody asks for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import polars as pl

from hwds.frames.table import Table

Values = Mapping[str, Any]
"""A row: values by column, as `hwds.serving.reading` makes them; what is not there is null."""


@dataclass(frozen=True)
class Kinds:
    """What the columns of few rows are.

    Attributes:
        table: One with these columns and roles.
        plain: The columns whose values are numbers as they stand.
        single: Those of them that are held in single precision.
        written: How polars writes a value of each column that is no array.
    """

    table: Table
    plain: frozenset[str]
    single: frozenset[str]
    written: Mapping[str, Callable[[Any], str | None]]

    @classmethod
    def of(cls, table: Table) -> Self:
        """Those of a table."""
        kinds = table.data.schema.items()
        plain = frozenset(name for name, kind in kinds if kind.is_float() or kind.is_integer() or kind == pl.Boolean)
        single = frozenset(name for name, kind in kinds if kind == pl.Float32)
        return cls(table, plain, single, {name: _writer(kind) for name, kind in kinds if not kind.is_nested()})


class FewRows(Table):
    """A table of values by column, with the same numbers, codes and steps to the bit."""

    _values: Sequence[Values] | None = None
    """None of a changed copy, which is a table like any other."""

    _kinds: Kinds
    _numbers: dict[tuple[str, ...], np.ndarray]

    @classmethod
    def of(cls, values: Sequence[Values], kinds: Kinds) -> Self:
        """Rows of these kinds."""
        made = cls.__new__(cls)
        made.__dict__.update(roles=kinds.table.roles, unit=kinds.table.unit, _values=values, _kinds=kinds, _numbers={})
        return made

    @cached_property
    def data(self) -> pl.DataFrame:
        """The rows as a frame."""
        assert self._values is not None
        kinds = self._kinds.table.data.schema.items()
        return pl.DataFrame([pl.Series(name, [row.get(name) for row in self._values], kind) for name, kind in kinds])

    @property
    def height(self) -> int:
        """How many rows there are."""
        return super().height if self._values is None else len(self._values)

    def numbers(self, names: Sequence[str]) -> np.ndarray:
        """As of a table; they are made once, and only to be read."""
        if self._values is None or not self._kinds.plain.issuperset(names):
            return super().numbers(names)
        asked = tuple(names)
        if asked not in self._numbers:
            found = np.array([[*map(row.get, asked)] for row in self._values], float).reshape(self.height, len(asked))
            for place in (place for place, name in enumerate(asked) if name in self._kinds.single):
                found[:, place] = found[:, place].astype(np.float32)
            found.flags.writeable = False
            self._numbers[asked] = found
        return self._numbers[asked]

    def codes(self, name: str, known: Mapping[str, int], other: int) -> np.ndarray:
        """As of a table."""
        if self._values is None:
            return super().codes(name, known, other)
        return np.array([known.get(row.get(name), other) for row in self._values], np.int32)  # type: ignore[arg-type]

    def steps(self, name: str) -> np.ndarray:
        """As of a table."""
        if self._values is None:
            return super().steps(name)
        shape = self._kinds.table.data.schema[name].shape  # type: ignore[attr-defined]
        nothing = np.full(shape, np.nan)
        found = np.array([nothing if (value := row.get(name)) is None else value for row in self._values], float)
        return found.reshape(self.height, shape[0], int(np.prod(shape[1:])))

    def texts(self, name: str) -> Sequence[str | None]:
        """As of a table."""
        if self._values is None:
            return super().texts(name)
        write = self._kinds.written.get(name)
        values = [row.get(name) if write else None for row in self._values]
        return [None if value is None or write is None else write(value) for value in values]


def _writer(kind: Any) -> Callable[[Any], str | None]:
    """How polars writes a value of a column."""
    if kind in (pl.String, pl.Categorical) or isinstance(kind, pl.Enum) or kind.is_integer():
        return str
    if kind == pl.Boolean:
        return lambda value: str(value).lower()
    if kind == pl.Float64:
        return lambda value: str(float(value)) if 1e-4 <= abs(value) < 1e15 or value == 0 else _written(value, kind)
    return lambda value: _written(value, kind)


def _written(value: Any, kind: Any) -> str | None:
    text: str | None = pl.Series([value], dtype=kind).cast(pl.String)[0]
    return text
