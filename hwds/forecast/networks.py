"""Networks trained on windows of all series: heads, bodies, inputs, the recipe and what it fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy import ndarray

from hwds.core.errors import DataError
from hwds.core.recipe import Depth, Draws, Folds, Positive, Rows, Small, Width, ZeroFolds, ZeroSteps
from hwds.core.serialization import Serializable
from hwds.evaluation.networks import Layers, Schedule, Training, on_device, predict_network
from hwds.evaluation.protocol import Device
from hwds.forecast.models.base import Features, ForecastContext, Forecaster
from hwds.forecast.training_rows import quantile_grid, read_grid, thin_evenly
from hwds.forecast.windows import MOST_CHANGES, Origins, Windowing, Windows, WindowSource
from hwds.frames.panel import NOTHING_LEARNED, Forecasts, Panel

# Heads: what a network answers for each step, and how that is learned, judged and read as a
# forecast.

Likelihood = Literal["quantile", "negative_binomial"]


class Head(Protocol):
    """The interface of a head; it is part of a graph's key, so it is a tuple of plain values."""

    @property
    def outputs(self) -> int:
        """Numbers that the network gives for each step."""

    @property
    def target_shape(self) -> tuple[int, ...]:
        """Shape of the target of one step."""

    def activate(self, out: Any) -> Any:
        """Return a Keras tensor of raw outputs (n, h, outputs) as an answer."""

    def loss(self, output: Any, target: Any) -> Any:
        """Return the mean loss of known targets, in TensorFlow."""

    def score(self, output: ndarray, target: ndarray) -> float:
        """Return the same in numpy, for choosing the number of epochs."""

    def target(self, source: WindowSource, origins: Origins, windows: Windows) -> ndarray:
        """Return the target to learn, its first axes (n, h), NaN where unknown, float32."""

    def check(self, history: Panel) -> None:
        """Refuse a history that it cannot describe."""

    def supports(self, history: Panel) -> ndarray:
        """Return which series it can forecast, shape (n_series,)."""

    def read(
        self, output: ndarray, windows: Windows, levels: tuple[float, ...]
    ) -> tuple[ndarray, ndarray]:
        """Return mean (n, h) and quantiles (n, h, levels) in the target's unit."""


# The head that answers with quantiles.


class QuantileHead(NamedTuple):
    """Quantiles that cannot cross, of what the seasonal naive missed, learned by the pinball loss.

    A median with steps up and down made positive by softplus (Gasthaus et al. 2019, "Probabilistic
    forecasting with spline quantile function RNNs", for the idea of a monotone head).

    Attributes:
        grid: The levels, 0.5 among them.
        nonnegative: Whether forecasts are never below 0.
    """

    grid: tuple[float, ...]
    nonnegative: bool

    @property
    def outputs(self) -> int:
        """One a level."""
        return len(self.grid)

    @property
    def target_shape(self) -> tuple[int, ...]:
        """One residual."""
        return ()

    def activate(self, out: Any) -> Any:
        """Return the levels, rising."""
        from keras import layers, ops

        middle = self.grid.index(0.5)
        median = out[..., middle : middle + 1]
        up = median + ops.cumsum(ops.softplus(out[..., middle + 1 :]), -1)
        down = median - ops.flip(ops.cumsum(ops.flip(ops.softplus(out[..., :middle]), -1), -1), -1)
        return layers.Concatenate()([down, median, up])

    def loss(self, output: Any, target: Any) -> Any:
        """Return the pinball loss, mean over the levels."""
        import tensorflow as tf

        grid = np.array(self.grid, np.float32)
        known = tf.math.is_finite(target)
        weight = tf.cast(known, tf.float32)
        error = tf.where(known, target, 0.0)[..., None] - output
        pinball = tf.maximum(grid * error, (grid - 1) * error) * weight[..., None]
        return tf.reduce_sum(pinball) / tf.maximum(tf.reduce_sum(weight), 1.0) / len(grid)

    def score(self, output: ndarray, target: ndarray) -> float:
        """Return the same."""
        error = target[..., None] - output
        levels = np.array(self.grid)
        return float(np.nanmean(np.maximum(levels * error, (levels - 1) * error)))

    def target(self, source: WindowSource, origins: Origins, windows: Windows) -> ndarray:
        """Return the residual, shape (n, h)."""
        return windows.target

    def check(self, history: Panel) -> None:
        """Accept every history."""

    def supports(self, history: Panel) -> ndarray:
        """Return all of them."""
        return np.ones(history.n_series, bool)

    def read(
        self, output: ndarray, windows: Windows, levels: tuple[float, ...]
    ) -> tuple[ndarray, ndarray]:
        """Return the levels to forecast, and the mean that all levels together make."""
        restored = np.sort(windows.restore(output), -1)
        grid = np.maximum(restored, 0.0) if self.nonnegative else restored
        return read_grid(grid, self.grid, levels)


