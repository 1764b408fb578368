"""A network of two branches over the last cycles, whose dropout masks are inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwds.core.seeds import stream
from hwds.core.serialization import Serializable
from hwds.learners.networks.graphs import epoch_of, first_weights
from hwds.learners.networks.layers import Layers
from hwds.learners.networks.training import Training, shuffled

HIDDEN = 32
"""Units of the dense layer between the two masks' layers."""


@dataclass(frozen=True)
class TwoBranches(Serializable):
    """The shape of the network: an LSTM and a convolution of the same window, joined, a dense layer, one number.

    What follows the branches is thinned by two masks, which are inputs: of ones for the mean network, of 0 and 1 / (1 - rate)
    for dropout. So the graph holds no random numbers, and can be exported.

    Attributes:
        window: Cycles.
        signals: Numbers of a cycle.
        units: Of the LSTM.
        filters: Of the convolution.
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
        window, first, second = keras.Input((self.window, self.signals)), keras.Input((self.joined,)), keras.Input((HIDDEN,))
        recurrent = parts.orthogonal()
        lstm = layers.LSTM(self.units, kernel_initializer=parts.glorot(), recurrent_initializer=recurrent)(window)
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

    def score(self, answer: np.ndarray, target: np.ndarray) -> float:
        """Return the same in numpy."""
        return float(((answer - target) ** 2).mean())

    def ones(self, rows: int) -> list[np.ndarray]:
        """Return the masks of the mean network."""
        return [np.ones((rows, self.joined), np.float32), np.ones((rows, HIDDEN), np.float32)]

    def masks(self, rows: int, rate: float, rng: np.random.Generator) -> list[np.ndarray]:
        """Return masks of dropout: 0 with the chance `rate`, else 1 / (1 - rate)."""
        scale = np.float32(1 / (1 - rate))
        shapes = ((rows, self.joined), (rows, HIDDEN))
        return [np.where(rng.random(shape) < rate, np.float32(0), scale).astype(np.float32) for shape in shapes]


@dataclass(frozen=True, eq=False)
class MaskedTraining(Training):
    """Training whose masks are drawn anew in each epoch; the inputs that are given are the windows alone.

    Attributes:
        rate: Of dropout.
    """

    rate: float = 0.0

    def _epochs(self, target: np.ndarray, seed: int) -> Iterator[Any]:
        """Yield the averaged weights and the mean loss after each epoch, without end."""
        import tensorflow as tf

        rng = stream(self.context.seed, self.context.fold, "life order", seed)
        epoch = epoch_of(self.shape, self.schedule.rate)
        weights = [tf.constant(part) for part in first_weights(self.shape, self.context.seed_for("life weights", seed))]
        zeros = [tf.zeros_like(part) for part in weights]
        state = (weights, weights, zeros, zeros, tf.constant(0.0))
        held, goal = [tf.constant(part) for part in self.inputs], tf.constant(target)
        shape: Any = self.shape
        while True:
            masks = [tf.constant(part) for part in shape.masks(len(target), self.rate, rng)]
            state, loss = epoch(state, tf.constant(shuffled(len(target), self.schedule, rng)), [*held, *masks], goal)
            yield state[1], loss
