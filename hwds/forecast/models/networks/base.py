"""Network: what all networks share that are trained on the windows of all series."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from hwds.core.recipe import Depth, Draws, Folds, Positive, Rows, Small, Width, ZeroFolds, ZeroSteps
from hwds.forecast.context import ForecastContext
from hwds.forecast.models.base import Forecaster
from hwds.forecast.models.networks.body import WindowParts
from hwds.forecast.models.networks.counts import CountHead
from hwds.forecast.models.networks.fitted import FittedNetwork, shape_of
from hwds.forecast.models.networks.heads import Head, Likelihood
from hwds.forecast.models.networks.inputs import WindowExamples, examples_of, learn_scaling, scaled
from hwds.forecast.models.networks.quantiles import QuantileHead
from hwds.forecast.models.windows.cut import Origins, Windowing
from hwds.forecast.models.windows.quantile_grid import quantile_grid
from hwds.forecast.models.windows.rows import thinned
from hwds.forecast.models.windows.source import WindowSource
from hwds.frames.panel import Panel
from hwds.learners.networks.training import Schedule, Training


class Network(Forecaster):
    """A global network on normalised windows.

    The network learns what the seasonal naive missed, over the windows of all series, for `epochs` passes; its weights are
    averaged over the steps. With `patience` an inner window before the cutoff (the last `horizon` rows of the history) chooses
    the number of passes first, and a fresh network is then trained for as many on all rows. Several networks are averaged.

    Attributes:
        likelihood: `quantile` learns quantiles; `negative_binomial` the mean and the dispersion of counts, for
            intermittent demand.
        epochs: Passes over the windows; at most so many where there is patience.
        patience: Passes without improvement on the inner window before stopping; 0 has no inner window and makes all passes.
        seeds: The number of networks that are averaged.
        batch: Windows a step at most.
        learning_rate: The step size of Adam.
        least_steps: Steps of an epoch at least: with few windows a step takes fewer of them.
        max_windows: Windows to learn from; more are thinned evenly.
        season: Rows in a season; 0 takes the dataset's.
    """

    uses_features = True

    likelihood: Likelihood = "quantile"
    epochs: Annotated[Folds, Small(2)] = 12
    patience: ZeroFolds = 3
    seeds: Annotated[Depth, Small(1)] = 3
    batch: Width = 512
    learning_rate: Positive = 2e-3
    least_steps: Annotated[Draws, Small(10)] = 40
    max_windows: Annotated[Rows, Small(2000)] = 60_000
    season: ZeroSteps = 0

    def body(self, parts: WindowParts) -> Any:
        """Return the layers between the inputs and the head: a Keras tensor of shape (n, h, features)."""
        raise NotImplementedError(f"{type(self).__name__}.body")

    def head(self, windowing: Windowing, levels: tuple[float, ...]) -> Head:
        """Return the head: the form of the network's output."""
        if self.likelihood == "negative_binomial":
            return CountHead()
        return QuantileHead(quantile_grid(levels), windowing.nonnegative)

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedNetwork:
        """Learn from the windows of the history."""
        windowing = Windowing.learn(history, season=self.season or context.season, horizon=horizon)
        source, head = WindowSource.of(windowing, history, context.features), self.head(windowing, context.levels)
        head.check(history)
        origins = source.origins()
        origins = origins.take(thinned(len(origins), self.max_windows, context.stream("windows")))
        examples = examples_of(source, origins, head) if len(origins) else None
        scaling: tuple[np.ndarray, ...] = ()
        weights: tuple[np.ndarray, ...] = ()
        if examples is not None and not np.isnan(examples.target).all():
            scaling = learn_scaling(examples.inputs)
            inputs = scaled(examples.inputs, scaling)
            training = Training(inputs, shape_of(self, windowing, inputs, context.levels), self._schedule(), context)
            inner = inner_window(source, history, horizon, head) if self.patience else None
            inner = inner and WindowExamples(scaled(inner.inputs, scaling), inner.target)
            hidden = before_inner(examples.target, origins, history, horizon)
            weights = self._weights(training, examples.target, hidden, inner)
        return FittedNetwork(self, windowing, context.features, scaling, weights, context.levels, context.cpus, context.device)

    def _schedule(self) -> Schedule:
        return Schedule(self.epochs, self.patience, self.batch, self.learning_rate, self.least_steps)

    def _weights(
        self, training: Training, target: np.ndarray, hidden: np.ndarray, inner: WindowExamples | None
    ) -> tuple[np.ndarray, ...]:
        """Return the weights of all networks, each trained on all rows for as many epochs as its inner window chose, if any."""
        epochs = [training.best_epochs(hidden, inner, seed) if inner else self.epochs for seed in range(self.seeds)]
        return tuple(part for seed in range(self.seeds) for part in training.train(target, epochs[seed], seed))


def before_inner(target: np.ndarray, origins: Origins, history: Panel, horizon: int) -> np.ndarray:
    """Return targets, first axes (n, h), hidden inside the inner window where a series is long enough to have one."""
    last = history.lengths[origins.series] - horizon
    inside = origins.ends[:, None] + np.arange(target.shape[1]) >= last[:, None]
    hidden = inside & (last > horizon)[:, None]
    return np.where(hidden.reshape(hidden.shape + (1,) * (target.ndim - 2)), np.nan, target).astype(np.float32)


def inner_window(source: WindowSource, history: Panel, horizon: int, head: Head) -> WindowExamples | None:
    """Return the last `horizon` rows of every series that is long enough; None where none is known."""
    ends = history.lengths - horizon
    long = np.flatnonzero(ends > horizon)
    if not len(long):
        return None
    inner = examples_of(source, Origins(long, ends[long]), head)
    return None if np.isnan(inner.target).all() else inner
