"""A recurrent and a convolutional branch over the last cycles of all sensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le, Lt
from numpy import ndarray

from hwds.core.recipe import Depth, Draws, Folds, Positive, PositiveInt, Small, Steps, Width
from hwds.core.seeds import stream
from hwds.core.serialization import Serializable
from hwds.evaluation.networks import (
    InnerExamples,
    Layers,
    Schedule,
    Training,
    epoch_of,
    initial_weights,
    on_device,
    predict_network,
    shuffle_batches,
)
from hwds.frames.features.signal_windows import components_along, principal_axes, run_begins
from hwds.frames.runs import Runs
from hwds.frames.signals import RegimeScales, windows_of_rows
from hwds.lifetime.laws import LIFE_LEVELS, Lives
from hwds.lifetime.models.base import (
    FittedLife,
    LifetimeContext,
    PointModel,
    inner_fold,
    known_targets,
)

# A network of two branches over the last cycles, whose dropout masks are inputs.

HIDDEN = 32
"""Units of the dense layer between the two masks' layers."""


@dataclass(frozen=True)
class TwoBranches(Serializable):
    """The shape of the network: an LSTM and a convolution of the same window, joined, a dense
    layer, one number.

    What follows the branches is thinned by two masks, which are inputs: of ones for the mean
    network, of 0 and 1 / (1 - rate) for dropout. So the graph holds no random numbers, and can be
    exported.

    Attributes:
        window: Cycles.
        signals: Numbers of a cycle.
        units: The units of the LSTM.
        filters: The filters of the convolution.
        kernel: Cycles that it looks at.
    """

    window: int
    signals: int
    units: int
    filters: int
    kernel: int

    @property
    def joined(self) -> int:
        """The numbers that the branches make, which the first mask thins."""
        return self.units + self.filters

    def network(self, seed: int) -> Any:
        """Return an untrained network."""
        import keras
        from keras import layers

        parts = Layers(seed)
        window, first, second = (
            keras.Input((self.window, self.signals)),
            keras.Input((self.joined,)),
            keras.Input((HIDDEN,)),
        )
        recurrent = parts.orthogonal()
        lstm = layers.LSTM(
            self.units, kernel_initializer=parts.glorot(), recurrent_initializer=recurrent
        )(window)
        wide = {"activation": "relu", "padding": "causal", "kernel_initializer": parts.glorot()}
        convolved = layers.Conv1D(self.filters, self.kernel, **wide)(window)
        pooled = layers.GlobalAveragePooling1D()(convolved)
        both = layers.Multiply()([layers.Concatenate()([lstm, pooled]), first])
        hidden = layers.Multiply()([parts.dense(HIDDEN, "relu")(both), second])
        return keras.Model([window, first, second], parts.dense(1)(hidden)[:, 0])

    def specs(self) -> list[Any]:
        """Return the specifications of the inputs."""
        import tensorflow as tf

        shapes = ((self.window, self.signals), (self.joined,), (HIDDEN,))
        return [tf.TensorSpec((None, *shape)) for shape in shapes]

    @property
    def target(self) -> tuple[int | None, ...]:
        """One number a row."""
        return (None,)

    def loss(self, answer: Any, target: Any) -> Any:
        """Return the mean squared error."""
        import tensorflow as tf

        return tf.reduce_mean(tf.square(answer - target))

    def score(self, answer: ndarray, target: ndarray) -> float:
        """Return the same in numpy."""
        return float(((answer - target) ** 2).mean())

    def ones(self, rows: int) -> list[ndarray]:
        """Return the masks of the mean network."""
        return [np.ones((rows, self.joined), np.float32), np.ones((rows, HIDDEN), np.float32)]

    def masks(self, rows: int, rate: float, rng: np.random.Generator) -> list[ndarray]:
        """Return masks of dropout: 0 with the chance `rate`, else 1 / (1 - rate)."""
        scale = np.float32(1 / (1 - rate))
        shapes = ((rows, self.joined), (rows, HIDDEN))
        return [
            np.where(rng.random(shape) < rate, np.float32(0), scale).astype(np.float32)
            for shape in shapes
        ]


