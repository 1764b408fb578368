"""Training rows in parts that trees learn from by turns, so that each tree costs a part of what it costs on all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from hwds.core.watching.learning import learning_curve
from hwds.forecast.models.boosting.growing import Growing
from hwds.forecast.models.windows.rows import TrainingRows

GOLDEN = (5**0.5 - 1) / 2
"""The share of a circle by whose multiples points fall most evenly."""


@dataclass(frozen=True, eq=False)
class Turns:
    """Rows as XGBoost reads them, in as many matrices as there are turns (Friedman 2002, "Stochastic gradient boosting").

    XGBoost's own `subsample` saves no time: its histograms pass over the rows that are left out, too.

    Attributes:
        rows: Part after part.
        bounds: Where each part begins, and the last ends.
        matrices: One a part, all in the bins of the first.
    """

    rows: TrainingRows
    bounds: np.ndarray
    matrices: Sequence[Any]

    @classmethod
    def of(cls, growing: Growing, rows: TrainingRows) -> Turns:
        """Deal the rows out evenly, in no rhythm with the steps of an origin, which follow each other."""
        part = (np.arange(len(rows.target)) * GOLDEN % 1 * growing.turns).astype(np.int64)
        if growing.turns > 1:
            rows = rows.take(np.argsort(part, kind="stable"))
        bounds = np.cumsum([0, *np.bincount(part, minlength=growing.turns)])
        matrices: list[Any] = []
        for start, stop in pairwise(bounds.tolist()):
            matrices.append(growing.matrix(rows.take(slice(start, stop)), *matrices[:1]))
        return cls(rows, bounds, matrices)

    def grow(self, growing: Growing, rounds: int) -> Any:
        """Grow a booster, a tree on each part by turns; on a single one as ever."""
        import xgboost

        if len(self.matrices) == 1:
            return growing.train(self.matrices[0], rounds)
        settings = {**growing.settings, "subsample": 1.0}  # a part is the sample
        booster = xgboost.Booster(settings, cache=self.matrices)
        curve = learning_curve("booster, all rows", "round")
        for index in range(rounds):
            part = self.matrices[index % len(self.matrices)]
            booster.update(part, index)
            if curve.wanted:
                curve.report(index + 1, float(booster.eval(part).rpartition(":")[2]))
        return booster

    def predict(self, booster: Any) -> np.ndarray:
        """Return what a booster predicts for `rows`; trees that it has grown on them are not asked again."""
        return np.concatenate([booster.predict(matrix) for matrix in self.matrices])

    def relabel(self, target: np.ndarray) -> None:
        """Give the rows another target, shape (rows,): their bins are made once for both."""
        for matrix, (start, stop) in zip(self.matrices, pairwise(self.bounds.tolist()), strict=True):
            matrix.set_label(target[start:stop])
