"""A network that restores the last rows of all sensors from a few numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le
from numpy import ndarray

from hwds.core.recipe import Depth, Draws, Folds, Positive, PositiveInt, Small, Width
from hwds.core.serialization import Serializable
from hwds.evaluation.networks import InnerExamples, Schedule, Training, forward_of, on_device
from hwds.evaluation.networks import Layers as Seeded
from hwds.evaluation.protocol import Device
from hwds.frames.signals import RunFeatures, windows_of_rows
from hwds.sensors.models.base import SIGNALS, NormalRows, SensorContext, SensorModel

# Networks that restore windows of sensors; the error of a window is the same whatever stands
# beside it.

LayerKind = Literal["dense", "convolution", "lstm"]

BLOCK = 512
"""Windows that are restored at once, filled up where there are fewer: other sizes have other last
bits.
"""

KERNEL = 5
"""Rows that a convolution looks at, at most."""


@dataclass(frozen=True)
class SequenceNetwork(Serializable):
    """The shape of an autoencoder of windows.

    Attributes:
        layers: The kind of layers.
        window: The number of rows of a window.
        signals: The number of signals of a row.
        units: The units of the layers before and after the narrow one.
        narrow: The number of numbers that a window is restored from.
    """

    layers: LayerKind
    window: int
    signals: int
    units: int
    narrow: int

    def network(self, seed: int) -> Any:
        """Return an untrained network."""
        import keras

        parts = Seeded(seed)
        window = keras.Input((self.window, self.signals))
        made = {"dense": self._dense, "convolution": self._convolution, "lstm": self._lstm}[
            self.layers
        ]
        return keras.Model([window], made(window, parts))

    def _dense(self, window: Any, parts: Any) -> Any:
        from keras import layers

        hidden = parts.dense(self.units, "silu")(layers.Flatten()(window))
        hidden = parts.dense(self.units, "silu")(parts.dense(self.narrow)(hidden))
        return layers.Reshape((self.window, self.signals))(
            parts.dense(self.window * self.signals)(hidden)
        )

    def _convolution(self, window: Any, parts: Any) -> Any:
        from keras import layers

        def along(filters: int, activation: str | None) -> Any:
            kernel = min(KERNEL, self.window)
            return layers.Conv1D(
                filters,
                kernel,
                padding="same",
                activation=activation,
                kernel_initializer=parts.glorot(),
            )

        half = -(-self.window // 2)
        hidden = layers.AveragePooling1D(2, padding="same")(along(self.units, "silu")(window))
        narrow = parts.dense(self.narrow)(layers.Flatten()(hidden))
        hidden = layers.Reshape((half, self.units))(parts.dense(half * self.units, "silu")(narrow))
        hidden = layers.UpSampling1D(2)(hidden)[:, : self.window]
        return along(self.signals, None)(along(self.units, "silu")(hidden))

    def _lstm(self, window: Any, parts: Any) -> Any:
        from keras import layers

        def recurrent(whole: bool) -> Any:
            return layers.LSTM(
                self.units,
                return_sequences=whole,
                kernel_initializer=parts.glorot(),
                recurrent_initializer=parts.orthogonal(),
            )

        narrow = parts.dense(self.narrow)(recurrent(False)(window))
        hidden = recurrent(True)(layers.RepeatVector(self.window)(narrow))
        return parts.dense(self.signals)(hidden)

    def specs(self) -> list[Any]:
        """Return the specifications of the inputs."""
        import tensorflow as tf

        return [tf.TensorSpec((None, self.window, self.signals))]

    @property
    def target(self) -> tuple[int | None, ...]:
        """The window itself."""
        return (None, self.window, self.signals)

    def loss(self, answer: Any, target: Any) -> Any:
        """Return the mean of log(1 + squared error): single extremes among the normal rows are not
        learned.
        """
        import tensorflow as tf

        return tf.reduce_mean(tf.math.log1p(tf.square(answer - target)))

    def score(self, answer: ndarray, target: ndarray) -> float:
        """Return the same in numpy."""
        return float(np.log1p((answer.astype(float) - target) ** 2).mean())


def restoration_errors(
    shape: SequenceNetwork,
    weights: tuple[tuple[ndarray, ...], ...],
    values: ndarray,
    begins: ndarray,
    device: Device,
    cpus: int,
) -> ndarray:
    """Return the mean squared error of each signal in the window up to each row, the mean of the
    networks'; shape (n, signals).

    Rows of a run are scored in blocks that begin with it, so that a row's block holds the same rows
    before it whatever follows.
    """
    import tensorflow as tf

    out = np.empty(values.shape)
    with on_device(device, cpus):
        forward = forward_of(shape)
        held = [[tf.constant(part) for part in each] for each in weights]
        for start in np.unique(begins).tolist():
            rows = np.flatnonzero(begins == start)
            for first in range(0, len(rows), BLOCK):
                part = rows[first : first + BLOCK]
                windows = windows_of_rows(values, begins, shape.window, np.resize(part, BLOCK))
                answers = [
                    forward(each, [tf.constant(windows)]).numpy()[: len(part)] for each in held
                ]
                errors = [
                    ((answer.astype(float) - windows[: len(part)]) ** 2).mean(axis=1)
                    for answer in answers
                ]
                out[part] = np.mean(errors, axis=0)
    return out


# A network that restores the last rows of all sensors from a few numbers.

LEAST = 1e-3
"""The usual squared error of a sensor at least, in its usual squared departures."""


class Autoencoder(SensorModel):
    """The reconstruction error of a network that was trained on normal windows alone.

    It reads the last rows of all sensors, less what they were when the run began. Layers are dense,
    over the whole window; convolutions along it; or LSTMs, of which the first sums the window up
    and the second writes it again (Malhotra et al. 2016). The score is the mean over sensors of the
    squared error in the window over that sensor's usual one, which normal rows have that training
    did not see.

    Attributes:
        layers: The kind of layers: `dense`, `convolution` or `lstm`.
        window: The rows of a window.
        units: The units of the layers before and after the narrow one; filters of convolutions.
        narrow: Numbers that a window is restored from.
        every: One in so many rows is learned from: neighbouring windows are nearly the same.
        epochs: The most passes over the windows.
        patience: Epochs without a smaller error for rows set apart before stopping.
        networks: The number of networks that are averaged.
        batch: Windows a step at most.
        learning_rate: The step size of Adam.
        least_steps: Steps of an epoch at least.
    """

    imports = ("keras", "tensorflow")
    uses_features = False
    search_space: ClassVar = {
        "window": {"choice": [5, 10, 20, 30]},
        "narrow": {"choice": [2, 4, 8]},
        "units": {"choice": [16, 32, 64]},
    }

    layers: LayerKind = "dense"
    window: Annotated[int, Ge(2), Le(10_000), Small(8)] = 16
    units: Width = 32
    narrow: Width = 4
    every: PositiveInt = 2
    epochs: Annotated[Folds, Small(2)] = 30
    patience: PositiveInt = 5
    networks: Annotated[Depth, Small(1)] = 1
    batch: Width = 64
    learning_rate: Positive = 3e-3
    least_steps: Annotated[Draws, Small(10)] = 40

    def inputs(self, context: SensorContext) -> RunFeatures:
        """Return the sensors themselves."""
        return SIGNALS

    def learn_normal(self, normal: NormalRows, context: SensorContext, part: int) -> Restorer:
        """Train until rows set apart are restored no better."""
        shape = SequenceNetwork(
            self.layers, self.window, normal.departures.shape[1], self.units, self.narrow
        )
        values, begins = normal.departures, normal.begins
        held = windows_of_rows(values, begins, self.window, normal.held)
        apart = np.setdiff1d(normal.rows, normal.held)
        learned = apart if len(apart) else normal.rows
        inputs = windows_of_rows(values, begins, self.window, learned[:: self.every])
        schedule = Schedule(
            self.epochs, self.patience, self.batch, self.learning_rate, self.least_steps
        )
        training = Training([inputs], shape, schedule, context)
        inner = InnerExamples([held], held)
        numbers = range(part * self.networks, (part + 1) * self.networks)
        weights = tuple(tuple(training.best_weights(inputs, inner, number)) for number in numbers)
        restorer = Restorer(shape, weights, np.ones(shape.signals), context.cpus, context.device)
        usual = restorer.errors(values, begins)[normal.held].mean(axis=0)
        return replace(restorer, usual=np.maximum(usual, LEAST))


@dataclass(frozen=True, eq=False)
class Restorer(Serializable):
    """Trained networks.

    Attributes:
        shape: The shape of each network.
        weights: The weights of each network.
        usual: The squared error of each sensor in normal windows, shape (sensors,).
        cpus, device: The threads and the device of the fit.
    """

    shape: SequenceNetwork
    weights: tuple[tuple[ndarray, ...], ...]
    usual: ndarray
    cpus: int
    device: Device

    def errors(self, departures: ndarray, begins: ndarray) -> ndarray:
        """Return the mean squared error in the window up to each row, of each sensor, the mean of
        the networks'.
        """
        return restoration_errors(
            self.shape, self.weights, departures, begins, self.device, self.cpus
        )

    def statistics(self, departures: ndarray, begins: ndarray) -> ndarray:
        """Return the mean over sensors of errors over usual ones, shape (rows, 1)."""
        return (self.errors(departures, begins) / self.usual).mean(axis=1)[:, None]

    def parts(self, departures: ndarray, begins: ndarray, rows: ndarray) -> ndarray:
        """Return the error of each sensor over its usual one."""
        return self.errors(departures, begins)[rows] / self.usual
