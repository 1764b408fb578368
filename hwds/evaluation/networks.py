"""Networks that families share: TensorFlow on the chosen device, layers, graphs, training."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, islice
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy import ndarray

from hwds.core.errors import ConfigError
from hwds.core.seeds import stream
from hwds.evaluation.cells import learning_curve
from hwds.evaluation.protocol import Device, RunContext

# TensorFlow as networks use it: loaded late, quiet, deterministic, on the chosen device.


def tensorflow(cpus: int) -> Any:
    """Return TensorFlow, quiet and deterministic.

    Its threads are those of the process, set before it is loaded.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(cpus))
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(cpus))
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with hold_back_stderr():
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
        tensorflow.constant(0.0)
    return tensorflow


@contextmanager
def hold_back_stderr() -> Iterator[None]:
    """Hold back what C++ writes to stderr while a library loads: shown where loading fails, dropped
    where it succeeds.

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


def on_device(device: Device, cpus: int) -> Any:
    """Return the device of TensorFlow as a context manager.

    Raises:
        ConfigError: A GPU is required, or present under `auto`, and TensorFlow sees none.
    """
    tf = tensorflow(cpus)
    if device == "gpu" and not tf.config.list_physical_devices("GPU"):
        raise ConfigError(
            "compute.device: 'gpu', but there is none that TensorFlow can use; use 'cpu'."
        )
    return tf.device("/GPU:0" if device == "gpu" else "/CPU:0")


# Keras layers whose initial weights follow from a seed.


class Layers:
    """Layers with initialisers that each draw on a seed of their own."""

    def __init__(self, seed: int) -> None:
        self._seeds: Iterator[int] = count(seed)

    def dense(self, units: int, activation: str | None = None) -> Any:
        """Return a dense layer."""
        from keras import layers

        return layers.Dense(units, activation=activation, kernel_initializer=self.glorot())

    def glorot(self) -> Any:
        """Return a uniform initialiser (Glorot and Bengio 2010)."""
        import keras

        return keras.initializers.GlorotUniform(seed=next(self._seeds))

    def he(self) -> Any:
        """Return a normal initialiser, for layers behind which negative numbers become 0 (He et al.
        2015).
        """
        import keras

        return keras.initializers.HeNormal(seed=next(self._seeds))

    def orthogonal(self) -> Any:
        """Return an orthogonal initialiser, for recurrent weights (Saxe et al. 2014)."""
        import keras

        return keras.initializers.Orthogonal(seed=next(self._seeds))

    def near_zero(self) -> Any:
        """Return a uniform initialiser between -0.05 and 0.05, for embeddings of texts."""
        import keras

        return keras.initializers.RandomUniform(-0.05, 0.05, seed=next(self._seeds))


# Networks in TensorFlow: an epoch of training and a prediction as graphs of the weights; no
# weights stay between fits.

BATCH_OF_FORECASTS = 4096
"""Windows that are forecast at once: a constant, for other sizes have other last bits."""

AVERAGING, MOMENTUM, CURVATURE, CLIP_NORM = 0.995, 0.9, 0.999, 1.0
"""Polyak averaging of the weights, Adam's two rates (Kingma and Ba 2015), and the norm that
gradients are cut at.
"""


class NetworkGraph(Hashable, Protocol):
    """The shape of a network, a frozen dataclass of plain values: equal ones have the same
    graph.
    """

    def network(self, seed: int) -> Any:
        """Return an untrained Keras network."""

    def specs(self) -> list[Any]:
        """Return TensorFlow's specifications of the inputs, with any number of rows."""

    @property
    def target(self) -> tuple[int | None, ...]:
        """The shape of the target of any number of rows."""

    def loss(self, answer: Any, target: Any) -> Any:
        """Return the mean loss of known targets, in TensorFlow."""

    def score(self, answer: ndarray, target: ndarray) -> float:
        """Return the same in numpy, for choosing the number of epochs."""


GRAPHS = 4
"""Networks whose graphs are kept for the next fit: so much memory, however many fits follow one
another.
"""

SEEDS = 8
"""First weights that are kept: those of the networks that one fit averages."""

CLEARED = 32
"""Networks that are built between two times that Keras' session is cleared: what they hold until
then is some 30 MiB.
"""

_BUILT = count(1)
"""Numbers the networks that the process builds."""