# The head that answers with the distribution of a count.

LEAST_DISPERSION = 1e-3
"""Dispersion at least, and the mean beside the window's size: a logarithm is taken of both."""


class CountHead(NamedTuple):
    """Mean and dispersion of a negative binomial: variance = mean + dispersion x mean^2.

    The mean is a multiple of the window's size (Salinas et al. 2020, "DeepAR", section 3.3, eq. 4).
    Series with negative or fractional values are neither learned from nor answered for.
    """

    @property
    def outputs(self) -> int:
        """Mean over size, and dispersion."""
        return 2

    @property
    def target_shape(self) -> tuple[int, ...]:
        """The count and the size of its window."""
        return (2,)

    def activate(self, out: Any) -> Any:
        """Return outputs above 0."""
        from keras import ops

        return ops.softplus(out) + LEAST_DISPERSION

    def loss(self, output: Any, target: Any) -> Any:
        """Return the negative log-likelihood but for what does not depend on the answer."""
        import tensorflow as tf

        known = tf.math.is_finite(target[..., 0])
        count, size = tf.where(known, target[..., 0], 0.0), tf.where(known, target[..., 1], 1.0)
        share, places = output[..., 1] * output[..., 0] * size, 1.0 / output[..., 1]
        likelihood = (
            tf.math.lgamma(count + places) - tf.math.lgamma(places) + count * tf.math.log(share)
        )
        likelihood -= (count + places) * tf.math.log1p(share)
        weight = tf.cast(known, tf.float32)
        return -tf.reduce_sum(likelihood * weight) / tf.maximum(tf.reduce_sum(weight), 1.0)

    def score(self, output: ndarray, target: ndarray) -> float:
        """Return the same, in double precision."""
        from scipy.special import gammaln

        count, size = target[..., 0].astype(np.float64), target[..., 1].astype(np.float64)
        dispersion = output[..., 1].astype(np.float64)
        share, places = dispersion * output[..., 0] * size, 1.0 / dispersion
        likelihood = (
            gammaln(count + places)
            - gammaln(places)
            + count * np.log(share)
            - (count + places) * np.log1p(share)
        )
        return float(-np.nanmean(likelihood))

    def target(self, source: WindowSource, origins: Origins, windows: Windows) -> ndarray:
        """Return the count and the window's size, shape (n, h, 2)."""
        first = (source.panel.offsets[origins.series] + origins.ends)[:, None]
        rows = first + np.arange(windows.target.shape[1])
        known = ~np.isnan(windows.target) & self.supports(source.panel)[origins.series][:, None]
        count = source.target[np.minimum(rows, len(source.target) - 1)]
        size = np.broadcast_to(_count_unit(windows)[:, None], rows.shape)
        both = np.stack([count, size], -1, dtype=np.float32)
        return np.where(known[..., None], both, np.float32(np.nan))

    def check(self, history: Panel) -> None:
        """Refuse a history without a series of counts.

        Raises:
            DataError: No series is one.
        """
        if not self.supports(history).any():
            raise DataError(
                "model.likelihood: 'negative_binomial' needs counts, but every series has "
                "negative or fractional values;"
                " use 'quantile'."
            )

    def supports(self, history: Panel) -> ndarray:
        """Return which series hold whole numbers from 0 on."""
        values = np.nan_to_num(history.target)
        odd = (values < 0) | (values != np.floor(values))
        return ~np.logical_or.reduceat(odd, history.offsets[:-1])

    def read(
        self, output: ndarray, windows: Windows, levels: tuple[float, ...]
    ) -> tuple[ndarray, ndarray]:
        """Return the mean, and the quantiles of the distribution: whole numbers."""
        from scipy.stats import nbinom

        mean = output[..., 0].astype(np.float64) * _count_unit(windows)[:, None]
        places = 1.0 / output[..., 1].astype(np.float64)
        chance = places / (places + mean)
        return mean, nbinom.ppf(np.array(levels), places[..., None], chance[..., None])


