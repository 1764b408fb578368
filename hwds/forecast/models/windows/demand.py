"""Windows of demand that comes by chance: the target is a multiple of the series' own mean demand, zeros are told apart."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hwds.forecast.models.windows.cut import Origins, Windows

MOST = 30.0
"""Targets beyond this many times the mean demand are cut: one of them would outweigh all else that is learned."""


PRIOR = 0.5
"""Demands that a series counts as having had before its first row."""


@dataclass(frozen=True, eq=False)
class Demand:
    """Running sums over the rows of a panel, from which the mean demand of any stretch of a series is read off.

    Attributes:
        first: The row of each series' first known value, shape (n_series,).
        starts: The row where each series begins, shape (n_series,).
        unit: A power of two near each series' largest value, in which `size` and `square` are: rivals of 1e12 cost no digit.
        size, square: Sums of the target and its square before each row, shape (rows + 1,).
        count: Rows with demand before each row, shape (rows + 1,).
        latest: The last row with demand up to each row, -1 where there is none, shape (rows,).
        season: Rows in a season.
        span: Rows that windows are normalised over.
        usual: The size of a usual demand, for series that had none yet.
    """

    first: np.ndarray
    starts: np.ndarray
    unit: np.ndarray
    size: np.ndarray
    square: np.ndarray
    count: np.ndarray
    latest: np.ndarray
    season: int
    span: int
    usual: float

    @classmethod
    def of(cls, values: np.ndarray, offsets: np.ndarray, first: np.ndarray, season: int, span: int, usual: float) -> Demand:
        """Return the sums of a target whose holes are filled; what is below zero or unknown counts as none."""
        demand = np.maximum(np.nan_to_num(values), 0.0)
        unit = 2.0 ** np.frexp(np.maximum.reduceat(demand, offsets[:-1]))[1]
        relative = demand / np.repeat(unit, np.diff(offsets))
        size, square, count = (np.concatenate([[0.0], np.cumsum(x)]) for x in (relative, relative**2, demand > 0))
        latest = np.maximum.accumulate(np.where(demand > 0, np.arange(len(demand)), -1))
        return cls(first, offsets[:-1], unit, size, square, count, latest, season, span, usual)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs."""
        stretches = (f"{what}, {rows} rows" for rows in self.stretches for what in ("demand", "rows with demand"))
        return (*stretches, "size", "spread of size", "rows since demand", "rows", "mean demand", "mean size")

    @property
    def stretches(self) -> tuple[int, ...]:
        """Rows that demand is averaged over, as inputs."""
        return tuple(sorted({1, 2, 3, max(self.season // 2, 1), self.season, self.span}))

    def turn(self, windows: Windows, origins: Origins, actual: np.ndarray) -> Windows:
        """Return the same windows with the target in mean demands, and with inputs of demand.

        Args:
            windows: Cut at the origins.
            origins: Where.
            actual: The target of each step, NaN where unknown, shape (n, h).
        """
        ends = self.starts[origins.series] + origins.ends
        begins = np.minimum(self.first[origins.series], ends)
        mean = self._mean(origins.series, begins, ends)
        target = np.where(actual < 0, np.nan, np.minimum(actual / mean[:, None], MOST))
        inputs = np.stack(self._inputs(origins.series, begins, ends, mean), 1, dtype=np.float32)
        return replace(
            windows,
            origin=np.concatenate([windows.origin, inputs], 1),
            target=target.astype(np.float32),
            base=np.zeros_like(windows.base),
            scale=mean,
        )

    def _mean(self, series: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return the mean demand so far, with half a demand more in one row more: what has had none yet may have some."""
        times = self._over(self.count, begins, ends)
        total = self._over(self.size, begins, ends) * self.unit[series]
        usual = np.where(times > 0, total / np.maximum(times, 1), self.usual)
        return (total + PRIOR * usual) / (np.maximum(ends - begins, 1) + 1)

    def _inputs(self, series: np.ndarray, begins: np.ndarray, ends: np.ndarray, mean: np.ndarray) -> list[np.ndarray]:
        unit = self.unit[series] / mean
        inputs = []
        for stretch in self.stretches:
            since = np.maximum(ends - stretch, begins)
            rows = np.maximum(ends - since, 1)
            inputs += [self._over(self.size, since, ends) / rows * unit, self._over(self.count, since, ends) / rows]
        times = self._over(self.count, begins, ends)
        times = np.where(times > 0, times, np.nan)
        size = self._over(self.size, begins, ends) / times
        spread = np.sqrt(np.maximum(self._over(self.square, begins, ends) / times - size**2, 0.0))
        latest = self.latest[np.maximum(ends - 1, 0)]
        since = np.where((latest >= begins) & (ends > begins), ends - 1 - latest, ends - begins)
        return [*inputs, size * unit, spread * unit, since, ends - begins, np.log(mean), np.log(size * self.unit[series])]

    def _over(self, sums: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
        return sums[ends] - sums[begins]
