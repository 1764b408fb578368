"""The network of `neural`: from a customer and an arm to the log-odds of a conversion; trained by Keras, evaluated in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from hwds.learners.networks.runtime import placed, tensorflow

MOMENTUM, CURVATURE = 0.9, 0.999
"""Adam's two rates (Kingma and Ba 2015)."""

Weights = list[np.ndarray]


@dataclass(frozen=True)
class Shape:
    """The sizes that determine the graph.

    Attributes:
        inputs: Columns that describe a customer and an arm.
        units: Of both hidden layers.
        heads: Answers, each with an output layer of its own.
        prior: Standard deviation that the output layer's weights have before any outcome.
        rate: The learning rate.
    """

    inputs: int
    units: int
    heads: int
    prior: float
    rate: float


def first_weights(shape: Shape, rng: np.random.Generator) -> Weights:
    """Return the first kernels and biases of the three layers: Glorot's for the hidden ones, the prior's for the last."""
    weights = []
    for width, units in ((shape.inputs, shape.units), (shape.units, shape.units)):
        bound = np.sqrt(6 / (width + units))
        weights += [rng.uniform(-bound, bound, (width, units)), np.zeros(units)]
    weights += [shape.prior * rng.standard_normal(size) for size in ((shape.units, shape.heads), (shape.heads,))]
    return [part.astype(np.float32) for part in weights]


def hidden(weights: Weights, inputs: np.ndarray) -> np.ndarray:
    """Return the second hidden layer and a one, what the output layer is linear in: (..., F) to (..., units + 1), in numpy."""
    first = np.maximum(inputs @ weights[0] + weights[1], 0.0)
    second = np.maximum(first @ weights[2] + weights[3], 0.0)
    return np.concatenate([second, np.ones((*second.shape[:-1], 1), second.dtype)], axis=-1)


def output(weights: Weights) -> np.ndarray:
    """Return the output layer with its biases in the last row, shape (units + 1, heads)."""
    return np.concatenate([weights[4], weights[5][None]])


def train(
    shape: Shape, weights: Weights, anchor: Weights, inputs: np.ndarray, wins: np.ndarray, pulls: np.ndarray, epochs: int
) -> Weights:
    """Return the weights after so many steps of Adam, from those given, on all that was seen.

    The loss is the negative log-likelihood of each head plus the squared distance of all weights from their anchor, over
    that of the prior: the mode of the posterior, of the network that is drawn from it where outcomes and anchor are random
    (Pearce, Leibfried and Brintrup 2020).

    Args:
        shape: Of the network.
        weights: To begin from.
        anchor: What the prior is centred on.
        inputs: Rows (customer, arm), shape (n, F).
        wins: Conversions of each row for each head, shape (n, heads).
        pulls: Outcomes of each row for each head, shape (n, heads).
        epochs: Steps, each on all rows.
    """
    tf = tensorflow(1)
    with placed("cpu", 1):
        data = [tf.constant(part, tf.float32) for part in (inputs, wins, pulls)]
        begun, around = ([tf.constant(part) for part in parts] for parts in (weights, anchor))
        return [part.numpy() for part in _graph(shape)(begun, around, *data, tf.constant(epochs))]


def _network(shape: Shape) -> Any:
    """Return the Keras model; its own weights are never used."""
    import keras
    from keras import layers

    keras_seed = keras.initializers.GlorotUniform(seed=0)
    dense = [layers.Dense(shape.units, activation="relu", kernel_initializer=keras_seed) for _ in range(2)]
    last = layers.Dense(shape.heads, kernel_initializer=keras_seed)
    return keras.Sequential([keras.Input((shape.inputs,)), *dense, last])


@lru_cache(maxsize=4)
def _graph(shape: Shape) -> Any:
    """Return the training loop as a graph of weights and data: nothing is kept in it from one call to the next."""
    import tensorflow as tf

    model = _network(shape)
    hidden_sd = (2 / (shape.inputs + shape.units)) ** 0.5, 1.0, (1 / shape.units) ** 0.5, 1.0

    def loss(weights: Any, anchor: Any, inputs: Any, wins: Any, pulls: Any) -> Any:
        logits, _ = model.stateless_call(weights, [], inputs, training=True)
        loss = tf.reduce_sum(pulls * tf.nn.softplus(logits) - wins * logits) / shape.heads
        sds = (*hidden_sd, shape.prior * shape.heads**0.5, shape.prior * shape.heads**0.5)
        away = [tf.reduce_sum(tf.square((w - a) / sd)) / 2 for w, a, sd in zip(weights, anchor, sds, strict=True)]
        return (loss + tf.add_n(away)) / (1.0 + tf.reduce_sum(pulls) / shape.heads)

    @tf.function(reduce_retracing=True, autograph=False)  # type: ignore[untyped-decorator]
    def train(weights: Any, anchor: Any, inputs: Any, wins: Any, pulls: Any, epochs: Any) -> Any:
        def step(epoch: Any, weights: Any, first: Any, second: Any) -> Any:
            n = tf.cast(epoch, tf.float32) + 1.0
            with tf.GradientTape() as tape:
                tape.watch(weights)
                value = loss(weights, anchor, inputs, wins, pulls)
            gradients = tape.gradient(value, weights)
            first = [MOMENTUM * m + (1 - MOMENTUM) * g for m, g in zip(first, gradients, strict=True)]
            second = [CURVATURE * v + (1 - CURVATURE) * g * g for v, g in zip(second, gradients, strict=True)]
            pace = shape.rate * tf.sqrt(1 - tf.pow(CURVATURE, n)) / (1 - tf.pow(MOMENTUM, n))
            weights = [w - pace * m / (tf.sqrt(v) + 1e-7) for w, m, v in zip(weights, first, second, strict=True)]
            return epoch + 1, weights, first, second

        zeros = [tf.zeros_like(part) for part in weights]
        return tf.while_loop(lambda epoch, *_: epoch < epochs, step, (0, weights, zeros, zeros))[1]

    return train