@dataclass(frozen=True, eq=False)
class MaskedTraining(Training):
    """Training whose masks are drawn anew in each epoch; the inputs that are given are the windows
    alone.

    Attributes:
        rate: The rate of dropout.
    """

    rate: float = 0.0

    def _epochs(self, target: ndarray, seed: int) -> Iterator[Any]:
        """Yield the averaged weights and the mean loss after each epoch, without end."""
        import tensorflow as tf

        rng = stream(self.context.seed, self.context.fold, "life order", seed)
        epoch = epoch_of(self.shape, self.schedule.rate)
        weights = [
            tf.constant(part)
            for part in initial_weights(self.shape, self.context.seed_for("life weights", seed))
        ]
        zeros = [tf.zeros_like(part) for part in weights]
        state = (weights, weights, zeros, zeros, tf.constant(0.0))
        held, goal = [tf.constant(part) for part in self.inputs], tf.constant(target)
        shape: Any = self.shape
        while True:
            masks = [tf.constant(part) for part in shape.masks(len(target), self.rate, rng)]
            state, loss = epoch(
                state,
                tf.constant(shuffle_batches(len(target), self.schedule, rng)),
                [*held, *masks],
                goal,
            )
            yield state[1], loss


# A recurrent and a convolutional branch over the last cycles of all sensors.

AGE_UNIT = 100.0
"""The age that a network reads as 1."""

STOPPING_SHARE = 7
"""One machine in so many tells when to stop."""


class LSTMCNN(PointModel):
    """A network of two branches over a window of all sensors, an LSTM and a convolution, with
    dropout after them.

    It reads the scaled sensors, their principal components, those less what they were when the
    machine was new, and the age. Dropout's masks are inputs, so that the network can be exported
    with them. Monte-Carlo dropout (Gal and Ghahramani 2016) is no calibrated interval:
    `intervals=mc_dropout` is there to be compared with conformal ones.

    Attributes:
        window: The last cycles that the networks read.
        units: The units of the LSTM.
        filters: The features of the convolution.
        kernel: Cycles that it looks at.
        components: Principal components of the sensors that are read, too.
        dropout: The share of numbers that a mask takes away.
        draws: Masks over which Monte-Carlo dropout is taken.
        intervals: `conformal`, by machines that were held out, or `mc_dropout`, by the masks alone.
        every: One in so many cycles is learned from: neighbouring windows are nearly the same.
        epochs: The most passes over the windows.
        patience: Epochs without a smaller loss for machines set apart before stopping.
        networks: The number of networks that are averaged.
        batch: Windows a step at most.
        learning_rate: The step size of Adam.
        least_steps: Steps of an epoch at least.
    """

    imports = ("keras", "tensorflow")
    search_space: ClassVar[Mapping[str, Any]] = {
        "window": {"choice": [30, 50]},
        "units": {"choice": [16, 32, 64]},
        "dropout": {"uniform": [0.0, 0.5]},
        "learning_rate": {"loguniform": [0.0005, 0.01]},
    }

    window: Steps = 30
    units: Width = 32
    filters: Width = 32
    kernel: Annotated[int, Ge(1), Le(1_000)] = 5
    components: Annotated[int, Ge(0), Le(1_000)] = 2
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.2
    draws: Annotated[Draws, Small(20)] = 100
    intervals: Literal["conformal", "mc_dropout"] = "conformal"
    every: PositiveInt = 3
    epochs: Annotated[Folds, Small(2)] = 25
    patience: PositiveInt = 5
    networks: Annotated[Depth, Small(1)] = 1
    batch: Width = 128
    learning_rate: Positive = 3e-3
    least_steps: Annotated[Draws, Small(10)] = 40

    def learn(self, runs: Runs, context: LifetimeContext) -> FittedLife:
        """Learn the network; and how far it is off for machines that are held out, unless masks
        alone make intervals.
        """
        if self.intervals == "conformal":
            return super().learn(runs, context)
        network: TrainedBranches = self.regress(runs, context)
        masks = network.shape.masks(self.draws, self.dropout, context.stream("masks"))
        return FittedDropout(network, masks[0], masks[1])

    def regress(self, runs: Runs, context: LifetimeContext) -> TrainedBranches:
        """Train until machines set apart are predicted no better."""
        signals = Signals.learn(runs, self.components)
        values = signals.compute(runs)
        shape = TwoBranches(self.window, values.shape[1], self.units, self.filters, self.kernel)
        known, target = known_targets(runs, context.cap)
        rows = np.flatnonzero(known)
        kept = (rows - run_begins(runs)[rows]) % self.every == 0
        rows, goal = rows[kept], (target[kept] / context.cap).astype(np.float32)
        apart = inner_fold(runs, STOPPING_SHARE)[runs.run_of_row[rows]] == 0
        windows = windows_of_rows(values, run_begins(runs), self.window, rows)
        inner = InnerExamples([windows[apart], *shape.ones(int(apart.sum()))], goal[apart])
        schedule = Schedule(
            self.epochs, self.patience, self.batch, self.learning_rate, self.least_steps
        )
        training = MaskedTraining([windows[~apart]], shape, schedule, context, rate=self.dropout)
        weights = tuple(
            tuple(training.best_weights(goal[~apart], inner, number))
            for number in range(self.networks)
        )
        return TrainedBranches(signals, shape, weights, context.cap, context.cpus)


