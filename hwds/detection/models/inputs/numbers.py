"""Inputs of rows as numbers alone, for detectors: a text is how rare it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from hwds.core.errors import DataError
from hwds.core.serialization import Serializable
from hwds.detection.models.inputs.matrix import Inputs
from hwds.frames.base import RowReader
from hwds.frames.table import Table


@dataclass(frozen=True, eq=False)
class Columns(Serializable):
    """One number for each input of a row, but for arrays, which are left out.

    Attributes:
        inputs: Names, kinds, and the codes of texts.
        rarity: For each text column by code minus the logarithm of its share among the normal rows; of a text that was not
            seen as if it were the next row's.
    """

    inputs: Inputs
    rarity: tuple[np.ndarray, ...]

    @classmethod
    def learn(cls, rows: Table) -> Self:
        """Return the columns of normal rows.

        Raises:
            DataError: There is none.
        """
        inputs, n = Inputs.learn(rows), len(rows.data)
        if not (inputs.numbers or inputs.texts):
            raise DataError("features: a detector reads numbers and texts, and the inputs are all arrays.")
        codes = inputs.codes(rows).T
        counts = [np.bincount(column, minlength=len(known) + 1) for column, known in zip(codes, inputs.values, strict=True)]
        return cls(inputs, tuple(-np.log(np.maximum(count, 1) / (n + 1)) for count in counts))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self.inputs.plain

    @property
    def least_spread(self) -> np.ndarray:
        """The least spread of each column: 1 for texts, since some that are nearly as frequent are all alike. Shape (k,)."""
        return np.repeat([0.0, 1.0], [len(self.inputs.numbers), len(self.inputs.texts)])

    def matrix(self, rows: RowReader) -> np.ndarray:
        """Return the numbers of rows, shape (n, k), NaN where one is not known."""
        codes = self.inputs.codes(rows)
        rare = [by_code[codes[:, [i]]] for i, by_code in enumerate(self.rarity)]
        return np.hstack([self.inputs.matrix(rows), *rare])
