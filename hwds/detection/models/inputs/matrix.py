"""Inputs of rows as a matrix: numbers as they are or scaled, texts as codes or as one column a value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import polars as pl

from hwds.core.errors import DataError
from hwds.core.serialization import Serializable
from hwds.frames.base import RowReader
from hwds.frames.table import Table

OTHER = 0
"""The code of a text that was not seen when the codes were learned, or seen too rarely."""


@dataclass(frozen=True, eq=False)
class Inputs(Serializable):
    """The names and kinds of a model's inputs.

    Attributes:
        numbers: Columns of numbers (true and false are 1 and 0).
        texts: Columns of texts.
        values: Of each text column the values that have a code, 1 and up; all others have 0.
        arrays: Columns that hold an array of numbers in each row.
    """

    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    arrays: tuple[str, ...]

    @classmethod
    def learn(cls, rows: Table, most: int = 200) -> Self:
        """Return the inputs of a table; of each text column the `most` frequent values get a code.

        Raises:
            DataError: The table has no inputs.
        """
        if not rows.inputs:
            raise DataError("features: the model has no inputs: no column with the role 'covariate', and no features.")
        schema = rows.data.schema
        texts = tuple(
            name for name in rows.inputs if schema[name] in (pl.String, pl.Categorical) or isinstance(schema[name], pl.Enum)
        )
        arrays = tuple(name for name in rows.inputs if isinstance(schema[name], pl.Array))
        numbers = tuple(name for name in rows.inputs if name not in texts and name not in arrays)
        return cls(numbers, texts, tuple(_frequent(rows.data[name], most) for name in texts), arrays)

    def matrix(self, rows: RowReader) -> np.ndarray:
        """Return the numbers, NaN where there is none, shape (n, numbers)."""
        return rows.numbers(self.numbers)

    def codes(self, rows: RowReader) -> np.ndarray:
        """Return the codes of the texts, shape (n, texts)."""
        columns = [rows.codes(name, known, OTHER) for name, known in zip(self.texts, self._known, strict=True)]
        return np.column_stack(columns) if columns else np.zeros((rows.height, 0), np.int32)

    @cached_property
    def _known(self) -> tuple[dict[str, int], ...]:
        """The codes of each text column."""
        return tuple({value: code for code, value in enumerate(values, 1)} for values in self.values)

    @property
    def plain(self) -> tuple[str, ...]:
        """The columns of numbers and of texts."""
        return (*self.numbers, *self.texts)

    def coded(self, rows: RowReader) -> np.ndarray:
        """Return numbers, then the code of each text, shape (n, columns).

        Raises:
            DataError: There is neither.
        """
        if not self.plain:
            raise DataError("features: the model reads numbers and texts, and the inputs are all arrays.")
        return np.hstack([self.matrix(rows), self.codes(rows).astype(float)])

    def one_hot(self, rows: RowReader) -> np.ndarray:
        """Return numbers, then one column for each coded value of each text, shape (n, columns)."""
        codes = self.codes(rows)
        hot = [(codes[:, [i]] == np.arange(1, len(known) + 1)).astype(float) for i, known in enumerate(self.values)]
        return np.hstack([self.matrix(rows), *hot])


def _frequent(values: pl.Series, most: int) -> tuple[str, ...]:
    """Return the most frequent values, those of one count by name."""
    counts = values.cast(pl.String).drop_nulls().value_counts().sort(pl.col("count"), values.name, descending=[True, False])
    return tuple(sorted(counts[values.name].head(most).to_list()))


def single(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix in single precision, as trees compare numbers; what is too large for it is its largest."""
    most = np.finfo(np.float32).max
    return np.ascontiguousarray(np.clip(matrix, -most, most), np.float32)


def inputs_of(scorer: Any) -> Iterator[Inputs]:
    """Yield the inputs of a scorer, or those of each of its members, as far as it exposes them."""
    held = (scorer, getattr(scorer, "reader", None), getattr(scorer, "columns", None))
    yield from (inputs for each in held if isinstance(inputs := getattr(each, "inputs", None), Inputs))
    for member in getattr(scorer, "members", ()):
        yield from inputs_of(member.scorer)