def _count_unit(windows: Windows) -> ndarray:
    """Return the unit of a count: the last season's mean with its changes, at least one piece in
    the window; (n,).
    """
    return np.maximum(np.nan_to_num(windows.level + windows.scale), 1.0 / windows.past.shape[1])


# The parts of a network's body, and the whole network: inputs, a body, a head.

HIDDEN = 32
"""Units between a body and its head."""


class BodyDesign(Protocol):
    """The recipe that builds the body, equal to another with the same settings."""

    def body(self, parts: WindowParts) -> Any:
        """Return a Keras tensor (n, h, features) of the inputs."""


@dataclass(frozen=True)
class WindowShape:
    """The key of a graph: all that determines it.

    Attributes:
        past, steps, origin: Shapes of the inputs without the first axis.
        texts: The number of texts that each code can be.
        horizon: Steps that it was trained for; `steps` may have other ones.
        design: Builds the body.
        head: Makes an answer of it.
    """

    past: tuple[int, ...]
    steps: tuple[int, ...]
    origin: tuple[int, ...]
    texts: tuple[int, ...]
    horizon: int
    design: BodyDesign
    head: Head

    def network(self, seed: int) -> Any:
        """Return an untrained network."""
        import keras

        parts = WindowParts(self, seed)
        body = self.design.body(parts)
        hidden = parts.dense(HIDDEN, "relu")(body)
        return keras.Model(parts.inputs, self.head.activate(parts.dense(self.head.outputs)(hidden)))

    def specs(self) -> list[Any]:
        """Return the specifications of the inputs, with any number of windows."""
        import tensorflow as tf

        inputs = [tf.TensorSpec((None, *part)) for part in (self.past, self.steps, self.origin)]
        return [*inputs, tf.TensorSpec((None, len(self.texts)), tf.int32)]

    @property
    def target(self) -> tuple[int | None, ...]:
        """A target for each step."""
        return (None, self.steps[0], *self.head.target_shape)

    def loss(self, output: Any, target: Any) -> Any:
        """Return the head's."""
        return self.head.loss(output, target)

    def score(self, output: ndarray, target: ndarray) -> float:
        """Return the head's."""
        return self.head.score(output, target)


class WindowParts(Layers):
    """The inputs of a network as Keras tensors, and the layers that it is built of.

    Attributes:
        shape: The shape of the inputs.
        past: Shape (n, length, p).
        steps: Shape (n, h, q).
    """

    def __init__(self, shape: WindowShape, seed: int) -> None:
        import keras

        super().__init__(seed)
        self.shape = shape
        self.past, self.steps, self._origin = (
            keras.Input(each) for each in (shape.past, shape.steps, shape.origin)
        )
        self._codes = keras.Input((len(shape.texts),), dtype="int32")

    @property
    def inputs(self) -> list[Any]:
        """In the order of `Inputs`."""
        return [self.past, self.steps, self._origin, self._codes]

    def about(self) -> list[Any]:
        """Return the inputs that hold for all steps, shapes (n, features): the origin's columns,
        embeddings of static texts.
        """
        from keras import layers

        embeddings = [
            layers.Embedding(many, 4, embeddings_initializer=self.near_zero())(self._codes[:, i])
            for i, many in enumerate(self.shape.texts)
        ]
        return [self._origin, *embeddings]

    def step_inputs(self, *about: Any) -> Any:
        """Return the inputs of each step beside those that hold for all, shape (n, h, features)."""
        from keras import layers

        repeated = [layers.RepeatVector(self.shape.steps[0])(part) for part in about]
        return layers.Concatenate()([self.steps, *repeated])


