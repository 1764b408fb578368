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

    model, (specs, inputs) = _model(graph), _specs(graph)
    shapes = [spec.shape for spec in specs]

    def apart(flat: Any) -> list[Any]:
        parts = tf.split(flat, [shape.num_elements() for shape in shapes])
        return [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]

    def joined(parts: Any) -> Any:
        return tf.concat([tf.reshape(part, [-1]) for part in parts], 0)

    def step(state: Any, inputs: Any, target: Any) -> Any:
        flat, averaged, first, second, n = state
        weights = apart(flat)
        with tf.GradientTape() as tape:
            tape.watch(weights)
            answer, _ = model.stateless_call(weights, model.non_trainable_variables, inputs, training=True)
            value = graph.loss(answer, target)
        dense = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(value, weights)]
        gradients, _ = tf.clip_by_global_norm(dense, CLIP_NORM)
        gradient, n = joined(gradients), n + 1.0
        first = MOMENTUM * first + (1 - MOMENTUM) * gradient
        second = CURVATURE * second + (1 - CURVATURE) * gradient * gradient
        pace = rate * tf.sqrt(1 - tf.pow(CURVATURE, n)) / (1 - tf.pow(MOMENTUM, n))
        flat = flat - pace * first / (tf.sqrt(second) + 1e-7)
        keep = tf.minimum(AVERAGING, (1 + n) / (10 + n))
        return (flat, keep * averaged + (1 - keep) * flat, first, second, n), value

    def epoch(state: Any, order: Any, inputs: Any, target: Any) -> Any:
        steps = tf.shape(order)[0]

        def one(i: Any, state: Any, total: Any) -> Any:
            rows = order[i]
            state, value = step(state, [tf.gather(part, rows) for part in inputs], tf.gather(target, rows))
            return i + 1, state, total + value

        *parts, n = state
        begun = (*map(joined, parts), n)  # Adam's ten operations once, not once for each array of weights
        _, (*ended, n), total = tf.while_loop(lambda i, *_: i < steps, one, (0, begun, 0.0))
        return (*map(apart, ended), n), total / tf.cast(steps, tf.float32)

    state = (specs, specs, specs, specs, tf.TensorSpec(()))
    target = tf.TensorSpec(graph.target)
    graphed = tf.function(epoch, autograph=False)
    return graphed.get_concrete_function(state, tf.TensorSpec((None, None), tf.int32), inputs, target)


@lru_cache(maxsize=GRAPHS)
def forward_of(graph: Graph) -> Callable[..., Any]:
    """Return the prediction of a network as a graph: (weights, inputs) to (n, ...)."""
    import tensorflow as tf

    model = _model(graph)

    def forward(weights: Any, inputs: Any) -> Any:
        return model.stateless_call(weights, model.non_trainable_variables, inputs, training=False)[0]

    return tf.function(forward, autograph=False).get_concrete_function(*_specs(graph))


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
