"""Networks of rows: what they are built of and how they are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Protocol

import numpy as np

from hwds.context import Context, Device
from hwds.models.forecast.network_parts import Layers
from hwds.recipe import Count, Positive, Recipe, Small

EMBEDDED = 8
"""Numbers that a text is embedded as, at most."""

Rows = tuple[np.ndarray, ...]
"""Numbers (n, k), codes of texts (n, c), then one array (n, steps, a) for each column of arrays."""


class Examples(NamedTuple):
    """Rows and their targets."""

    inputs: Rows
    target: np.ndarray


class Design(Protocol):
    """Who builds the network: a recipe, equal to another with the same settings."""

    def answer(self, parts: RowParts) -> Any:
        """The answer as a Keras tensor."""

    def goal(self, shape: RowShape) -> tuple[int | None, ...]:
        """The shape of the target of any number of rows."""

    def loss(self, answer: Any, target: Any) -> Any:
        """The mean loss of known targets, in TensorFlow."""

    def judge(self, answer: np.ndarray, target: np.ndarray) -> float:
        """The same in numpy."""


@dataclass(frozen=True)
class RowShape:
    """What determines the graph of a network of rows.

    Attributes:
        numbers: How many.
        texts: Of each column of texts how many codes there are.
        arrays: Of each column of arrays steps and numbers of each.
        design: Builds the network.
        soft: Whether texts are read as weights of their codes, not as codes: what a gradient is taken by.
    """

    numbers: int
    texts: tuple[int, ...]
    arrays: tuple[tuple[int, int], ...]
    design: Design
    soft: bool = False

    def network(self, seed: int) -> Any:
        """An untrained network."""
        import keras

        keras.utils.clear_session(free_memory=False)  # it counts all layers ever made: memory grows, and names differ
        parts = RowParts(self, seed)
        return keras.Model(parts.inputs, self.design.answer(parts))

    def specs(self) -> list[Any]:
        """What the inputs look like, with any number of rows."""
        import tensorflow as tf

        codes = tf.TensorSpec((None, sum(self.texts))) if self.soft else tf.TensorSpec((None, len(self.texts)), tf.int32)
        return [tf.TensorSpec((None, self.numbers)), codes, *(tf.TensorSpec((None, *part)) for part in self.arrays)]

    @property
    def target(self) -> tuple[int | None, ...]:
        """The design's."""
        return self.design.goal(self)

    def loss(self, answer: Any, target: Any) -> Any:
        """The design's."""
        return self.design.loss(answer, target)

    def score(self, answer: np.ndarray, target: np.ndarray) -> float:
        """The design's."""
        return self.design.judge(answer, target)


class RowParts(Layers):
    """The inputs of a network of rows as Keras tensors, and the layers that it is built of.

    Attributes:
        shape: Of the inputs.
        numbers: Shape (n, k).
        arrays: Shapes (n, steps, a).
    """

    def __init__(self, shape: RowShape, seed: int) -> None:
        import keras

        super().__init__(seed)
        self.shape, self.numbers = shape, keras.Input((shape.numbers,))
        self._codes = keras.Input((sum(shape.texts),)) if shape.soft else keras.Input((len(shape.texts),), dtype="int32")
        self.arrays = [keras.Input(part) for part in shape.arrays]

    @property
    def inputs(self) -> list[Any]:
        """In the order of `Rows`."""
        return [self.numbers, self._codes, *self.arrays]

    def plain(self) -> Any:
        """The numbers and what the texts are embedded as, beside each other: shape (n, features)."""
        from keras import layers, ops

        told, begin = [self.numbers], 0
        for i, many in enumerate(self.shape.texts):
            weights = self._codes[:, begin : begin + many] if self.shape.soft else ops.one_hot(self._codes[:, i], many)
            told.append(layers.Dense(min(EMBEDDED, many), use_bias=False, kernel_initializer=self.near_zero())(weights))
            begin += many
        return layers.Concatenate()(told) if len(told) > 1 else told[0]


class RowNetwork(Recipe):
    """How networks of rows are trained; several are averaged.

    Attributes:
        epochs: Passes over the rows at most.
        patience: Epochs without a smaller loss on later rows before stopping: those of the window for stopping, or else the
            last ones to learn from.
        seeds: Networks that are averaged.
        batch: Rows a step at most.
        learning_rate: Adam's.
        least_steps: Steps of an epoch at least: with few rows a step takes fewer of them.
    """

    epochs: Annotated[Count, Small(2)] = 30
    patience: Count = 4
    seeds: Annotated[Count, Small(1)] = 3
    batch: Count = 256
    learning_rate: Positive = 2e-3
    least_steps: Annotated[Count, Small(10)] = 40

    def silu(self) -> tuple[bool, ...]:
        """Of a chain of dense layers which of them that function follows; empty of another network.

        Such a chain is asked without TensorFlow, row by row; Keras trains it like any other.
        """
        return ()

    def trained(self, shape: RowShape, rows: Examples, inner: Examples, context: Context) -> tuple[np.ndarray, ...]:
        """The weights of all networks, one after the other, each as it was when its loss on the inner rows was least."""
        from hwds.models.forecast.network_training import Schedule, Training

        schedule = Schedule(self.epochs, self.patience, self.batch, self.learning_rate, self.least_steps)
        training = Training(rows.inputs, shape, schedule, context)
        return tuple(part for seed in range(self.seeds) for part in training.stopped(rows.target, inner, seed))

    def trained_anew(self, shape: RowShape, rows: Examples, hidden: np.ndarray, context: Context) -> tuple[np.ndarray, ...]:
        """The same, with those rows for the inner ones that are hidden; then anew for as many epochs on all rows."""
        from hwds.models.forecast.network_training import Schedule, Training

        schedule = Schedule(self.epochs, self.patience, self.batch, self.learning_rate, self.least_steps)
        inner = Examples(tuple(part[hidden] for part in rows.inputs), rows.target[hidden])
        early = Training(tuple(part[~hidden] for part in rows.inputs), shape, schedule, context)
        training, seeds = Training(rows.inputs, shape, schedule, context), range(self.seeds)
        epochs = [early.best_epochs(rows.target[~hidden], inner, seed) for seed in seeds]
        return tuple(part for seed in seeds for part in training.train(rows.target, epochs[seed], seed))


def networks_of(
    model: RowNetwork, shape: RowShape, weights: tuple[np.ndarray, ...], device: Device, cpus: int, mean: Rows | None = None
) -> Any:
    """The trained networks of a model, to be asked: `DenseNetworks`, or those of TensorFlow (`Networks`)."""
    if model.silu():
        from hwds.models.classify.dense_networks import DenseNetworks

        return DenseNetworks.of(shape, weights, model.seeds, model.silu(), mean)
    from hwds.models.classify.row_answers import Networks

    return Networks(shape, weights, model.seeds, device, cpus, mean)