@dataclass(frozen=True, eq=False)
class Signals(Serializable):
    """The inputs of a network at each cycle.

    Attributes:
        scaling: The scaling of the sensors.
        axes: The axes of the principal components.
    """

    scaling: RegimeScales
    axes: ndarray

    @classmethod
    def learn(cls, runs: Runs, components: int) -> Signals:
        """Return the signals with the scales of runs."""
        scaling = RegimeScales.learn(runs)
        return cls(scaling, principal_axes(scaling.scale(runs), run_begins(runs), components))

    def compute(self, runs: Runs) -> ndarray:
        """Return the numbers of each cycle, shape (rows, sensors + 2 components + 1)."""
        scaled = self.scaling.scale(runs)
        wear = components_along(scaled, self.axes)
        begins = run_begins(runs)
        total = np.cumsum(np.vstack([np.zeros(wear.shape[1]), wear]), axis=0)
        last = np.minimum(np.arange(len(wear)), begins + 9)
        young = (total[last + 1] - total[begins]) / (last + 1 - begins)[:, None]
        return np.column_stack([scaled, wear / 2, (wear - young) / 2, runs.cycles / AGE_UNIT])


@dataclass(frozen=True, eq=False)
class TrainedBranches(Serializable):
    """Trained networks of one shape.

    Attributes:
        signals: What they read.
        shape: Theirs.
        weights: The weights of each.
        cap: What a 1 of theirs stands for.
        cpus: Threads.
    """

    signals: Signals
    shape: TwoBranches
    weights: tuple[tuple[ndarray, ...], ...]
    cap: float
    cpus: int

    def points(self, runs: Runs) -> ndarray:
        """Return the point of the mean networks at each row, shape (rows,)."""
        rows = np.arange(len(runs.data))
        return self.predict_windows(self.windows(runs, rows), self.shape.ones(len(rows)))

    def windows(self, runs: Runs, rows: ndarray) -> ndarray:
        """Return the windows up to some rows."""
        return windows_of_rows(
            self.signals.compute(runs), run_begins(runs), self.shape.window, rows
        )

    def predict_windows(self, windows: ndarray, masks: list[ndarray]) -> ndarray:
        """Return the mean of the networks' points for windows under masks, shape (n,)."""
        with on_device("cpu", self.cpus):
            answers = [
                predict_network(self.shape, weights, [windows, *masks]) for weights in self.weights
            ]
        return np.clip(np.mean(answers, axis=0, dtype=float) * self.cap, 0.0, self.cap)


@dataclass(frozen=True, eq=False)
class FittedDropout(Serializable):
    """Networks, and the masks under which they are asked: the same for every machine.

    Attributes:
        network: The networks.
        first: Masks after the branches, shape (draws, joined).
        second: Masks after the dense layer, shape (draws, hidden).
    """

    network: TrainedBranches
    first: ndarray
    second: ndarray

    def predict(self, runs: Runs) -> Lives:
        """Return the mean and the quantiles over masks at the last row of each run."""
        windows = self.network.windows(runs, runs.offsets[1:] - 1)
        draws = [
            self.network.predict_windows(
                windows, [np.repeat(mask[None], len(windows), axis=0) for mask in pair]
            )
            for pair in zip(self.first, self.second, strict=True)
        ]
        return Lives.of(np.mean(draws, axis=0), np.quantile(draws, LIFE_LEVELS, axis=0).T)
