"""One gradient-boosted forest for all series, steps and quantile levels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwds.context import Context, Device, Features
from hwds.errors import ConfigError
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.models.forecast.base import Forecaster
from hwds.models.forecast.normal import normal_bands
from hwds.models.forecast.windows import Source, Windowing, Windows
from hwds.recipe import Count, Positive, Share, Small, Whole
from hwds.stored import Stored

CELLS = 1 << 21
"""Numbers of windows that are gathered at once: it bounds memory and changes no result."""


class XGBoost(Forecaster):
    trees: Count = 250
    depth: Count = 6
    learning_rate: Positive = 0.06
    rows: Share = 0.7
    columns: Share = 0.6
    leaf: Positive = 20.0
    bins: Count = 256
    max_rows: Count = 300_000
    length: Count = 48
    season: Whole = 0

    uses_features = True

    def fit(self, history: Panel, *, horizon: int, context: Context) -> FittedXGBoost:
        windowing = Windowing.learn(history, season=self.season or context.season, horizon=horizon, length=self.length)
        source = windowing.source(history, context.features)
        inputs, target = training_rows(source, self.max_rows, context.stream("training rows"))
        grid = _grid(context.levels)
        booster = self._train(inputs, target, grid, context) if len(target) else b""
        return FittedXGBoost(windowing, context.features, booster, grid, context.levels, context.cpus)

    def _train(self, inputs: np.ndarray, target: np.ndarray, grid: tuple[float, ...], context: Context) -> bytes:
        import xgboost

        settings = {
            "objective": "reg:quantileerror",
            "quantile_alpha": np.array(grid),
            "tree_method": "hist",
            "max_depth": self.depth,
            "eta": self.learning_rate,
            "subsample": self.rows,
            "colsample_bytree": self.columns,
            "min_child_weight": self.leaf,
            "max_bin": self.bins,
            "nthread": context.cpus,
            "seed": context.seed_for("xgboost"),
            "device": compute_device(context.device),
        }
        data = xgboost.QuantileDMatrix(inputs, target, max_bin=self.bins, nthread=context.cpus)
        return bytes(xgboost.train(settings, data, self.trees).save_raw("ubj"))


@dataclass(frozen=True)
class FittedXGBoost(Stored):
    windowing: Windowing
    features: Features | None
    booster: bytes
    grid: tuple[float, ...]
    levels: tuple[float, ...]
    cpus: int

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        steps = int(future.lengths[0])
        source = self.windowing.source(history.followed_by(future), self.features)
        parts = [self._forecast(w) for _, w in cut_in_parts(source, source.at(history.lengths), steps)]
        mean, quantiles = (np.concatenate(part) for part in zip(*parts, strict=True))
        return Forecasts.of(mean, quantiles)

    def _forecast(self, windows):
        n, steps = windows.base.shape
        origin, step = np.repeat(np.arange(n), steps), np.tile(np.arange(steps), n)
        residual = self._booster().inplace_predict(matrix(windows, origin, step)).reshape(n, steps, -1)
        grid = np.sort(windows.restore(residual), -1)
        grid = np.maximum(grid, self.windowing.floor)
        return grid @ mean_weights(self.grid), grid[..., [self.grid.index(l) for l in self.levels]]

    def _booster(self) -> Any:
        import xgboost

        booster = xgboost.Booster({"nthread": self.cpus})
        booster.load_model(bytearray(self.booster))
        return booster


def cut_in_parts(source, origins, steps=0):
    size = max(CELLS // max(source.windowing.span, steps or source.windowing.horizon), 1)
    for start in range(0, len(origins), size):
        yield slice(start, start + size), source.cut(origins.take(slice(start, start + size)), steps)


def training_rows(source, most, rng):
    origins = source.origins()
    steps = np.minimum(source.panel.lengths[origins.series] - origins.ends, source.windowing.horizon)
    last = np.cumsum(steps)
    total = int(last[-1]) if len(last) else 0
    chosen = thinned(total, most, rng)
    owner = np.searchsorted(last, chosen, side="right")
    step = chosen - (last - steps)[owner]
    used, owner = np.unique(owner, return_inverse=True)
    inputs, target = [], []
    for part, windows in cut_in_parts(source, origins.take(used)):
        rows = slice(*np.searchsorted(owner, [part.start, part.stop]))
        o, s = owner[rows] - part.start, step[rows]
        y = windows.target[o, s]
        ok = ~np.isnan(y)
        inputs.append(matrix(windows, o[ok], s[ok]))
        target.append(y[ok])
    return np.concatenate(inputs), np.concatenate(target)


def thinned(total, most, rng):
    if total <= most:
        return np.arange(total)
    return ((np.arange(most) + rng.random(most)) * (total / most)).astype(np.int64)


def matrix(windows: Windows, origin: np.ndarray, step: np.ndarray) -> np.ndarray:
    return np.concatenate([windows.past[origin], windows.origin[origin], windows.codes[origin].astype(np.float32), (step[:, None] + 1).astype(np.float32), windows.steps[origin, step]], 1)


def _grid(levels):
    grid = set(levels) | {0.5}
    if min(grid) == 0.5: grid |= {0.1}
    if max(grid) == 0.5: grid |= {0.9}
    return tuple(sorted(grid))


def mean_weights(grid):
    edges = np.concatenate([[0.0], (np.array(grid[1:]) + np.array(grid[:-1])) / 2, [1.0]])
    return np.diff(edges)


def compute_device(asked: Device) -> str:
    import xgboost

    there = bool(xgboost.build_info().get("USE_CUDA")) and any(Path("/dev").glob("nvidia[0-9]*"))
    if asked == "gpu" and not there:
        raise ConfigError("compute.device: 'gpu', but this XGBoost or machine has none; use auto or cpu.")
    return "cuda" if there and asked != "cpu" else "cpu"
