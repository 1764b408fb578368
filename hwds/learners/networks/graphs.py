"""Networks in TensorFlow: an epoch of training and a prediction as graphs of the weights; no weights stay between fits."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from itertools import count
from typing import Any, Protocol

import numpy as np

BATCH_OF_FORECASTS = 4096
"""Windows that are forecast at once: a constant, for other sizes have other last bits."""

AVERAGING, MOMENTUM, CURVATURE, CLIP_NORM = 0.995, 0.9, 0.999, 1.0
"""Polyak averaging of the weights, Adam's two rates (Kingma and Ba 2015), and the norm that gradients are cut at."""


class Graph(Hashable, Protocol):
    """The shape of a network, a frozen dataclass of plain values: equal ones have the same graph."""

    def network(self, seed: int) -> Any:
        """Return an untrained Keras network."""

    def specs(self) -> list[Any]:
        """Return TensorFlow's specifications of the inputs, with any number of rows."""

    @property
    def target(self) -> tuple[int | None, ...]:
        """The shape of the target of any number of rows."""

    def loss(self, answer: Any, target: Any) -> Any:
        """Return the mean loss of known targets, in TensorFlow."""

    def score(self, answer: np.ndarray, target: np.ndarray) -> float:
        """Return the same in numpy, for choosing the number of epochs."""


GRAPHS = 4
"""Networks whose graphs are kept for the next fit: so much memory, however many fits follow one another."""

SEEDS = 8
"""First weights that are kept: those of the networks that one fit averages."""

CLEARED = 32
"""Networks that are built between two times that Keras' session is cleared: what they hold until then is some 30 MiB."""

_BUILT = count(1)
"""Numbers the networks that the process builds."""


@lru_cache(maxsize=GRAPHS)
def epoch_of(graph: Graph, rate: float) -> Callable[..., Any]:
    """Return one epoch of Adam with averaged weights: (state, order, inputs, target) to the next state and the mean loss.

    A graph is traced once for inputs of any number of windows, so that the same fit takes the same one whatever was fitted
    before it.
    """
    import tensorflow as tf

    model = _model(graph)

    def step(state: Any, inputs: Any, target: Any) -> Any:
        weights, averaged, first, second, n = state
        with tf.GradientTape() as tape:
            tape.watch(weights)
            answer, _ = model.stateless_call(weights, model.non_trainable_variables, inputs, training=True)
            value = graph.loss(answer, target)
        pairs = zip(tape.gradient(value, weights), weights, strict=True)
        dense = [tf.ensure_shape(tf.convert_to_tensor(gradient), weight.shape) for gradient, weight in pairs]
        gradients, _ = tf.clip_by_global_norm(dense, CLIP_NORM)
        n = n + 1.0
        first = [MOMENTUM * m + (1 - MOMENTUM) * g for m, g in zip(first, gradients, strict=True)]
        second = [CURVATURE * v + (1 - CURVATURE) * g * g for v, g in zip(second, gradients, strict=True)]
        pace = rate * tf.sqrt(1 - tf.pow(CURVATURE, n)) / (1 - tf.pow(MOMENTUM, n))
        weights = [w - pace * m / (tf.sqrt(v) + 1e-7) for w, m, v in zip(weights, first, second, strict=True)]
        keep = tf.minimum(AVERAGING, (1 + n) / (10 + n))
        averaged = [keep * a + (1 - keep) * w for a, w in zip(averaged, weights, strict=True)]
        return (weights, averaged, first, second, n), value

    def epoch(state: Any, order: Any, inputs: Any, target: Any) -> Any:
        total = tf.constant(0.0)
        for i in tf.range(tf.shape(order)[0]):
            rows = order[i]
            state, value = step(state, [tf.gather(part, rows) for part in inputs], tf.gather(target, rows))
            total += value
        return state, total / tf.cast(tf.shape(order)[0], tf.float32)

    weights, inputs = _specs(graph)
    state = (weights, weights, weights, weights, tf.TensorSpec(()))
    target = tf.TensorSpec(graph.target)
    return tf.function(epoch).get_concrete_function(state, tf.TensorSpec((None, None), tf.int32), inputs, target)


@lru_cache(maxsize=GRAPHS)
def forward_of(graph: Graph) -> Callable[..., Any]:
    """Return the prediction of a network as a graph: (weights, inputs) to (n, ...)."""
    import tensorflow as tf

    model = _model(graph)

    def forward(weights: Any, inputs: Any) -> Any:
        return model.stateless_call(weights, model.non_trainable_variables, inputs, training=False)[0]

    return tf.function(forward).get_concrete_function(*_specs(graph))


@lru_cache(maxsize=GRAPHS)
def _model(graph: Graph) -> Any:
    """Return a network of which only the graph is used."""
    return _built(graph, 0)


def _built(graph: Graph, seed: int) -> Any:
    """Return an untrained network.

    Keras keeps half a megabyte of every network until its session is cleared. That also clears TensorFlow's kernels, and each
    traced graph then takes a second for its next call; so many networks are cleared at once.
    """
    import keras

    if next(_BUILT) % CLEARED == 0:
        keras.utils.clear_session(free_memory=False)
    return graph.network(seed)


def _specs(graph: Graph) -> tuple[list[Any], list[Any]]:
    """Return the specifications of weights and inputs, with any number of windows."""
    import tensorflow as tf

    return [tf.TensorSpec(variable.shape) for variable in _model(graph).trainable_variables], graph.specs()


@lru_cache(maxsize=SEEDS)
def first_weights(graph: Graph, seed: int) -> tuple[np.ndarray, ...]:
    """Return the weights that training begins from: first until the best epoch, then again on all rows."""
    return tuple(np.asarray(variable) for variable in _built(graph, seed).trainable_variables)


def predict(graph: Graph, weights: Sequence[np.ndarray], inputs: Sequence[np.ndarray]) -> np.ndarray:
    """Return the predictions of a network for n rows, shape (n, ...)."""
    import tensorflow as tf

    forward, held = forward_of(graph), [tf.constant(part) for part in weights]
    parts = range(0, len(inputs[0]), BATCH_OF_FORECASTS)
    each = [forward(held, [tf.constant(part[i : i + BATCH_OF_FORECASTS]) for part in inputs]).numpy() for i in parts]
    return np.concatenate(each)
