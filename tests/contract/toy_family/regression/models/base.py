"""Regressor: a recipe that learns a line from rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.core.recipe import Recipe
from hwds.frames.table import Table


@dataclass(frozen=True, eq=False)
class Line:
    """An intercept and slopes, shape (1 + inputs,)."""

    weights: np.ndarray

    def predict(self, rows: Table) -> np.ndarray:
        """Return the mean of each row, shape (n,)."""
        return self.weights[0] + (rows.numbers(rows.inputs) * self.weights[1:]).sum(axis=1)


class Regressor(Recipe):
    """What the protocol of this family asks."""

    def fit(self, train: Table) -> Line:
        """Return the line that was learned."""
        raise NotImplementedError(f"{type(self).__name__}.fit")
