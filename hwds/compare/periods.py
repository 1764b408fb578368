"""Periods: the values of every model on each unit in each period, for units that share their periods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Self

import numpy as np
import polars as pl

from hwds.compare.contrasts import Pair, Scale, deviations
from hwds.compare.matrix import Matrix
from hwds.core.seeds import stream
from hwds.statistics.reference_distribution import student_critical
from hwds.statistics.shared_periods import Cells, PeriodPart, period_part, period_shocks, pooled_part
from hwds.statistics.standard_errors import LEVEL


@dataclass(frozen=True, slots=True)
class Reach:
    """The reach of a dataset's windows.

    Attributes:
        span: Periods that one error reaches over.
        season_seen: The share of a season that all of them cover; infinite without a season.
    """

    span: int = 1
    season_seen: float = inf


@dataclass(frozen=True, eq=False)
class Periods:
    """Values by unit, period and model.

    Attributes:
        values: Averaged over seeds, of each dataset of shape (cells, models).
        cells: The unit and the period of each, by dataset.
    """

    values: tuple[np.ndarray, ...]
    cells: tuple[Cells, ...]

    @classmethod
    def of(cls, table: pl.DataFrame, matrix: Matrix, reach: Mapping[str, Reach]) -> Self:
        """Return the periods of a table.

        Args:
            table: Columns `dataset`, `unit`, `period` and one of each model, in the order of time.
            matrix: The values of the same units over all periods.
            reach: Of each dataset's windows.
        """
        values, cells = [], []
        for dataset in matrix.datasets:
            part = table.filter(pl.col("dataset") == dataset).drop_nulls(matrix.models).drop_nans(matrix.models)
            unit, period = (part[name].rank("dense").to_numpy().astype(np.int64) - 1 for name in ("unit", "period"))
            values.append(part.select(matrix.models).to_numpy())
            cells.append(Cells(unit, period, reach[dataset].span, reach[dataset].season_seen))
        return cls(tuple(values), tuple(cells))

    @property
    def refusal(self) -> str:
        """The reason why some dataset's periods cannot tell how they vary; empty where they can."""
        return next((each.refusal for each in self.cells if each.refusal), "")

    @property
    def count(self) -> int:
        """The number of values."""
        return sum(map(len, self.values))

    @property
    def least(self) -> int:
        """The periods of the dataset that has fewest."""
        return min(each.periods for each in self.cells)

    def part(self, means: np.ndarray, pairs: Sequence[Pair], scale: Scale) -> PeriodPart:
        """Return what the periods add to the effect of each pair.

        Args:
            means: Of models, shape (datasets, models).
            pairs: Of models.
            scale: Of effects.
        """
        apart = (deviations(values, mean, pairs, scale) for values, mean in zip(self.values, means, strict=True))
        return pooled_part([period_part(values, cells) for values, cells in zip(apart, self.cells, strict=True)])

    def own_part(self) -> PeriodPart:
        """Return what the periods make each model's own mean vary."""
        return pooled_part([period_part(values, cells) for values, cells in zip(self.values, self.cells, strict=True)])

    def draws(self, means: np.ndarray, resamples: int) -> np.ndarray:
        """Return what shocks of periods add to the models' mean shares, drawn anew, shape (resamples, models).

        Each is a normal number, spread so widely that its 95 % point is that of Student's t.

        Args:
            means: Of models, shape (datasets, models).
            resamples: How many.
        """
        rng, total = stream(0, "compare", "periods"), np.zeros((resamples, means.shape[1]))
        for values, cells, mean in zip(self.values, self.cells, means, strict=True):
            shocks, df = period_shocks(values / mean.mean(), cells)
            wide = student_critical(df, LEVEL) / student_critical(inf, LEVEL)
            total += wide * (rng.normal(size=(resamples, len(shocks))) @ shocks) / len(self.cells)
        return total

    def means(self) -> np.ndarray:
        """Return the mean of each model over the units of each period that shares no window with another, (periods, models)."""
        blocks = []
        for values, cells in zip(self.values, self.cells, strict=True):
            counts = np.bincount(cells.period)
            sums = np.stack([np.bincount(cells.period, column) for column in values.T], axis=1)
            blocks.append((sums / counts[:, None])[:: cells.span])
        return np.concatenate(blocks)