@lru_cache(maxsize=GRAPHS)
def epoch_of(graph: NetworkGraph, rate: float) -> Callable[..., Any]:
    """Return one epoch of Adam with averaged weights: (state, order, inputs, target) to the next
    state and the mean loss.

    A graph is traced once for inputs of any number of windows, so that the same fit takes the same
    one whatever was fitted before it.
    """
    import tensorflow as tf

    model, (specs, inputs) = _model(graph), _specs(graph)
    shapes = [spec.shape for spec in specs]

    def unflatten(flat: Any) -> list[Any]:
        parts = tf.split(flat, [shape.num_elements() for shape in shapes])
        return [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]

    def flatten(parts: Any) -> Any:
        return tf.concat([tf.reshape(part, [-1]) for part in parts], 0)

    def step(state: Any, inputs: Any, target: Any) -> Any:
        flat, averaged, first, second, n = state
        weights = unflatten(flat)
        with tf.GradientTape() as tape:
            tape.watch(weights)
            answer, _ = model.stateless_call(
                weights, model.non_trainable_variables, inputs, training=True
            )
            value = graph.loss(answer, target)
        dense = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(value, weights)]
        gradients, _ = tf.clip_by_global_norm(dense, CLIP_NORM)
        gradient, n = flatten(gradients), n + 1.0
        first = MOMENTUM * first + (1 - MOMENTUM) * gradient
        second = CURVATURE * second + (1 - CURVATURE) * gradient * gradient
        # Adam (Kingma and Ba 2015), both bias corrections in the size of the step
        step_size = rate * tf.sqrt(1 - tf.pow(CURVATURE, n)) / (1 - tf.pow(MOMENTUM, n))
        flat = flat - step_size * first / (tf.sqrt(second) + 1e-7)
        # an average of the weights whose memory is short at first: the first steps are far off
        keep = tf.minimum(AVERAGING, (1 + n) / (10 + n))
        return (flat, keep * averaged + (1 - keep) * flat, first, second, n), value

    def epoch(state: Any, order: Any, inputs: Any, target: Any) -> Any:
        steps = tf.shape(order)[0]

        def one(i: Any, state: Any, total: Any) -> Any:
            rows = order[i]
            state, value = step(
                state, [tf.gather(part, rows) for part in inputs], tf.gather(target, rows)
            )
            return i + 1, state, total + value

        *parts, n = state
        begun = (
            *map(flatten, parts),
            n,
        )  # Adam's ten operations once, not once for each array of weights
        _, (*ended, n), total = tf.while_loop(lambda i, *_: i < steps, one, (0, begun, 0.0))
        return (*map(unflatten, ended), n), total / tf.cast(steps, tf.float32)

    state = (specs, specs, specs, specs, tf.TensorSpec(()))
    target = tf.TensorSpec(graph.target)
    graphed = tf.function(epoch, autograph=False)
    return graphed.get_concrete_function(
        state, tf.TensorSpec((None, None), tf.int32), inputs, target
    )


@lru_cache(maxsize=GRAPHS)
def forward_of(graph: NetworkGraph) -> Callable[..., Any]:
    """Return the prediction of a network as a graph: (weights, inputs) to (n, ...)."""
    import tensorflow as tf

    model = _model(graph)

    def forward(weights: Any, inputs: Any) -> Any:
        return model.stateless_call(weights, model.non_trainable_variables, inputs, training=False)[
            0
        ]

    return tf.function(forward, autograph=False).get_concrete_function(*_specs(graph))


@lru_cache(maxsize=GRAPHS)
def _model(graph: NetworkGraph) -> Any:
    """Return a network of which only the graph is used.

    Keras numbers its layers as they are built (`dense_9`, `dense_10`), and TensorFlow orders what
    it rewrites by these names, which the last bits of a fit depend on. So the numbers begin again:
    the same network has the same graph, whatever was built before it.
    """
    from keras.src.utils.naming import reset_uids

    reset_uids()
    return _build(graph, 0)


def _build(graph: NetworkGraph, seed: int) -> Any:
    """Return an untrained network.

    Keras keeps half a megabyte of every network until its session is cleared. That also clears
    TensorFlow's kernels, and each traced graph then takes a second for its next call; so many
    networks are cleared at once.
    """
    import keras

    if next(_BUILT) % CLEARED == 0:
        keras.utils.clear_session(free_memory=False)
    return graph.network(seed)


def _specs(graph: NetworkGraph) -> tuple[list[Any], list[Any]]:
    """Return the specifications of weights and inputs, with any number of windows."""
    import tensorflow as tf

    return [
        tf.TensorSpec(variable.shape) for variable in _model(graph).trainable_variables
    ], graph.specs()


@lru_cache(maxsize=SEEDS)
def initial_weights(graph: NetworkGraph, seed: int) -> tuple[ndarray, ...]:
    """Return the weights that training begins from: first until the best epoch, then again on all
    rows.
    """
    return tuple(np.asarray(variable) for variable in _build(graph, seed).trainable_variables)


