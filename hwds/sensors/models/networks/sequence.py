"""Networks that restore windows of sensors; the error of a window is the same whatever stands beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hwds.core.serialization import Serializable
from hwds.evaluation.context import Device
from hwds.features.signals.moving import windows_of

Layers = Literal["dense", "convolution", "lstm"]

BLOCK = 512
"""Windows that are restored at once, filled up where there are fewer: other sizes have other last bits."""

KERNEL = 5
"""Rows that a convolution looks at, at most."""


@dataclass(frozen=True)
class SequenceNetwork(Serializable):
    """The shape of an autoencoder of windows.

    Attributes:
        layers: Of which kind.
        window: Rows.
        signals: Numbers of a row.
        units: Of the layers before and after the narrow one.
        narrow: Numbers that a window is restored from.
    """

    layers: Layers
    window: int
    signals: int
    units: int
    narrow: int

    def network(self, seed: int) -> Any:
        """Return an untrained network."""
        import keras

        from hwds.learners.networks.layers import Layers as Seeded

        parts = Seeded(seed)
        window = keras.Input((self.window, self.signals))
        made = {"dense": self._dense, "convolution": self._convolution, "lstm": self._lstm}[self.layers]
        return keras.Model([window], made(window, parts))

    def _dense(self, window: Any, parts: Any) -> Any:
        from keras import layers

        hidden = parts.dense(self.units, "silu")(layers.Flatten()(window))
        hidden = parts.dense(self.units, "silu")(parts.dense(self.narrow)(hidden))
        return layers.Reshape((self.window, self.signals))(parts.dense(self.window * self.signals)(hidden))

    def _convolution(self, window: Any, parts: Any) -> Any:
        from keras import layers

        def along(filters: int, activation: str | None) -> Any:
            kernel = min(KERNEL, self.window)
            return layers.Conv1D(filters, kernel, padding="same", activation=activation, kernel_initializer=parts.glorot())

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
        """Return the mean of log(1 + squared error): single extremes among the normal rows are not learned."""
        import tensorflow as tf

        return tf.reduce_mean(tf.math.log1p(tf.square(answer - target)))

    def score(self, answer: np.ndarray, target: np.ndarray) -> float:
        """Return the same in numpy."""
        return float(np.log1p((answer.astype(float) - target) ** 2).mean())


def restored(
    shape: SequenceNetwork,
    weights: tuple[tuple[np.ndarray, ...], ...],
    values: np.ndarray,
    begins: np.ndarray,
    device: Device,
    cpus: int,
) -> np.ndarray:
    """Return the mean squared error of each signal in the window up to each row, the mean of the networks'; shape (n, signals).

    Rows of a run are scored in blocks that begin with it, so that a row's block holds the same rows before it whatever follows.
    """
    import tensorflow as tf

    from hwds.learners.networks.graphs import forward_of
    from hwds.learners.networks.runtime import placed

    out = np.empty(values.shape)
    with placed(device, cpus):
        forward, held = forward_of(shape), [[tf.constant(part) for part in each] for each in weights]
        for start in np.unique(begins).tolist():
            rows = np.flatnonzero(begins == start)
            for first in range(0, len(rows), BLOCK):
                part = rows[first : first + BLOCK]
                windows = windows_of(values, begins, shape.window, np.resize(part, BLOCK))
                answers = [forward(each, [tf.constant(windows)]).numpy()[: len(part)] for each in held]
                errors = [((answer.astype(float) - windows[: len(part)]) ** 2).mean(axis=1) for answer in answers]
                out[part] = np.mean(errors, axis=0)
    return out
