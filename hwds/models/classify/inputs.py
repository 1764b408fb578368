"""Inputs of rows as a matrix: numbers as they are or scaled, texts as codes or as one column a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl

from hwds.errors import DataError
from hwds.frames.table import Table
from hwds.stored import Stored

OTHER = 0
"""The code of a text that was not seen when the codes were learned, or seen too rarely."""


@dataclass(frozen=True, eq=False)
class Inputs(Stored):
    """What a model learned to read: the names and kinds of its inputs.

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
        """The inputs of a table; of each text column the `most` frequent values get a code.

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

    def matrix(self, rows: Table) -> np.ndarray:
        """The numbers, NaN where there is none, shape (n, numbers)."""
        columns = [rows.data[name].cast(pl.Float64).to_numpy() for name in self.numbers]
        return np.column_stack(columns) if columns else np.zeros((len(rows.data), 0))

    def codes(self, rows: Table) -> np.ndarray:
        """The codes of the texts, shape (n, texts)."""
        columns = [_coded(rows.data[name], known) for name, known in zip(self.texts, self.values, strict=True)]
        return np.column_stack(columns) if columns else np.zeros((len(rows.data), 0), np.int32)

    def coded(self, rows: Table) -> tuple[np.ndarray, tuple[str, ...]]:
        """Numbers, then the code of each text, shape (n, columns); and their names.

        Raises:
            DataError: There is neither.
        """
        names = (*self.numbers, *self.texts)
        if not names:
            raise DataError("features: the model reads numbers and texts, and the inputs are all arrays.")
        return np.hstack([self.matrix(rows), self.codes(rows).astype(float)]), names

    def one_hot(self, rows: Table) -> tuple[np.ndarray, tuple[str, ...]]:
        """Numbers, then one column for each coded value of each text, shape (n, columns); and their names."""
        codes = self.codes(rows)
        hot = [(codes[:, [i]] == np.arange(1, len(known) + 1)).astype(float) for i, known in enumerate(self.values)]
        names = [f"{name}={value}" for name, known in zip(self.texts, self.values, strict=True) for value in known]
        return np.hstack([self.matrix(rows), *hot]), (*self.numbers, *names)


def _frequent(values: pl.Series, most: int) -> tuple[str, ...]:
    """The most frequent values, those of one count by name."""
    counts = values.cast(pl.String).drop_nulls().value_counts().sort(pl.col("count"), values.name, descending=[True, False])
    return tuple(sorted(counts[values.name].head(most).to_list()))


def _coded(values: pl.Series, known: tuple[str, ...]) -> np.ndarray:
    if not known:
        return np.zeros(len(values), np.int32)
    numbers = pl.Series(range(1, len(known) + 1), dtype=pl.Int32)
    codes = values.cast(pl.String).replace_strict(pl.Series(known), numbers, default=OTHER, return_dtype=pl.Int32)
    return codes.fill_null(OTHER).to_numpy()
