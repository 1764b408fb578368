"""Networks in TensorFlow: one epoch of training and the forecast as graphs of the weights; nothing is kept between fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from hwds.models.forecast.network_inputs import Inputs
from hwds.models.forecast.network_parts import Shape, network

BATCH_OF_FORECASTS = 4096
"""Windows that are forecast at once: a constant, for other sizes have other last bits."""

AVERAGING, MOMENTUM, CURVATURE, CLIP_NORM = 0.995, 0.9, 0.999, 1.0
"""Polyak averaging of the weights, Adam's two rates (Kingma and Ba 2015), and the norm that gradients are cut at."""

GRAPHS = 4
"""Networks whose graphs are kept for the next fit: so much memory, however many fits follow one another."""


@lru_cache(maxsize=GRAPHS)
def epoch_of(shape: Shape, rate: float) -> Callable[..., Any]:
    """One epoch of Adam with averaged weights: (state, order, inputs, target) to the next state.

    A graph is traced once for inputs of any number of windows, so that the same fit takes the same one whatever was fitted
    before it.
    """
    import tensorflow as tf

    model = _model(shape)

    def step(state: Any, inputs: Any, target: Any) -> Any:
        weights, averaged, first, second, n = state
        with tf.GradientTape() as tape:
            tape.watch(weights)
            answer, _ = model.stateless_call(weights, model.non_trainable_variables, inputs, training=True)
            value = shape.head.loss(answer, target)
        found = zip(tape.gradient(value, weights), weights, strict=True)
        dense = [tf.ensure_shape(tf.convert_to_tensor(gradient), weight.shape) for gradient, weight in found]
        gradients, _ = tf.clip_by_global_norm(dense, CLIP_NORM)
        n = n + 1.0
        first = [MOMENTUM * m + (1 - MOMENTUM) * g for m, g in zip(first, gradients, strict=True)]
        second = [CURVATURE * v + (1 - CURVATURE) * g * g for v, g in zip(second, gradients, strict=True)]
        pace = rate * tf.sqrt(1 - tf.pow(CURVATURE, n)) / (1 - tf.pow(MOMENTUM, n))
        weights = [w - pace * m / (tf.sqrt(v) + 1e-7) for w, m, v in zip(weights, first, second, strict=True)]
        keep = tf.minimum(AVERAGING, (1 + n) / (10 + n))
        averaged = [keep * a + (1 - keep) * w for a, w in zip(averaged, weights, strict=True)]
        return weights, averaged, first, second, n

    def epoch(state: Any, order: Any, inputs: Any, target: Any) -> Any:
        for i in tf.range(tf.shape(order)[0]):
            rows = order[i]
            state = step(state, [tf.gather(part, rows) for part in inputs], tf.gather(target, rows))
        return state

    weights, inputs = _specs(shape)
    state = (weights, weights, weights, weights, tf.TensorSpec(()))
    target = tf.TensorSpec((None, shape.steps[0], *shape.head.target_shape))
    return tf.function(epoch).get_concrete_function(state, tf.TensorSpec((None, None), tf.int32), inputs, target)


@lru_cache(maxsize=GRAPHS)
def forward_of(shape: Shape) -> Callable[..., Any]:
    """The answer of a network: (weights, inputs) to (n, h, outputs)."""
    import tensorflow as tf

    model = _model(shape)

    def forward(weights: Any, inputs: Any) -> Any:
        return model.stateless_call(weights, model.non_trainable_variables, inputs, training=False)[0]

    return tf.function(forward).get_concrete_function(*_specs(shape))


@lru_cache(maxsize=GRAPHS)
def _model(shape: Shape) -> Any:
    """A network of which only the graph is used."""
    return network(shape, 0)


def _specs(shape: Shape) -> tuple[list[Any], list[Any]]:
    """What weights and inputs look like, with any number of windows."""
    import tensorflow as tf

    inputs = [tf.TensorSpec((None, *part)) for part in (shape.past, shape.steps, shape.origin)]
    codes = tf.TensorSpec((None, len(shape.texts)), tf.int32)
    return [tf.TensorSpec(variable.shape) for variable in _model(shape).trainable_variables], [*inputs, codes]


def first_weights(shape: Shape, seed: int) -> list[np.ndarray]:
    """The weights that training begins from."""
    return [np.asarray(variable) for variable in network(shape, seed).trainable_variables]


def answers(shape: Shape, weights: Sequence[np.ndarray], inputs: Inputs) -> np.ndarray:
    """What the head answers for n windows, shape (n, h, outputs)."""
    import tensorflow as tf

    forward, held = forward_of(shape), [tf.constant(part) for part in weights]
    parts = range(0, len(inputs.past), BATCH_OF_FORECASTS)
    each = [forward(held, [tf.constant(part[i : i + BATCH_OF_FORECASTS]) for part in inputs]).numpy() for i in parts]
    return np.concatenate(each)
