"""One encoder-decoder network for all series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from hwds.context import Context, Device, Features
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.models.forecast.base import Forecaster
from hwds.models.forecast.lstm_inputs import Inputs, inputs_of, learn_scaling, scaled
from hwds.models.forecast.lstm_training import Schedule, Training
from hwds.models.forecast.normal import normal_bands
from hwds.models.forecast.window_rows import thinned
from hwds.models.forecast.window_source import Origins, Source
from hwds.models.forecast.windows import Windowing
from hwds.models.forecast.xgboost import mean_weights, quantile_grid
from hwds.recipe import Count, Positive, Small, Whole
from hwds.stored import Stored


class LSTM(Forecaster):
    """A global LSTM encoder-decoder on normalised windows: known-future columns in the decoder, quantiles that cannot cross.

    The network learns what the seasonal naive missed, over the windows of all series. An inner window before the
    cutoff (the last `horizon` rows of the history) chooses the number of epochs; a fresh network is then trained for as many
    on all rows, its weights averaged over the steps. Several networks are averaged (Smyl 2020, "A hybrid method of
    exponential smoothing and recurrent neural networks", on global networks over normalised windows).

    Attributes:
        units: Of each LSTM.
        epochs: Passes over the windows at most.
        patience: Epochs without improvement on the inner window before stopping.
        seeds: Networks that are averaged.
        batch: Windows a step at most.
        learning_rate: Adam's.
        least_steps: Steps of an epoch at least: with few windows a step takes fewer of them.
        max_windows: Windows to learn from; more are thinned evenly.
        season: Rows in a season; 0 takes the dataset's.

    Example:
        python -m hwds model=forecast/lstm
    """

    uses_features = True

    units: Count = 48
    epochs: Annotated[Count, Small(2)] = 12
    patience: Count = 3
    seeds: Annotated[Count, Small(1)] = 3
    batch: Count = 512
    learning_rate: Positive = 2e-3
    least_steps: Annotated[Count, Small(10)] = 40
    max_windows: Annotated[Count, Small(2000)] = 60_000
    season: Whole = 0

    def fit(self, history: Panel, *, horizon: int, context: Context) -> FittedLSTM:
        """Learn from the windows of the history."""
        windowing = Windowing.learn(history, season=self.season or context.season, horizon=horizon)
        source = windowing.source(history, context.features)
        grid = quantile_grid(context.levels)
        origins = source.origins()
        origins = origins.take(thinned(len(origins), self.max_windows, context.stream("windows")))
        plain, levels, size = (windowing, context.features), (grid, context.levels), (self.units, self.learning_rate)
        if not len(origins):
            return FittedLSTM(*plain, (), (), *levels, *size, 0, context.cpus, context.device)
        inputs, target, _ = inputs_of(source, origins)
        scaling = learn_scaling(inputs)
        training = self._training(windowing, scaled(inputs, scaling), grid, context)
        hidden, inner = before_inner(target, origins, history, horizon), inner_window(source, history, horizon)
        weights = self._weights(training, target, hidden, inner and (scaled(inner[0], scaling), inner[1]))
        return FittedLSTM(*plain, scaling, weights, *levels, *size, self.seeds, context.cpus, context.device)

    def _training(self, windowing: Windowing, inputs: Inputs, grid: tuple[float, ...], context: Context) -> Training:
        schedule = Schedule(self.units, self.epochs, self.patience, self.batch, self.learning_rate, self.least_steps)
        return Training(inputs, schedule, grid, tuple(len(codes.texts) + 1 for codes in windowing.codes), context)

    def _weights(
        self, training: Training, target: np.ndarray, hidden: np.ndarray, inner: tuple[Inputs, np.ndarray] | None
    ) -> tuple[np.ndarray, ...]:
        """The weights of all networks, each trained anew on all rows for as many epochs as its inner window chose."""
        epochs = [training.best_epochs(hidden, inner, seed) if inner else self.epochs for seed in range(self.seeds)]
        return tuple(part for seed in range(self.seeds) for part in training.train(target, epochs[seed], seed))


def before_inner(target: np.ndarray, origins: Origins, history: Panel, horizon: int) -> np.ndarray:
    """Targets (n, h) with those inside the inner window hidden, where a series is long enough to have one."""
    last = history.lengths[origins.series] - horizon
    inside = origins.ends[:, None] + np.arange(target.shape[1]) >= last[:, None]
    return np.where(inside & (last > horizon)[:, None], np.nan, target).astype(np.float32)


def inner_window(source: Source, history: Panel, horizon: int) -> tuple[Inputs, np.ndarray] | None:
    """Inputs and targets of the last `horizon` rows of every series that is long enough; None where none is known."""
    ends = history.lengths - horizon
    long = np.flatnonzero(ends > horizon)
    if not len(long):
        return None
    inputs, target, _ = inputs_of(source, Origins(long, ends[long]))
    return None if np.isnan(target).all() else (inputs, target)


@dataclass(frozen=True)
class FittedLSTM(Stored):
    """Weights of the networks, and how windows are cut and scaled for them.

    Attributes:
        windowing: Statistics of the history.
        features: The feature set that it was fitted with.
        scaling: Centres and spreads of the inputs.
        weights: The weights of all networks, one after the other; none where there was nothing to learn from.
        grid: The levels it forecasts.
        levels: The levels asked for, all in `grid`.
        units, rate, networks, cpus, device: As they were in fit.
    """

    windowing: Windowing
    features: Features | None
    scaling: tuple[np.ndarray, ...]
    weights: tuple[np.ndarray, ...]
    grid: tuple[float, ...]
    levels: tuple[float, ...]
    units: int
    rate: float
    networks: int
    cpus: int
    device: Device

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast every series at once; without a network, the seasonal naive with normal intervals, marked as a fallback."""
        steps = int(future.lengths[0])
        source = self.windowing.source(history.followed_by(future), self.features)
        inputs, _, windows = inputs_of(source, source.at(history.lengths), steps)
        n = len(inputs.past)
        if not self.weights:
            base, scale = (np.concatenate([getattr(part, name) for part in windows]) for name in ("base", "scale"))
            seasons = np.arange(steps) // self.windowing.season + 1
            naive = normal_bands(base, scale[:, None] * np.sqrt(np.pi / 2 * seasons), self.levels)
            return Forecasts.of(naive.mean, self._bounded(naive.quantiles), np.ones(n, bool))
        residual = self._residual(scaled(inputs, self.scaling))
        cuts = np.cumsum([len(part.scale) for part in windows])[:-1]
        restored = [part.restore(piece) for part, piece in zip(windows, np.split(residual, cuts), strict=True)]
        grid = self._bounded(np.sort(np.concatenate(restored), -1))
        mean = (grid * mean_weights(self.grid)).sum(-1)
        return Forecasts.of(mean, grid[..., [self.grid.index(level) for level in self.levels]])

    def _residual(self, inputs: Inputs) -> np.ndarray:
        """The mean over the networks, shape (n, h, levels): a step beyond the trained horizon is read as its last ones are."""
        from hwds.models.forecast.lstm_network import Shape, forecast, place, tensorflow

        tf = tensorflow(self.cpus)
        texts = tuple(len(codes.texts) + 1 for codes in self.windowing.codes)
        shape = Shape(inputs.past.shape[1:], inputs.steps.shape[1:], inputs.origin.shape[1:], texts, self.units, self.grid)
        each = len(self.weights) // self.networks
        with tf.device(place(self.device)):
            parts = [forecast(shape, self.rate, self.weights[i : i + each], inputs) for i in range(0, len(self.weights), each)]
        return np.mean(np.stack(parts), axis=0)

    def _bounded(self, quantiles: np.ndarray) -> np.ndarray:
        return np.maximum(quantiles, 0.0) if self.windowing.nonnegative else quantiles
