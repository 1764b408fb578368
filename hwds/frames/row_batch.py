"""RowBatch: a few rows as values by column, which models read without a detour over a table."""

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
class BatchSchema:
    """The columns of a batch and their types.

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
        """Return the schema of a table."""
        kinds = table.data.schema.items()
        plain = frozenset(name for name, kind in kinds if kind.is_float() or kind.is_integer() or kind == pl.Boolean)
        single = frozenset(name for name, kind in kinds if kind == pl.Float32)
        return cls(table, plain, single, {name: _writer(kind) for name, kind in kinds if not kind.is_nested()})


class RowBatch:
    """Rows by column (a `RowReader`), with the numbers, codes and steps of a table of them, to the bit.

    Args:
        values: The rows.
        schema: What their columns are.
    """

    def __init__(self, values: Sequence[Values], schema: BatchSchema) -> None:
        self._values, self._schema = values, schema
        self._numbers: dict[tuple[str, ...], np.ndarray] = {}

    @cached_property
    def table(self) -> Table:
        """The rows as a table, which is made when somebody asks for it."""
        schema = self._schema.table
        columns = [pl.Series(name, [row.get(name) for row in self._values], kind) for name, kind in schema.data.schema.items()]
        return Table(pl.DataFrame(columns), schema.roles, schema.unit)

    @property
    def data(self) -> pl.DataFrame:
        """See `RowReader`."""
        return self.table.data

    @property
    def height(self) -> int:
        """See `RowReader`."""
        return len(self._values)

    def numbers(self, names: Sequence[str]) -> np.ndarray:
        """See `RowReader`; they are made once, and only to be read."""
        if not self._schema.plain.issuperset(names):
            return self.table.numbers(names)
        key = tuple(names)
        if key not in self._numbers:
            numbers = np.array([[*map(row.get, key)] for row in self._values], float).reshape(self.height, len(key))
            for place in (place for place, name in enumerate(key) if name in self._schema.single):
                numbers[:, place] = numbers[:, place].astype(np.float32)
            numbers.flags.writeable = False
            self._numbers[key] = numbers
        return self._numbers[key]

    def codes(self, name: str, known: Mapping[str, int], other: int) -> np.ndarray:
        """See `RowReader`."""
        return np.array([known.get(row.get(name), other) for row in self._values], np.int32)  # type: ignore[arg-type]

    def steps(self, name: str) -> np.ndarray:
        """See `RowReader`."""
        shape = self._schema.table.data.schema[name].shape  # type: ignore[attr-defined]
        nothing = np.full(shape, np.nan)
        steps = np.array([nothing if (value := row.get(name)) is None else value for row in self._values], float)
        return steps.reshape(self.height, shape[0], int(np.prod(shape[1:])))

    def texts(self, name: str) -> Sequence[str | None]:
        """See `RowReader`."""
        write = self._schema.written.get(name)
        values = [row.get(name) if write else None for row in self._values]
        return [None if value is None or write is None else write(value) for value in values]


def _writer(kind: Any) -> Callable[[Any], str | None]:
    """Return how polars writes a value of a column."""
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
