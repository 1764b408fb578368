"""One gradient-boosted forest for all series, steps and quantile levels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge

from hwds.context import Context, Device, Features
from hwds.errors import ConfigError
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.models.forecast.base import Forecaster
from hwds.models.forecast.normal import normal_bands
from hwds.models.forecast.window_rows import Rows, matrix, stopping_rows, training_rows
from hwds.models.forecast.windows import Windowing, Windows
from hwds.recipe import Count, Positive, Share, Small, Whole
from hwds.stored import Stored


class XGBoost(Forecaster):
    """Gradient-boosted trees over the windows of all series: one booster for every step and quantile, with covariates.

    Direct forecasts with the step as an input; each window is centred and scaled, the target is what the seasonal naive
    missed (Montero-Manso and Hyndman 2021, "Principles and algorithms for forecasting groups of time series", on global
    models). All levels are learned by the pinball loss in one booster, and sorted.

    Attributes:
        trees: The most rounds; each grows one tree a quantile level.
        patience: Rounds without a better forecast of the history's last horizon, learned from what lies before it, after which
            growing stops; the booster is then grown anew on all rows. 0 always grows `trees` rounds.
        depth: Levels of a tree.
        learning_rate: The share of each tree that is added.
        row_share: The share of the rows that each tree sees.
        column_share: The share of the inputs that each tree sees.
        leaf_rows: The least rows in a leaf.
        bins: Values of an input that are told apart.
        max_rows: Training rows (an origin and a step); more are thinned evenly, so that cost is bounded however many series.
        length: The values of the past that are inputs, two seasons at most.
        season: Rows in a season; 0 takes the dataset's.

    Example:
        python -m hwds model=forecast/xgboost features=lags
    """

    uses_features = True

    trees: Annotated[Count, Small(30)] = 250
    patience: Whole = 30
    depth: Count = 6
    learning_rate: Positive = 0.06
    row_share: Share = 0.7
    column_share: Share = 0.6
    leaf_rows: Positive = 50.0
    bins: Annotated[int, Ge(2)] = 256
    max_rows: Annotated[Count, Small(20_000)] = 100_000
    length: Count = 48
    season: Whole = 0

    def fit(self, history: Panel, *, horizon: int, context: Context) -> FittedXGBoost:
        """Learn from every origin in the history, or from an even sample of them."""
        windowing = Windowing.learn(history, season=self.season or context.season, horizon=horizon, length=self.length)
        source = windowing.source(history, context.features)
        rows = training_rows(source, self.max_rows, context.stream("training rows"))
        grid = quantile_grid(context.levels)
        booster = b""
        if len(rows.target):
            settings = self._settings(grid, context)
            last = stopping_rows(source, self.max_rows // 4, context.stream("stopping rows"))
            booster = self._train(settings, rows, self._rounds(settings, rows, last))
        return FittedXGBoost(windowing, context.features, booster, grid, context.levels, context.cpus)

    def _settings(self, grid: tuple[float, ...], context: Context) -> dict[str, Any]:
        return {
            "objective": "reg:quantileerror",
            "quantile_alpha": np.array(grid),
            "tree_method": "hist",
            "max_depth": self.depth,
            "eta": self.learning_rate,
            "subsample": self.row_share,
            "colsample_bytree": self.column_share,
            "min_child_weight": self.leaf_rows,
            "max_bin": self.bins,
            "nthread": context.cpus,
            "seed": context.seed_for("xgboost"),
            "device": compute_device(context.device),
        }

    def _rounds(self, settings: dict[str, Any], rows: Rows, last: Rows) -> int:
        """The rounds after which forecasts of the last horizon of the history got no better; all where that cannot be told."""
        import xgboost

        before = rows.take(~rows.late)
        if not (self.patience and len(before.target) and len(last.target)):
            return self.trees
        train = self._matrix(before, settings)
        stop = xgboost.QuantileDMatrix(last.inputs, last.target, ref=train, max_bin=self.bins, nthread=settings["nthread"])
        booster = xgboost.train(
            settings, train, self.trees, evals=[(stop, "stop")], early_stopping_rounds=self.patience, verbose_eval=False
        )
        return int(booster.best_iteration) + 1

    def _train(self, settings: dict[str, Any], rows: Rows, rounds: int) -> bytes:
        import xgboost

        return bytes(xgboost.train(settings, self._matrix(rows, settings), rounds).save_raw("ubj"))

    def _matrix(self, rows: Rows, settings: dict[str, Any]) -> Any:
        import xgboost

        return xgboost.QuantileDMatrix(rows.inputs, rows.target, max_bin=self.bins, nthread=settings["nthread"])


@dataclass(frozen=True)
class FittedXGBoost(Stored):
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
        source = self.windowing.source(history.followed_by(future), self.features)
        forecast = self._booster() if self.booster else None
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

    def _booster(self) -> Any:
        import xgboost

        booster = xgboost.Booster({"nthread": self.cpus})
        booster.load_model(bytearray(self.booster))
        return booster


def quantile_grid(levels: tuple[float, ...]) -> tuple[float, ...]:
    """The levels to learn: those asked for, the median, and one on each side of it for the mean to be made of."""
    below = () if any(level < 0.5 for level in levels) else (0.1,)
    above = () if any(level > 0.5 for level in levels) else (0.9,)
    return tuple(sorted({*levels, 0.5, *below, *above}))


def mean_weights(grid: tuple[float, ...]) -> np.ndarray:
    """The weights that make a mean of quantiles: the integral of a quantile function that is linear between its levels.

    Beyond the outermost levels it is taken as flat. At 10, 50 and 90 % these are Swanson's .3, .4 and .3, which hold for
    moderately skewed distributions (Hurst, Brown and Swanson 2000, "Swanson's 30-40-30 rule").
    """
    between = (np.array(grid[1:]) + np.array(grid[:-1])) / 2
    return np.diff(np.concatenate([[0.0], between, [1.0]]))


def compute_device(asked: Device) -> str:
    """Where XGBoost trains: on a GPU where there is one and it is allowed.

    Raises:
        ConfigError: A GPU is asked for and there is none, or this XGBoost is built without.
    """
    import xgboost

    there = bool(xgboost.build_info().get("USE_CUDA")) and any(Path("/dev").glob("nvidia[0-9]*"))
    if asked == "gpu" and not there:
        raise ConfigError("compute.device: 'gpu', but there is none that XGBoost can use; use 'auto' or 'cpu'.")
    return "cuda" if there and asked != "cpu" else "cpu"
