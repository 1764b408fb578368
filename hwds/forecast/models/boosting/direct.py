"""Direct forecasts of gradient-boosted trees: two boosters predict every step at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwds.core.serialization import Serializable
from hwds.forecast.context import Features
from hwds.forecast.models.statistical.normal import normal_bands
from hwds.forecast.models.windows.cut import Windowing, Windows
from hwds.forecast.models.windows.quantile_grid import mean_weights
from hwds.forecast.models.windows.rows import matrix
from hwds.forecast.models.windows.source import WindowSource
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.learners.boosting.booster import load_booster


@dataclass(frozen=True)
class FittedXGBoost(Serializable):
    """Two boosters and the shape of their distribution, and how windows are cut for them.

    Attributes:
        windowing: Statistics of the history.
        features: The feature set that it was fitted with.
        median: The booster of the median in XGBoost's own format (UBJSON); empty where there was nothing to learn from.
        spread: The booster of the expected distance from it.
        shape: Where each level of the grid lies, in spreads from what `median` predicts, shape (grid,).
        grid: The levels that are forecast.
        levels: The levels to forecast, all in `grid`.
        cpus: Threads.
    """

    windowing: Windowing
    features: Features | None
    median: bytes
    spread: bytes
    shape: np.ndarray
    grid: tuple[float, ...]
    levels: tuple[float, ...]
    cpus: int

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast every series at once; without boosters, the seasonal naive with normal intervals, marked as a fallback."""
        steps = int(future.lengths[0])
        source = WindowSource.of(self.windowing, history.followed_by(future), self.features)
        forecast = [load_booster(each, self.cpus) for each in (self.median, self.spread)] if self.median else []
        parts = [self._forecast(forecast, windows) for _, windows in source.parts(source.at(history.lengths), steps)]
        mean, quantiles = (np.concatenate(part) for part in zip(*parts, strict=True))
        return Forecasts.of(mean, quantiles, np.full(len(mean), not forecast))

    def _forecast(self, boosters: list[Any], windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        n, steps = windows.base.shape
        if not boosters:
            # the standard deviation of a normal with this mean absolute change; a year ahead has one change more
            spread = np.sqrt(np.pi / 2 * (np.arange(steps) // self.windowing.season + 1))
            naive = normal_bands(windows.base, windows.scale[:, None] * spread, self.levels)
            return naive.mean, self._bounded(naive.quantiles)
        rows = matrix(windows, np.repeat(np.arange(n), steps), np.tile(np.arange(steps), n))
        median, spread = (booster.inplace_predict(rows).reshape(n, steps, 1).astype(np.float64) for booster in boosters)
        grid = self._bounded(windows.restore(median + spread * self.shape))
        mean = (grid * mean_weights(self.grid)).sum(-1)
        return mean, grid[..., [self.grid.index(level) for level in self.levels]]

    def _bounded(self, quantiles: np.ndarray) -> np.ndarray:
        return np.maximum(quantiles, 0.0) if self.windowing.nonnegative else quantiles
