"""Rows as a network reads them: scaled numbers with flags for holes, codes of texts, arrays step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from hwds.core.errors import DataError
from hwds.core.serialization import Serializable
from hwds.detection.models.inputs.matrix import Inputs
from hwds.detection.models.inputs.scaling import Scaling, joined
from hwds.detection.models.networks.base import RowArrays, RowDesign, RowShape
from hwds.frames.base import RowReader
from hwds.frames.table import Table

CLIP = 30.0
"""Standard deviations at which inputs are cut: far enough for an input that is mostly 0."""


@dataclass(frozen=True, eq=False)
class InputReader(Serializable):
    """The inputs that a network learned to read from rows.

    Attributes:
        inputs: Names, kinds, and the codes of texts.
        scaling: Of the numbers.
        holed: Mask of the numbers that had missing values; a flag of each stands beside them. Shape (k,).
        within: Of the numbers of a step, those of all columns of arrays beside each other.
        steps: Of each column of arrays how many steps it has; none where arrays are not read.
        widths: And how many numbers a step.
    """

    inputs: Inputs
    scaling: Scaling
    holed: np.ndarray
    within: Scaling
    steps: tuple[int, ...]
    widths: tuple[int, ...]

    @classmethod
    def learn(cls, rows: Table, arrays: bool) -> Self:
        """Learn the inputs of rows.

        Args:
            rows: To learn from.
            arrays: Whether columns of arrays are read.

        Raises:
            DataError: Nothing is there to read.
        """
        inputs = Inputs.learn(rows)
        matrix = inputs.matrix(rows)
        values = [rows.steps(name) for name in inputs.arrays] if arrays else []
        if not (inputs.numbers or inputs.texts or values):
            raise DataError("features: the model reads numbers and texts, and the inputs are all arrays.")
        within = joined([Scaling.learn(part.reshape(-1, part.shape[2]), logs=False) for part in values])
        steps, widths = (tuple(part.shape[axis] for part in values) for axis in (1, 2))
        return cls(inputs, Scaling.learn(matrix), np.isnan(matrix).any(axis=0), within, steps, widths)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs: numbers, texts, arrays."""
        return (*self.inputs.numbers, *self.inputs.texts, *self._arrays)

    @property
    def _arrays(self) -> tuple[str, ...]:
        return self.inputs.arrays if self.steps else ()

    def shape(self, design: RowDesign) -> RowShape:
        """Return the network that reads these rows."""
        texts = tuple(len(known) + 1 for known in self.inputs.values)
        arrays = tuple(zip(self.steps, self.widths, strict=True))
        return RowShape(len(self.holed) + int(self.holed.sum()), texts, arrays, design)

    def rows(self, rows: RowReader) -> RowArrays:
        """Return the arrays that the network reads; a missing number is the mean."""
        matrix = self.inputs.matrix(rows)
        numbers = np.hstack([np.nan_to_num(self.scaling.of(matrix, CLIP)), np.isnan(matrix[:, self.holed])])
        both = zip(self._arrays, self.within.parts(self.widths), strict=True)
        arrays = [np.nan_to_num(scaling.of(rows.steps(name), CLIP)).astype(np.float32) for name, scaling in both]
        return (numbers.astype(np.float32), self.inputs.codes(rows).astype(np.int32), *arrays)

    def mean(self, given: RowArrays) -> RowArrays:
        """Return the mean of the network's inputs, with weights of codes; first axes 1."""
        numbers, codes, *arrays = given
        counts = [np.bincount(codes[:, i], minlength=len(known) + 1) for i, known in enumerate(self.inputs.values)]
        weights = np.concatenate([np.zeros(0), *counts])[None] / len(numbers)
        return (numbers.mean(axis=0, keepdims=True), weights, *(part.mean(axis=0, keepdims=True) for part in arrays))

    def by_input(self, parts: RowArrays) -> np.ndarray:
        """Return contributions of numbers, texts and steps of arrays as contributions by input, shape (n, inputs)."""
        k = len(self.holed)
        numbers = parts[0][:, :k].copy()
        numbers[:, self.holed] += parts[0][:, k:]
        return np.hstack([numbers, parts[1], *(part.sum(axis=(1, 2))[:, None] for part in parts[2:])])