def predict_network(
    graph: NetworkGraph, weights: Sequence[ndarray], inputs: Sequence[ndarray]
) -> ndarray:
    """Return the predictions of a network for n rows, shape (n, ...)."""
    import tensorflow as tf

    forward, weights_on_device = forward_of(graph), [tf.constant(part) for part in weights]
    parts = range(0, len(inputs[0]), BATCH_OF_FORECASTS)
    each = [
        forward(
            weights_on_device, [tf.constant(part[i : i + BATCH_OF_FORECASTS]) for part in inputs]
        ).numpy()
        for i in parts
    ]
    return np.concatenate(each)


# Training a network: as many epochs as an inner window finds best, then anew for as many on all
# rows.


class Examples(Protocol):
    """Standardised inputs of an inner window, and its targets."""

    @property
    def inputs(self) -> Sequence[ndarray]:
        """First axes n."""

    @property
    def target(self) -> ndarray:
        """First axis n, NaN where unknown."""


class InnerExamples(NamedTuple):
    """Examples by which the number of epochs is chosen; see `Examples`."""

    inputs: Sequence[ndarray]
    target: ndarray


class Schedule(NamedTuple):
    """The schedule of training; the fields are those of the recipe."""

    epochs: int
    patience: int
    batch: int
    rate: float
    least_steps: int


@dataclass(frozen=True, eq=False)
class Training:
    """The inputs, shape and schedule that all networks of one fit share.

    Attributes:
        inputs: Standardised inputs of n windows or rows, first axes n.
        shape: The network.
        schedule: Epochs, patience, batch, rate.
        context: Streams, threads, device.
    """

    inputs: Sequence[ndarray]
    shape: NetworkGraph
    schedule: Schedule
    context: RunContext

    def best_epochs(self, target: ndarray, inner: Examples, seed: int) -> int:
        """Return the number of epochs after which a network forecasts the inner window best.

        Args:
            target: Its first axis n, NaN inside the inner window and where unknown.
            inner: Standardised inputs and targets of the inner window.
            seed: The number of the network among those that are averaged.
        """
        return self._best(target, inner, seed)[0]

    def best_weights(self, target: ndarray, inner: Examples, seed: int) -> list[ndarray]:
        """Return the averaged weights after those epochs; as in `best_epochs`."""
        return [part.numpy() for part in self._best(target, inner, seed)[1]]

    def _best(self, target: ndarray, inner: Examples, seed: int) -> tuple[int, Any]:
        best, best_weights, least = self.schedule.epochs, None, np.inf
        curve = learning_curve(f"network {seed + 1}", "epoch")
        with self._device():
            for done, (weights, training_loss) in enumerate(
                islice(self._epochs(target, seed), self.schedule.epochs), 1
            ):
                loss = self.shape.score(
                    predict_network(self.shape, weights, inner.inputs), inner.target
                )
                curve.report(done, train=float(training_loss), validation=loss)
                if loss < least or best_weights is None:
                    best, best_weights, least = (done if loss < least else best), weights, loss
                if done - best >= self.schedule.patience:
                    break
        return best, best_weights

    def train(self, target: ndarray, epochs: int, seed: int) -> list[ndarray]:
        """Return the averaged weights of a fresh network after so many epochs on targets, first
        axis n, NaN where unknown.
        """
        curve = learning_curve(f"network {seed + 1}, all rows", "epoch")
        with self._device():
            for done, (averaged, loss) in enumerate(islice(self._epochs(target, seed), epochs), 1):
                curve.report(done, train=float(loss))
                weights = averaged
            return [part.numpy() for part in weights]

    def _epochs(self, target: ndarray, seed: int) -> Iterator[Any]:
        """Yield the averaged weights and the mean loss of each epoch, without end.

        A seed has one network and one order.
        """
        import tensorflow as tf

        # the purposes bear the name of the first network that there was, so that its numbers stay
        # what they were
        rng = stream(self.context.seed, self.context.fold, "lstm order", seed)
        epoch = epoch_of(self.shape, self.schedule.rate)
        weights = [
            tf.constant(part)
            for part in initial_weights(self.shape, self.context.seed_for("lstm weights", seed))
        ]
        zeros = [tf.zeros_like(part) for part in weights]
        state = (weights, weights, zeros, zeros, tf.constant(0.0))
        inputs, goal = [tf.constant(part) for part in self.inputs], tf.constant(target)
        while True:
            state, loss = epoch(
                state, tf.constant(shuffle_batches(len(target), self.schedule, rng)), inputs, goal
            )
            yield state[1], loss

    def _device(self) -> Any:
        return on_device(self.context.device, self.context.cpus)


def shuffle_batches(windows: int, schedule: Schedule, rng: np.random.Generator) -> ndarray:
    """Return the windows of each step of an epoch, shape (steps, batch): smaller batches where
    there are few windows.
    """
    batch = int(np.clip(windows // schedule.least_steps, 1, schedule.batch))
    steps = windows // batch
    return rng.permutation(windows)[: steps * batch].reshape(steps, batch).astype(np.int32)
