"""The encoder-decoder in Keras and its training loop; nothing here is kept from one fit to the next."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any

import numpy as np

from hwds.context import Device
from hwds.models.forecast.lstm_inputs import Inputs

BATCH_OF_FORECASTS = 4096
"""Windows that are forecast at once: a constant, for other sizes have other last bits."""

AVERAGING, MOMENTUM, CURVATURE, CLIP_NORM = 0.995, 0.9, 0.999, 1.0
"""Polyak averaging of the weights, Adam's two rates (Kingma and Ba 2015), and the norm that gradients are cut at."""


@dataclass(frozen=True)
class Shape:
    """What determines the graph.

    Attributes:
        past, steps, origin: Shapes of the inputs without the first axis.
        texts: How many texts each code can be.
        units: Of both LSTMs.
        grid: Quantile levels, 0.5 among them.
    """

    past: tuple[int, ...]
    steps: tuple[int, ...]
    origin: tuple[int, ...]
    texts: tuple[int, ...]
    units: int
    grid: tuple[float, ...]


def tensorflow(cpus: int) -> Any:
    """TensorFlow, quiet and deterministic; its threads are those of the process, set before it is loaded."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(cpus))
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(cpus))
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with held_back_stderr():
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
        tensorflow.constant(0.0)
    return tensorflow


@contextmanager
def held_back_stderr() -> Iterator[None]:
    """Keep what C++ writes to stderr while a library loads: shown where loading fails, dropped where it succeeds.

    TensorFlow notes the absence of a GPU there before any setting of its own can silence it.
    """
    sys.stderr.flush()
    ours = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            notes.seek(0)
            os.write(ours, notes.read())
            raise
        finally:
            os.dup2(ours, 2)
            os.close(ours)


def network(shape: Shape, seed: int) -> Any:
    """An untrained network: LSTM over the past, LSTM over the steps begun from its state, quantiles that cannot cross.

    Quantiles are a median with steps up and down made positive by softplus (Gasthaus et al. 2019, "Probabilistic
    forecasting with spline quantile function RNNs", for the idea of a monotone head).
    """
    import keras
    from keras import layers, ops

    seeds = count(seed)

    def glorot() -> Any:
        return keras.initializers.GlorotUniform(seed=next(seeds))

    def lstm(**how: bool) -> Any:
        orthogonal = keras.initializers.Orthogonal(seed=next(seeds))
        return layers.LSTM(shape.units, kernel_initializer=glorot(), recurrent_initializer=orthogonal, **how)

    def embedding(many: int) -> Any:
        return layers.Embedding(many, 4, embeddings_initializer=keras.initializers.RandomUniform(-0.05, 0.05, seed=next(seeds)))

    past, steps, origin = keras.Input(shape.past), keras.Input(shape.steps), keras.Input(shape.origin)
    codes = keras.Input((len(shape.texts),), dtype="int32")
    _, hidden, cell = lstm(return_state=True)(past)
    told = [embedding(many)(codes[:, i]) for i, many in enumerate(shape.texts)]
    about = [layers.RepeatVector(shape.steps[0])(part) for part in (origin, *told)]
    decoded = lstm(return_sequences=True)(layers.Concatenate()([steps, *about]), initial_state=[hidden, cell])
    dense = layers.Dense(32, activation="relu", kernel_initializer=glorot())(decoded)
    out = layers.Dense(len(shape.grid), kernel_initializer=glorot())(dense)
    middle = shape.grid.index(0.5)
    median = out[..., middle : middle + 1]
    up = median + ops.cumsum(ops.softplus(out[..., middle + 1 :]), -1)
    down = median - ops.flip(ops.cumsum(ops.flip(ops.softplus(out[..., :middle]), -1), -1), -1)
    return keras.Model([past, steps, origin, codes], layers.Concatenate()([down, median, up]))


@lru_cache(maxsize=4)
def compiled(shape: Shape, rate: float) -> tuple[Any, Any]:
    """One epoch of training and the forecast, as graphs of the weights: compiled once for all seeds and folds."""
    import tensorflow as tf

    model = network(shape, 0)
    grid = np.array(shape.grid, np.float32)

    def loss(weights: Any, inputs: Any, target: Any) -> Any:
        quantiles, _ = model.stateless_call(weights, model.non_trainable_variables, inputs, training=True)
        known = tf.math.is_finite(target)
        error = tf.where(known, target, 0.0)[..., None] - quantiles
        pinball = tf.maximum(grid * error, (grid - 1) * error) * tf.cast(known, tf.float32)[..., None]
        return tf.reduce_sum(pinball) / tf.maximum(tf.reduce_sum(tf.cast(known, tf.float32)), 1.0) / len(grid)

    def step(state: Any, inputs: Any, target: Any) -> Any:
        weights, averaged, first, second, n = state
        with tf.GradientTape() as tape:
            tape.watch(weights)
            value = loss(weights, inputs, target)
        dense = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(value, weights)]
        gradients, _ = tf.clip_by_global_norm(dense, CLIP_NORM)
        n = n + 1.0
        first = [MOMENTUM * m + (1 - MOMENTUM) * g for m, g in zip(first, gradients, strict=True)]
        second = [CURVATURE * v + (1 - CURVATURE) * g * g for v, g in zip(second, gradients, strict=True)]
        pace = rate * tf.sqrt(1 - tf.pow(CURVATURE, n)) / (1 - tf.pow(MOMENTUM, n))
        weights = [w - pace * m / (tf.sqrt(v) + 1e-7) for w, m, v in zip(weights, first, second, strict=True)]
        keep = tf.minimum(AVERAGING, (1 + n) / (10 + n))
        averaged = [keep * a + (1 - keep) * w for a, w in zip(averaged, weights, strict=True)]
        return weights, averaged, first, second, n

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def epoch(state: Any, order: Any, inputs: Any, target: Any) -> Any:
        for i in tf.range(tf.shape(order)[0]):
            rows = order[i]
            state = step(state, [tf.gather(part, rows) for part in inputs], tf.gather(target, rows))
        return state

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def forward(weights: Any, inputs: Any) -> Any:
        return model.stateless_call(weights, model.non_trainable_variables, inputs, training=False)[0]

    return epoch, forward


def first_weights(shape: Shape, seed: int) -> list[np.ndarray]:
    """The weights that training begins from."""
    return [np.asarray(variable) for variable in network(shape, seed).trainable_variables]


def forecast(shape: Shape, rate: float, weights: Sequence[np.ndarray], inputs: Inputs) -> np.ndarray:
    """The quantiles of n windows, shape (n, h, levels)."""
    import tensorflow as tf

    _, forward = compiled(shape, rate)
    held = [tf.constant(part) for part in weights]
    parts = range(0, len(inputs.past), BATCH_OF_FORECASTS)
    answers = [forward(held, [tf.constant(part[i : i + BATCH_OF_FORECASTS]) for part in inputs]).numpy() for i in parts]
    return np.concatenate(answers)


def place(device: Device) -> str:
    """Where TensorFlow computes."""
    return "/GPU:0" if device == "gpu" else "/CPU:0"
