"""Regressor: a recipe that learns a line from rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.core.recipe import Recipe
from hwds.core.serialization import Serializable
from hwds.frames.table import RowReader, Table


@dataclass(frozen=True, eq=False)
class Line(Serializable):
    """An intercept and slopes, shape (1 + inputs,)."""

    inputs: tuple[str, ...]
    weights: np.ndarray

    def predict(self, rows: RowReader) -> np.ndarray:
        """Return the mean of each row, shape (n,); an input that is not known adds nothing."""
        return self.weights[0] + np.nansum(rows.numbers(self.inputs) * self.weights[1:], axis=1)


class Regressor(Recipe):
    """What the protocol of this family asks."""

    def fit(self, train: Table) -> Line:
        """Return the line that was learned."""
        raise NotImplementedError(f"{type(self).__name__}.fit")