# Windows as a network reads them: past, steps, origin and codes, standardised by statistics of
# the training windows.


class NetworkInputs(NamedTuple):
    """The inputs of a network for n windows, float32 but for the codes.

    Attributes:
        past: The target, the known-future and the past-only columns over the window, shape (n,
            length, p).
        steps: The inputs of each step, its own number last, shape (n, h, q).
        origin: The inputs that hold for all steps, shape (n, a).
        codes: Static texts, 0 for one that fit has not seen, shape (n, c), int32.
    """

    past: ndarray
    steps: ndarray
    origin: ndarray
    codes: ndarray

    def take(self, index: ndarray) -> NetworkInputs:
        """Return some of the windows."""
        return NetworkInputs(*(part[index] for part in self))


Scaling = tuple[ndarray, ...]
"""Centre and spread of `past`, `steps` and `origin`, each of shape (columns,)."""


class WindowExamples(NamedTuple):
    """Windows and what a head makes of what followed, its first axes (n, h), NaN where unknown."""

    inputs: NetworkInputs
    target: ndarray


def window_examples(source: WindowSource, origins: Origins, head: Head) -> WindowExamples:
    """Return inputs of these origins, and their targets as the head learns them."""
    cut = [(origins.take(part), windows) for part, windows in source.parts(origins)]
    inputs = _concatenate_inputs([_cut_part(source, *part) for part in cut])
    targets = [head.target(source, *part) for part in cut]
    return WindowExamples(inputs, np.concatenate(targets))


def window_inputs(
    source: WindowSource, origins: Origins, steps: int
) -> tuple[NetworkInputs, list[Windows]]:
    """Return inputs of these origins over so many steps, and the windows that forecasts are
    restored by.
    """
    cut = list(source.parts(origins, steps))
    inputs = [_cut_part(source, origins.take(part), windows) for part, windows in cut]
    return _concatenate_inputs(inputs), [windows for _, windows in cut]


def _concatenate_inputs(parts: list[NetworkInputs]) -> NetworkInputs:
    return NetworkInputs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _cut_part(source: WindowSource, origins: Origins, windows: Windows) -> NetworkInputs:
    rows = source.past_rows(origins)
    covariates = [column[rows] for column in (*source.known.values(), *source.passed.values())]
    past = np.stack([windows.past, *covariates], -1, dtype=np.float32)
    number = (np.arange(windows.base.shape[1], dtype=np.float32) + 1) / source.windowing.horizon
    steps = np.broadcast_to(number, windows.base.shape)[..., None]
    return NetworkInputs(
        past,
        np.concatenate([windows.steps, steps], -1),
        windows.origin,
        windows.codes + 1,
    )


def learn_scaling(inputs: NetworkInputs) -> Scaling:
    """Return mean and standard deviation of every input column; a constant one is left as it is."""
    return tuple(part for values in inputs[:3] for part in _statistics(values))


def scale_inputs(inputs: NetworkInputs, scaling: Scaling) -> NetworkInputs:
    """Return inputs standardised and clipped; what is unknown counts as the mean."""
    pairs: Iterator[tuple[ndarray, ndarray]] = zip(scaling[::2], scaling[1::2], strict=True)
    past, steps, origin = (
        _standardise(values, *pair) for values, pair in zip(inputs[:3], pairs, strict=True)
    )
    return NetworkInputs(past, steps, origin, inputs.codes)


