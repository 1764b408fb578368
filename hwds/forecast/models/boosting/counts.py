"""Gradient-boosted trees for demand that comes by chance: boosters of its mean and its chance, a table of its sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwds.core.serialization import Serializable
from hwds.forecast.context import Features
from hwds.forecast.models.boosting.growing import Early, Growing
from hwds.forecast.models.seasonal_naive import FittedSeasonalNaive
from hwds.forecast.models.windows.cut import Windowing, Windows
from hwds.forecast.models.windows.rows import TrainingRows, matrix
from hwds.forecast.models.windows.source import WindowSource
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.learners.boosting.booster import load_booster

LEAST_CHANCE = 1e-6
"""A probability below this counts as this, so that a size has an estimate."""


@dataclass(frozen=True)
class FittedCounts(Serializable):
    """Two boosters and the table of sizes.

    Attributes:
        windowing: Statistics of the history.
        features: The feature set that it was fitted with.
        mean: The booster of mean demand in XGBoost's own format (UBJSON); empty where there was nothing to learn from.
        chance: The booster of the chance of demand; empty where demand always comes.
        edges: See `size_table`.
        ratios: See `size_table`.
        whole: Whether demand comes in whole numbers.
        levels: The levels to forecast.
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
        source = WindowSource.of(self.windowing, history.followed_by(future), self.features)
        boosters = load_booster(self.mean, self.cpus), load_booster(self.chance, self.cpus) if self.chance else None
        parts = [self._forecast(*boosters, windows) for _, windows in source.parts(source.at(history.lengths), steps)]
        mean, quantiles = (np.concatenate(part) for part in zip(*parts, strict=True))
        mean[fallback], quantiles[fallback] = simple.mean[fallback], simple.quantiles[fallback]
        return Forecasts.of(mean, quantiles, fallback)

    def _forecast(self, mean: Any, chance: Any, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        n, steps = windows.base.shape
        rows = matrix(windows, np.repeat(np.arange(n), steps), np.tile(np.arange(steps), n))
        expected = windows.restore(mean.inplace_predict(rows).reshape(n, steps))
        probability = bounded(chance.inplace_predict(rows)) if chance else np.ones(n * steps)
        return expected, demand_quantiles(
            expected, probability.reshape(n, steps), self.levels, self.edges, self.ratios, self.whole
        )


def fit_counts(
    growing: Growing,
    rows: TrainingRows,
    last: TrainingRows,
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
        levels: The levels to forecast.
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
    probability = bounded(_asked(early_chance, chance, honest, cpus)) if chance else np.ones(len(expected))
    came = honest.target > 0
    sizes = expected_size(expected[came], probability[came], whole)
    table = size_table(sizes, honest.target[came] * honest.scale[came])
    return FittedCounts(windowing, features, mean, chance, *table, whole, levels, cpus)


def bounded(chance: np.ndarray) -> np.ndarray:
    """Return chances as float64, never 0."""
    return np.maximum(chance.astype(np.float64), LEAST_CHANCE)


def _of_chance(growing: Growing) -> Growing:
    """Return the same trees for whether there is any demand."""
    settings = {name: value for name, value in growing.settings.items() if name not in ("tweedie_variance_power", "base_score")}
    return replace(growing, settings=settings | {"objective": "binary:logistic"})


def _events(rows: TrainingRows) -> TrainingRows:
    return replace(rows, target=(rows.target > 0).astype(np.float32))


def _asked(early: Early | None, booster: bytes, rows: TrainingRows, cpus: int) -> np.ndarray:
    """Return the predictions of the booster that has not seen the rows; of the final one where there is none."""
    if early is None:
        return np.asarray(load_booster(booster, cpus).inplace_predict(rows.inputs))
    return early.predict(rows.inputs)


BINS, LEAST_ROWS, STEPS = 20, 50, 200
"""Bins of expected size, the least rows in one, and steps of the grid of levels."""


def size_table(expected: np.ndarray, actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a table of quantiles of the ratio of actual to expected sizes, by bins of the expected size.

    Args:
        expected: The sizes that were forecast, above 0, shape (rows,).
        actual: The demands that came, above 0, shape (rows,).

    Returns:
        The least expected size of each bin but the first, shape (bins - 1,); and the quantiles of the ratio at even levels
        from 0 to 1, shape (bins, STEPS + 1). Without rows sizes are as expected.
    """
    if not len(expected):
        return np.zeros(0), np.ones((1, STEPS + 1))
    order = np.argsort(expected, kind="stable")
    bins = np.array_split(order, max(1, min(BINS, len(order) // LEAST_ROWS)))
    levels = np.linspace(0, 1, STEPS + 1)
    table = [np.quantile(actual[rows] / expected[rows], levels, method="inverted_cdf") for rows in bins]
    return expected[[rows[0] for rows in bins[1:]]], np.stack(table)


def demand_quantiles(
    mean: np.ndarray, chance: np.ndarray, levels: tuple[float, ...], edges: np.ndarray, ratios: np.ndarray, whole: bool
) -> np.ndarray:
    """Return quantiles of a demand that comes with a chance, and whose size varies about its mean as the table says.

    The level q of demand is 0 where no demand is likelier than q, else the level 1 - (1 - q) / chance of its size.

    Args:
        mean: The mean of demand, shape (n, h).
        chance: The chance of any, above 0, shape (n, h).
        levels: Quantile levels.
        edges: From `size_table`.
        ratios: From `size_table`.
        whole: Whether demand comes in whole numbers: a size is then rounded, and at least 1.

    Returns:
        Shape (n, h, levels).
    """
    size = expected_size(mean, chance, whole)[..., None]
    inside = 1.0 - (1.0 - np.array(levels)) / chance[..., None]
    level = np.clip(np.ceil(inside * STEPS - 1e-6), 0, STEPS).astype(np.int64)
    quantiles = ratios[np.searchsorted(edges, size, side="right"), level] * size
    return np.where(inside > 0, np.maximum(np.rint(quantiles), 1.0) if whole else quantiles, 0.0)


def expected_size(mean: np.ndarray, chance: np.ndarray, whole: bool) -> np.ndarray:
    """Return the mean of a demand that comes; of whole numbers at least 1."""
    size = mean / chance
    return np.maximum(size, 1.0) if whole else size
