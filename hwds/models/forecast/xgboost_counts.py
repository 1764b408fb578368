"""Gradient-boosted trees for demand that comes by chance: boosters of its mean and its chance, a table of its sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwds.context import Features
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.models.forecast.demand_bands import demand_quantiles, expected_size, size_table
from hwds.models.forecast.seasonal_naive import FittedSeasonalNaive
from hwds.models.forecast.window_rows import Rows, matrix
from hwds.models.forecast.windows import Windowing, Windows
from hwds.models.forecast.xgboost_growing import Growing, grown
from hwds.stored import Stored

LEAST_CHANCE = 1e-6
"""A chance below this counts as this, so that a size can be told."""


@dataclass(frozen=True)
class FittedCounts(Stored):
    """Two boosters and the table of sizes.

    Attributes:
        windowing: Statistics of the history.
        features: The feature set that it was fitted with.
        mean: The booster of mean demand in XGBoost's own format (UBJSON); empty where there was nothing to learn from.
        chance: The booster of the chance of demand; empty where demand always comes.
        edges: See `size_table`.
        ratios: See `size_table`.
        whole: Whether demand comes in whole numbers.
        levels: The levels asked for.
        cpus: Threads.
    """

    windowing: Windowing
    features: Features | None
    mean: bytes
    chance: bytes
    edges: np.ndarray
    ratios: np.ndarray
    whole: bool
    levels: tuple[float, ...]
    cpus: int

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast every series at once; the seasonal naive answers, marked, for one that is unknown or was ever negative."""
        steps = int(future.lengths[0])
        simple = FittedSeasonalNaive(self.windowing.season, self.levels).predict(history, future)
        fallback = np.minimum.reduceat(np.nan_to_num(history.target), history.offsets[:-1]) < 0
        fallback |= np.isnan(np.fmax.reduceat(history.target, history.offsets[:-1]))
        if not self.mean:
            return Forecasts.of(simple.mean, simple.quantiles, np.ones_like(fallback))
        source = self.windowing.source(history.followed_by(future), self.features)
        boosters = grown(self.mean, self.cpus), grown(self.chance, self.cpus) if self.chance else None
        parts = [self._forecast(*boosters, windows) for _, windows in source.parts(source.at(history.lengths), steps)]
        mean, quantiles = (np.concatenate(part) for part in zip(*parts, strict=True))
        mean[fallback], quantiles[fallback] = simple.mean[fallback], simple.quantiles[fallback]
        return Forecasts.of(mean, quantiles, fallback)

    def _forecast(self, mean: Any, chance: Any, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        n, steps = windows.base.shape
        rows = matrix(windows, np.repeat(np.arange(n), steps), np.tile(np.arange(steps), n))
        expected = windows.restore(mean.inplace_predict(rows).reshape(n, steps))
        likely = bounded(chance.inplace_predict(rows)) if chance else np.ones(n * steps)
        return expected, demand_quantiles(expected, likely.reshape(n, steps), self.levels, self.edges, self.ratios, self.whole)


def fit_counts(
    growing: Growing,
    rows: Rows,
    last: Rows,
    windowing: Windowing,
    features: Features | None,
    levels: tuple[float, ...],
    whole: bool,
) -> FittedCounts:
    """Grow both boosters; sizes are compared with what was expected of them before the last horizon of the history.

    Args:
        growing: How the booster of the mean is grown.
        rows: Training rows.
        last: Rows of the last horizon.
        windowing: What the rows were cut by.
        features: The feature set of the rows.
        levels: The levels asked for.
        whole: Whether demand comes in whole numbers.
    """
    cpus = int(growing.settings["nthread"])
    if not (len(rows.target) and (rows.target > 0).any()):
        return FittedCounts(windowing, features, b"", b"", *size_table(np.zeros(0), np.zeros(0)), whole, levels, cpus)
    mean, early = growing.grow(rows, last)
    chance, early_chance = b"", None
    if (rows.target == 0).any():
        chance, early_chance = _of_chance(growing).grow(_events(rows), _events(last))
    honest = last if early is not None else rows
    expected = _asked(early, mean, honest, cpus) * honest.scale
    likely = bounded(_asked(early_chance, chance, honest, cpus)) if chance else np.ones(len(expected))
    came = honest.target > 0
    sizes = expected_size(expected[came], likely[came], whole)
    table = size_table(sizes, honest.target[came] * honest.scale[came])
    return FittedCounts(windowing, features, mean, chance, *table, whole, levels, cpus)


def bounded(chance: np.ndarray) -> np.ndarray:
    """Chances as float64, never 0."""
    return np.maximum(chance.astype(np.float64), LEAST_CHANCE)


def _of_chance(growing: Growing) -> Growing:
    """The same trees for whether there is any demand."""
    kept = {name: value for name, value in growing.settings.items() if name not in ("tweedie_variance_power", "base_score")}
    return replace(growing, settings=kept | {"objective": "binary:logistic"})


def _events(rows: Rows) -> Rows:
    return replace(rows, target=(rows.target > 0).astype(np.float32))


def _asked(early: Any, booster: bytes, rows: Rows, cpus: int) -> np.ndarray:
    """What the booster that has not seen the rows says of them; where there is none, the one that has."""
    if early is None:
        return np.asarray(grown(booster, cpus).inplace_predict(rows.inputs))
    return np.asarray(early.inplace_predict(rows.inputs, iteration_range=(0, int(early.best_iteration) + 1)))
