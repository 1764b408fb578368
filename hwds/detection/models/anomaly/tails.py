"""The sum of tail surprises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Le
from numpy import ndarray

from hwds.core.errors import DataError, nearest
from hwds.core.recipe import Names, Positive, PositiveInt
from hwds.core.serialization import Serializable
from hwds.detection.inputs import NumberColumns
from hwds.detection.models.base import Contributions, Detector
from hwds.detection.rows import RowContext
from hwds.frames.table import RowReader, Table


class Tails(Detector):
    """The sum over inputs of minus the logarithm of the share of normals that lie at least as far
    out (Li et al. 2022, ECOD).

    For an input in `high` only large values are odd, for one in `low` only small values. If any is
    named, no other input counts: who knows the direction of fraud finds more of it than a model of
    all rare values. If none is named, both ends of every input are odd. A value that is not known
    adds nothing.

    Attributes:
        high: Inputs whose large values are odd.
        low: Inputs whose small values are odd.
        normals: Rows, evenly spaced, that shares are counted in; more are no surer by much.
        most: The most that an input adds: 3.0 is what one in twenty adds, so that a few extremes do
            not outweigh all other inputs; null is no bound.
    """

    search_space: ClassVar = {"normals": {"choice": [1000, 5000, 20000]}}

    high: Names = ()
    low: Names = ()
    normals: PositiveInt = 5000
    most: Annotated[Positive, Le(100)] | None = None

    def learn(self, train: Table, *, stop: Table, context: RowContext) -> TailScorer:
        """Sort the values of each input.

        Raises:
            DataError: An input that is named is not there.
        """
        columns = NumberColumns.learn(train)
        for field in ("high", "low"):
            wrong = next((name for name in getattr(self, field) if name not in columns.names), None)
            if wrong is not None:
                raise DataError(f"model.{field}: no input '{wrong}'{nearest(wrong, columns.names)}")
        step = -(-train.height // self.normals)
        matrix = columns.matrix(train.filter(np.arange(train.height) % step == 0))
        chosen = self.high or self.low
        sides = [
            (name in self.high or not chosen, name in self.low or not chosen)
            for name in columns.names
        ]
        known, most = np.isfinite(matrix).sum(axis=0), np.inf if self.most is None else self.most
        return TailScorer(columns, np.sort(matrix, axis=0), known, np.array(sides), most)


@dataclass(frozen=True, eq=False)
class TailScorer(Serializable):
    """The values of the normals.

    Attributes:
        columns: The inputs.
        ordered: The values of each input, rising, those that are not known last, shape (n, k).
        known: The number of known values, shape (k,).
        sides: Whether large and whether small values are odd, shape (k, 2).
        most: The most that an input adds.
    """

    columns: NumberColumns
    ordered: ndarray
    known: ndarray
    sides: ndarray
    most: float = np.inf

    added: ClassVar = {"most": np.inf}

    def score(self, rows: RowReader) -> ndarray:
        """Return the sum over the inputs."""
        return self._parts(rows).sum(axis=1)

    def explain(self, rows: RowReader) -> Contributions:
        """Return each input's part."""
        return Contributions(self.columns.names, 0.0, self._parts(rows))

    def _parts(self, rows: RowReader) -> ndarray:
        matrix = self.columns.matrix(rows)
        parts = np.zeros(matrix.shape)
        for place, (values, count) in enumerate(zip(matrix.T, self.known.tolist(), strict=True)):
            if count:
                surprise = _surprise(values, self.ordered[:count, place], *self.sides[place])
                parts[:, place] = np.minimum(surprise, self.most)
        return np.ascontiguousarray(parts)


def _surprise(values: ndarray, ordered: ndarray, high: bool, low: bool) -> ndarray:
    """Return minus the logarithm of the share at least as far out on an odd side, the larger of
    two; 0 for what is unknown.
    """
    count, known = len(ordered), np.isfinite(values)
    surprise = np.zeros(len(values))
    if high:
        above = (count - np.searchsorted(ordered, values[known], "left") + 1) / (count + 1)
        surprise[known] = -np.log(above)
    if low:
        below = (np.searchsorted(ordered, values[known], "right") + 1) / (count + 1)
        surprise[known] = np.maximum(surprise[known], -np.log(below))
    return np.maximum(surprise, 0.0)
