"""The parts of a network's body, and the whole network: inputs, a body, a head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hwds.forecast.models.networks.heads import Head
from hwds.learners.networks.layers import Layers

HIDDEN = 32
"""Units between a body and its head."""


class BodyDesign(Protocol):
    """The recipe that builds the body, equal to another with the same settings."""

    def body(self, parts: WindowParts) -> Any:
        """Return a Keras tensor (n, h, features) of the inputs."""


@dataclass(frozen=True)
class WindowShape:
    """The key of a graph: all that determines it.

    Attributes:
        past, steps, origin: Shapes of the inputs without the first axis.
        texts: How many texts each code can be.
        horizon: Steps that it was trained for; `steps` may have other ones.
        design: Builds the body.
        head: Makes an answer of it.
    """

    past: tuple[int, ...]
    steps: tuple[int, ...]
    origin: tuple[int, ...]
    texts: tuple[int, ...]
    horizon: int
    design: BodyDesign
    head: Head

    def network(self, seed: int) -> Any:
        """Return an untrained network."""
        import keras

        parts = WindowParts(self, seed)
        body = self.design.body(parts)
        hidden = parts.dense(HIDDEN, "relu")(body)
        return keras.Model(parts.inputs, self.head.activated(parts.dense(self.head.outputs)(hidden)))

    def specs(self) -> list[Any]:
        """Return the specifications of the inputs, with any number of windows."""
        import tensorflow as tf

        inputs = [tf.TensorSpec((None, *part)) for part in (self.past, self.steps, self.origin)]
        return [*inputs, tf.TensorSpec((None, len(self.texts)), tf.int32)]

    @property
    def target(self) -> tuple[int | None, ...]:
        """A target for each step."""
        return (None, self.steps[0], *self.head.target_shape)

    def loss(self, output: Any, target: Any) -> Any:
        """Return the head's."""
        return self.head.loss(output, target)

    def score(self, output: np.ndarray, target: np.ndarray) -> float:
        """Return the head's."""
        return self.head.score(output, target)


class WindowParts(Layers):
    """The inputs of a network as Keras tensors, and the layers that it is built of.

    Attributes:
        shape: Of the inputs.
        past: Shape (n, length, p).
        steps: Shape (n, h, q).
    """

    def __init__(self, shape: WindowShape, seed: int) -> None:
        import keras

        super().__init__(seed)
        self.shape = shape
        self.past, self.steps, self._origin = (keras.Input(each) for each in (shape.past, shape.steps, shape.origin))
        self._codes = keras.Input((len(shape.texts),), dtype="int32")

    @property
    def inputs(self) -> list[Any]:
        """In the order of `Inputs`."""
        return [self.past, self.steps, self._origin, self._codes]

    def about(self) -> list[Any]:
        """Return the inputs that hold for all steps, shapes (n, features): the origin's columns, embeddings of static texts."""
        from keras import layers

        embeddings = []
        for i, many in enumerate(self.shape.texts):
            embeddings.append(layers.Embedding(many, 4, embeddings_initializer=self.near_zero())(self._codes[:, i]))
        return [self._origin, *embeddings]

    def step_inputs(self, *about: Any) -> Any:
        """Return the inputs of each step beside those that hold for all, shape (n, h, features)."""
        from keras import layers

        repeated = [layers.RepeatVector(self.shape.steps[0])(part) for part in about]
        return layers.Concatenate()([self.steps, *repeated])
