"""Networks of rows: their layers and their training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Protocol

import numpy as np

from hwds.core.recipe import Depth, Draws, Folds, Positive, PositiveInt, Recipe, Small, Width
from hwds.detection.context import RowContext
from hwds.learners.networks.layers import Layers

EMBEDDED = 8
"""Numbers that a text is embedded as, at most."""

RowArrays = tuple[np.ndarray, ...]
"""Numbers (n, k), codes of texts (n, c), then one array (n, steps, a) for each column of arrays."""


class RowExamples(NamedTuple):
    """Rows and their targets."""

    inputs: RowArrays
    target: np.ndarray


class RowDesign(Protocol):
    """The recipe that builds the network, equal to another with the same settings."""

    def output(self, parts: RowParts) -> Any:
        """Return the answer as a Keras tensor."""

    def goal(self, shape: RowShape) -> tuple[int | None, ...]:
        """Return the shape of the target of any number of rows."""

    def loss(self, answer: Any, target: Any) -> Any:
        """Return the mean loss of known targets, in TensorFlow."""

    def numpy_loss(self, answer: np.ndarray, target: np.ndarray) -> float:
        """Return the same in numpy."""


@dataclass(frozen=True)
class RowShape:
    """The shape of a network of rows, which determines its graph.

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
    design: RowDesign
    soft: bool = False

    def network(self, seed: int) -> Any:
        """Return an untrained network."""
        import keras

        parts = RowParts(self, seed)
        return keras.Model(parts.inputs, self.design.output(parts))

    def specs(self) -> list[Any]:
        """Return the specifications of the inputs, with any number of rows."""
        import tensorflow as tf

        codes = tf.TensorSpec((None, sum(self.texts))) if self.soft else tf.TensorSpec((None, len(self.texts)), tf.int32)
        return [tf.TensorSpec((None, self.numbers)), codes, *(tf.TensorSpec((None, *part)) for part in self.arrays)]

    @property
    def target(self) -> tuple[int | None, ...]:
        """The design's."""
        return self.design.goal(self)

    def loss(self, answer: Any, target: Any) -> Any:
        """Return the design's."""
        return self.design.loss(answer, target)

    def score(self, answer: np.ndarray, target: np.ndarray) -> float:
        """Return the design's."""
        return self.design.numpy_loss(answer, target)


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
        """In the order of `RowArrays`."""
        return [self.numbers, self._codes, *self.arrays]

    def plain(self) -> Any:
        """Return the numbers and the embeddings of the texts, beside each other: shape (n, features)."""
        from keras import layers, ops

        features, begin = [self.numbers], 0
        for i, many in enumerate(self.shape.texts):
            weights = self._codes[:, begin : begin + many] if self.shape.soft else ops.one_hot(self._codes[:, i], many)
            features.append(layers.Dense(min(EMBEDDED, many), use_bias=False, kernel_initializer=self.near_zero())(weights))
            begin += many
        return layers.Concatenate()(features) if len(features) > 1 else features[0]


class RowNetwork(Recipe):
    """The training of networks of rows; several are averaged.

    Attributes:
        epochs: Passes over the rows at most.
        patience: Epochs without a smaller loss on later rows before stopping: those of the window for stopping, or else the
            last ones to learn from.
        seeds: The number of networks that are averaged.
        batch: Rows a step at most.
        learning_rate: The step size of Adam.
        least_steps: Steps of an epoch at least: with few rows a step takes fewer of them.
    """

    epochs: Annotated[Folds, Small(2)] = 30
    patience: PositiveInt = 4
    seeds: Annotated[Depth, Small(1)] = 3
    batch: Width = 256
    learning_rate: Positive = 2e-3
    least_steps: Annotated[Draws, Small(10)] = 40

    def silu(self) -> tuple[bool, ...]:
        """Return for each layer of a chain of dense layers whether SiLU follows it; empty for any other network.

        Such a chain predicts without TensorFlow, row by row; Keras trains it like any other.
        """
        return ()

    def trained(self, shape: RowShape, rows: RowExamples, inner: RowExamples, context: RowContext) -> tuple[np.ndarray, ...]:
        """Return the weights of all networks, one after the other, each from the epoch of its least loss on the inner rows."""
        from hwds.learners.networks.training import Schedule, Training

        schedule = Schedule(self.epochs, self.patience, self.batch, self.learning_rate, self.least_steps)
        training = Training(rows.inputs, shape, schedule, context)
        return tuple(part for seed in range(self.seeds) for part in training.stopped(rows.target, inner, seed))

    def trained_anew(
        self, shape: RowShape, rows: RowExamples, hidden: np.ndarray, context: RowContext
    ) -> tuple[np.ndarray, ...]:
        """Return the same with the hidden rows as the inner ones, trained anew for as many epochs on all rows."""
        from hwds.learners.networks.training import Schedule, Training

        schedule = Schedule(self.epochs, self.patience, self.batch, self.learning_rate, self.least_steps)
        inner = RowExamples(tuple(part[hidden] for part in rows.inputs), rows.target[hidden])
        early = Training(tuple(part[~hidden] for part in rows.inputs), shape, schedule, context)
        training, seeds = Training(rows.inputs, shape, schedule, context), range(self.seeds)
        epochs = [early.best_epochs(rows.target[~hidden], inner, seed) for seed in seeds]
        return tuple(part for seed in seeds for part in training.train(rows.target, epochs[seed], seed))
