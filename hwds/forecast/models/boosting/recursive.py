"""Recursive forecasts of gradient-boosted trees: a booster of the next row, fed with its predictions of the rows before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from hwds.core.serialization import Serializable
from hwds.forecast.context import Features
from hwds.forecast.models.seasonal_naive import FittedSeasonalNaive
from hwds.forecast.models.statistical.bands import spread_by_step
from hwds.forecast.models.windows.cut import Windowing
from hwds.forecast.models.windows.quantile_grid import mean_weights
from hwds.forecast.models.windows.rows import matrix
from hwds.forecast.models.windows.source import CLIP, WindowSource
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.frames.roles import TARGET
from hwds.learners.boosting.booster import load_booster


@dataclass(frozen=True)
class FittedRecursive(Serializable):
    """A booster of the next row's median, and how far off its paths were before.

    Attributes:
        windowing: Statistics of the history, for one step.
        features: The feature set that it was fitted with.
        booster: The booster in XGBoost's own format (UBJSON); empty where there was nothing to learn from.
        bands: Quantiles of the paths' errors in seasonal changes, shape (horizon, grid); empty where no path could be tried.
        grid: The levels of `bands`.
        levels: The levels to forecast, all in `grid`.
        cpus: Threads.
    """

    windowing: Windowing
    features: Features | None
    booster: bytes
    bands: np.ndarray
    grid: tuple[float, ...]
    levels: tuple[float, ...]
    cpus: int

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast row by row; without a booster or bands, the seasonal naive, marked as a fallback."""
        if not (self.booster and len(self.bands)):
            simple = FittedSeasonalNaive(self.windowing.season, self.levels).predict(history, future)
            return Forecasts.of(simple.mean, simple.quantiles, np.ones(len(simple.mean), bool))
        steps = int(future.lengths[0])
        median, scale = path(self.windowing, self.features, self.booster, self.cpus, history, future)
        bands = self.bands[np.minimum(np.arange(steps), len(self.bands) - 1)]
        grid = median[..., None] + scale[:, None, None] * bands
        grid = np.maximum(grid, 0.0) if self.windowing.nonnegative else grid
        mean = (grid * mean_weights(self.grid)).sum(-1)
        return Forecasts.of(mean, grid[..., [self.grid.index(level) for level in self.levels]])


def path(
    windowing: Windowing, features: Features | None, booster: bytes, cpus: int, history: Panel, future: Panel
) -> tuple[np.ndarray, np.ndarray]:
    """Forecast row by row, each the history of the next; past-only columns keep their last value.

    Returns:
        The path, shape (n, h), and each series' seasonal change at the cutoff, shape (n,).
    """
    panel, model, steps = history.followed_by(future), load_booster(booster, cpus), int(future.lengths[0])
    rows = panel.offsets[:-1] + history.lengths
    target, forecasts = panel.target, np.empty((history.n_series, steps))
    scale = np.empty(0)
    for step in range(steps):
        known = replace(panel, table=panel.table.with_columns(pl.Series(TARGET, target, nan_to_null=True)))
        source = WindowSource.of(windowing, known, features)
        for part, windows in source.parts(source.at(history.lengths + step), 1):
            zeros = np.zeros(len(windows.base), np.int64)
            residual = model.inplace_predict(matrix(windows, np.arange(len(zeros)), zeros)).reshape(-1, 1)
            forecasts[part, step] = windows.restore(residual)[:, 0]
            scale = np.append(scale, windows.scale) if step == 0 else scale
        forecasts[:, step] = np.maximum(forecasts[:, step], 0.0) if windowing.nonnegative else forecasts[:, step]
        target[rows + step] = forecasts[:, step]
    return forecasts, scale


def tried(
    fit: Callable[[Panel], tuple[Windowing, bytes]], history: Panel, horizon: int, features: Features | None, cpus: int
) -> list[np.ndarray]:
    """Return errors of paths over the last horizon of the history, learned from what lies before it.

    Args:
        fit: A history to the windowing and the booster learned from it.
        history: All that may be known.
        horizon: Steps of a path.
        features: The feature set.
        cpus: Threads.

    Returns:
        Each step's errors in seasonal changes; empty where nothing can be learned before.
    """
    able = history.lengths > horizon
    if not able.any():
        return []
    whole = replace(history, table=history.table.filter(pl.Series(np.repeat(able, history.lengths))))
    early = whole.until(whole.lengths - horizon)
    windowing, booster = fit(early)
    if not booster:
        return []
    actual = whole.last(horizon)
    future = replace(actual, table=actual.table.with_columns(_hidden(actual)))
    median, scale = path(windowing, features, booster, cpus, early, future)
    errors = np.clip((actual.target.reshape(median.shape) - median) / scale[:, None], -CLIP, CLIP)
    return [column[~np.isnan(column)] for column in errors.T]


def bands_of(errors: list[np.ndarray], grid: tuple[float, ...]) -> np.ndarray:
    """Return quantiles of the errors at each step, shape (steps, grid); empty where there are none.

    Errors of all steps are divided by a spread that grows with the step and pooled, so that one step's few say little alone.
    """
    if not any(len(step) for step in errors):
        return np.zeros((0, len(grid)))
    spread = np.maximum(spread_by_step(_paths(errors), len(errors)), 1e-9)
    pooled = np.concatenate([step / size for step, size in zip(errors, spread, strict=True)])
    return spread[:, None] * np.quantile(pooled, grid)


def _paths(errors: list[np.ndarray]) -> list[np.ndarray]:
    """Return the root mean square error of each step, in the form that `spread_by_step` reads."""
    squares = [np.mean(step**2) if len(step) else np.nan for step in errors]
    filled = np.where(np.isnan(squares), np.nanmean(squares), squares)
    return [np.sqrt(filled)]


def _hidden(panel: Panel) -> list[pl.Expr]:
    """Return nulls for what a forecast may not read of the rows ahead."""
    names = (TARGET, *panel.roles.past_only)
    return [pl.lit(None, panel.table.schema[name]).alias(name) for name in names]