def _statistics(values: ndarray) -> tuple[ndarray, ndarray]:
    flat = np.clip(values.reshape(-1, values.shape[-1]).astype(np.float64), -1e6, 1e6)
    known = ~np.isnan(flat)
    count = np.maximum(known.sum(0), 1)
    centre = np.where(known, flat, 0).sum(0) / count
    spread = np.sqrt(np.where(known, (flat - centre) ** 2, 0).sum(0) / count)
    return centre.astype(np.float32), np.where(spread > 1e-9, spread, 1).astype(np.float32)


def _standardise(values: ndarray, centre: ndarray, spread: ndarray) -> ndarray:
    bounded = np.clip((values - centre) / spread, -MOST_CHANGES, MOST_CHANGES)
    return np.nan_to_num(bounded).astype(np.float32)


# A fitted network: its weights, and its forecasts.


@dataclass(frozen=True)
class FittedWindowNetwork(Serializable):
    """Weights of the networks, and how windows are cut and scaled for them.

    Attributes:
        model: The recipe: how the networks are built.
        windowing: Statistics of the history.
        features: The feature set that it was fitted with.
        scaling: Centres and spreads of the inputs.
        weights: The weights of all networks, one after the other; none where there was nothing to
            learn from.
        levels: The levels to forecast.
        cpus, device: The threads and the device of the fit.
    """

    model: Network
    windowing: Windowing
    features: Features | None
    scaling: tuple[ndarray, ...]
    weights: tuple[ndarray, ...]
    levels: tuple[float, ...]
    cpus: int
    device: Device

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast every series at once.

        Where a network cannot, by the seasonal naive, marked as a fallback.
        """
        steps = int(future.lengths[0])
        source = WindowSource.of(self.windowing, history.followed_by(future), self.features)
        inputs, windows = window_inputs(source, source.at(history.lengths), steps)
        naive = self._naive(windows)
        if not self.weights:
            return Forecasts.of(*naive, np.ones(len(naive[0]), bool), NOTHING_LEARNED)
        head = self.model.head(self.windowing, self.levels)
        output = self._predict_mean(scale_inputs(inputs, self.scaling))
        cuts = np.cumsum([len(part.scale) for part in windows])[:-1]
        read = [
            head.read(piece, part, self.levels)
            for part, piece in zip(windows, np.split(output, cuts), strict=True)
        ]
        supported = head.supports(history)
        mean, quantiles = (np.concatenate(part) for part in zip(*read, strict=True))
        mean = np.where(supported[:, None], mean, naive[0])
        quantiles = np.where(supported[:, None, None], quantiles, naive[1])
        return Forecasts.of(mean, quantiles, ~supported, "no counts")

    def _naive(self, windows: list[Windows]) -> tuple[ndarray, ndarray]:
        """Return mean and quantiles of the seasonal naive."""
        base, scale = (
            np.concatenate([getattr(part, name) for part in windows]) for name in ("base", "scale")
        )
        return self.windowing.seasonal_naive(base, scale, self.levels)

    def _predict_mean(self, inputs: NetworkInputs) -> ndarray:
        """Return the mean over the networks, shape (n, h, outputs)."""
        shape = network_shape(self.model, self.windowing, inputs, self.levels)
        each = len(self.weights) // self.model.seeds
        with on_device(self.device, self.cpus):
            parts = [
                predict_network(shape, self.weights[i : i + each], inputs)
                for i in range(0, len(self.weights), each)
            ]
        return np.mean(np.stack(parts), axis=0)


def network_shape(
    model: Network, windowing: Windowing, inputs: NetworkInputs, levels: tuple[float, ...]
) -> WindowShape:
    """Return the network that reads these inputs."""
    past, steps, origin = (part.shape[1:] for part in inputs[:3])
    texts = tuple(len(codes.texts) + 1 for codes in windowing.codes)
    return WindowShape(
        past, steps, origin, texts, windowing.horizon, model, model.head(windowing, levels)
    )


# Network: what all networks share that are trained on the windows of all series.


class Network(Forecaster):
    """A global network on normalised windows.

    The network learns what the seasonal naive missed, over the windows of all series, for `epochs`
    passes; its weights are averaged over the steps. With `patience` an inner window before the
    cutoff (the last `horizon` rows of the history) chooses the number of passes first, and a fresh
    network is then trained for as many on all rows. Several networks are averaged.

    Attributes:
        likelihood: `quantile` learns quantiles; `negative_binomial` the mean and the dispersion of
            counts, for intermittent demand.
        epochs: Passes over the windows; at most so many where there is patience.
        patience: Passes without improvement on the inner window before stopping; 0 has no inner
            window and makes all passes.
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
        """Return the layers between the inputs and the head: a Keras tensor of shape (n, h,
        features).
        """
        raise NotImplementedError(f"{type(self).__name__}.body")

    def head(self, windowing: Windowing, levels: tuple[float, ...]) -> Head:
        """Return the head: the form of the network's output."""
        if self.likelihood == "negative_binomial":
            return CountHead()
        return QuantileHead(quantile_grid(levels), windowing.nonnegative)

    def learn(
        self, history: Panel, *, horizon: int, context: ForecastContext
    ) -> FittedWindowNetwork:
        """Learn from the windows of the history."""
        windowing = Windowing.learn(history, season=self.season or context.season, horizon=horizon)
        source = WindowSource.of(windowing, history, context.features)
        head = self.head(windowing, context.levels)
        head.check(history)
        origins = source.origins()
        chosen = thin_evenly(len(origins), self.max_windows, context.stream("windows"))
        origins = origins.take(chosen)
        examples = window_examples(source, origins, head) if len(origins) else None
        scaling: tuple[ndarray, ...] = ()
        weights: tuple[ndarray, ...] = ()
        if examples is not None and not np.isnan(examples.target).all():
            scaling = learn_scaling(examples.inputs)
            inputs = scale_inputs(examples.inputs, scaling)
            shape = network_shape(self, windowing, inputs, context.levels)
            schedule = Schedule(
                self.epochs, self.patience, self.batch, self.learning_rate, self.least_steps
            )
            training = Training(inputs, shape, schedule, context)
            inner = inner_window(source, history, horizon, head) if self.patience else None
            inner = inner and WindowExamples(scale_inputs(inner.inputs, scaling), inner.target)
            hidden = hide_inner_window(examples.target, origins, history, horizon)
            weights = self._weights(training, examples.target, hidden, inner)
        return FittedWindowNetwork(
            self,
            windowing,
            context.features,
            scaling,
            weights,
            context.levels,
            context.cpus,
            context.device,
        )

    def _weights(
        self,
        training: Training,
        target: ndarray,
        hidden: ndarray,
        inner: WindowExamples | None,
    ) -> tuple[ndarray, ...]:
        """Return the weights of all networks, each trained on all rows for as many epochs as its
        inner window chose, if any.
        """
        epochs = [
            training.best_epochs(hidden, inner, seed) if inner else self.epochs
            for seed in range(self.seeds)
        ]
        return tuple(
            part
            for seed in range(self.seeds)
            for part in training.train(target, epochs[seed], seed)
        )


def hide_inner_window(target: ndarray, origins: Origins, history: Panel, horizon: int) -> ndarray:
    """Return targets, first axes (n, h), hidden inside the inner window where a series is long
    enough to have one.
    """
    last = history.lengths[origins.series] - horizon
    inside = origins.ends[:, None] + np.arange(target.shape[1]) >= last[:, None]
    hidden = inside & (last > horizon)[:, None]
    hidden = hidden.reshape(hidden.shape + (1,) * (target.ndim - 2))
    return np.where(hidden, np.nan, target).astype(np.float32)


def inner_window(
    source: WindowSource, history: Panel, horizon: int, head: Head
) -> WindowExamples | None:
    """Return the last `horizon` rows of every series that is long enough.

    None where none is known.
    """
    ends = history.lengths - horizon
    long = np.flatnonzero(ends > horizon)
    if not len(long):
        return None
    inner = window_examples(source, Origins(long, ends[long]), head)
    return None if np.isnan(inner.target).all() else inner
