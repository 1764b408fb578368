"""Direct forecasts of gradient-boosted trees: one booster is asked for every step and quantile at once."""

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
    """A booster, and how windows are cut for it.

    Attributes:
        windowing: Statistics of the history.
        features: The feature set that it was fitted with.
        booster: The booster in XGBoost's own format (UBJSON); empty where there was nothing to learn from.
        grid: The levels it forecasts.
        levels: The levels asked for, all in `grid`.
        cpus: Threads.
    """

    windowing: Windowing
    features: Features | None
    booster: bytes
    grid: tuple[float, ...]
    levels: tuple[float, ...]
    cpus: int

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast every series at once; without a booster, the seasonal naive with normal intervals, marked as a fallback."""
        steps = int(future.lengths[0])
        source = WindowSource.of(self.windowing, history.followed_by(future), self.features)
        forecast = load_booster(self.booster, self.cpus) if self.booster else None
        parts = [self._forecast(forecast, windows) for _, windows in source.parts(source.at(history.lengths), steps)]
        mean, quantiles = (np.concatenate(part) for part in zip(*parts, strict=True))
        return Forecasts.of(mean, quantiles, np.full(len(mean), forecast is None))

    def _forecast(self, booster: Any, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        n, steps = windows.base.shape
        if booster is None:
            # the standard deviation of a normal with this mean absolute change; a year ahead has one change more
            spread = np.sqrt(np.pi / 2 * (np.arange(steps) // self.windowing.season + 1))
            naive = normal_bands(windows.base, windows.scale[:, None] * spread, self.levels)
            return naive.mean, self._bounded(naive.quantiles)
        rows = matrix(windows, np.repeat(np.arange(n), steps), np.tile(np.arange(steps), n))
        residual = booster.inplace_predict(rows).reshape(n, steps, -1)
        grid = self._bounded(np.sort(windows.restore(residual), -1))
        mean = (grid * mean_weights(self.grid)).sum(-1)
        return mean, grid[..., [self.grid.index(level) for level in self.levels]]

    def _bounded(self, quantiles: np.ndarray) -> np.ndarray:
        return np.maximum(quantiles, 0.0) if self.windowing.nonnegative else quantiles
