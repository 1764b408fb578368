"""What a network's body is built of, and the whole network: inputs, a body, a head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

import numpy as np

from hwds.models.forecast.network_heads import Head

HIDDEN = 32
"""Units between a body and its head."""


class Design(Protocol):
    """Who builds the body: a recipe, equal to another with the same settings."""

    def body(self, parts: Parts) -> Any:
        """A Keras tensor (n, h, features) of the inputs."""


@dataclass(frozen=True)
class Shape:
    """What determines the graph.

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
    design: Design
    head: Head

    def network(self, seed: int) -> Any:
        """An untrained network."""
        import keras

        keras.utils.clear_session(free_memory=False)  # it counts all layers ever made: memory grows, and names differ
        parts = Parts(self, seed)
        body = self.design.body(parts)
        hidden = parts.dense(HIDDEN, "relu")(body)
        return keras.Model(parts.inputs, self.head.activated(parts.dense(self.head.outputs)(hidden)))

    def specs(self) -> list[Any]:
        """What the inputs look like, with any number of windows."""
        import tensorflow as tf

        inputs = [tf.TensorSpec((None, *part)) for part in (self.past, self.steps, self.origin)]
        return [*inputs, tf.TensorSpec((None, len(self.texts)), tf.int32)]

    @property
    def target(self) -> tuple[int | None, ...]:
        """A target for each step."""
        return (None, self.steps[0], *self.head.target_shape)

    def loss(self, answer: Any, target: Any) -> Any:
        """The head's."""
        return self.head.loss(answer, target)

    def score(self, answer: np.ndarray, target: np.ndarray) -> float:
        """The head's."""
        return self.head.score(answer, target)


class Layers:
    """Layers with initialisers that each draw on a seed of their own."""

    def __init__(self, seed: int) -> None:
        self._seeds: Iterator[int] = count(seed)

    def dense(self, units: int, activation: str | None = None) -> Any:
        """A dense layer."""
        from keras import layers

        return layers.Dense(units, activation=activation, kernel_initializer=self.glorot())

    def glorot(self) -> Any:
        """Uniform after Glorot and Bengio 2010."""
        import keras

        return keras.initializers.GlorotUniform(seed=next(self._seeds))

    def orthogonal(self) -> Any:
        """Orthogonal, for recurrent weights (Saxe et al. 2014)."""
        import keras

        return keras.initializers.Orthogonal(seed=next(self._seeds))

    def near_zero(self) -> Any:
        """Uniform between -0.05 and 0.05, for what texts are embedded as."""
        import keras

        return keras.initializers.RandomUniform(-0.05, 0.05, seed=next(self._seeds))


class Parts(Layers):
    """The inputs of a network as Keras tensors, and the layers that it is built of.

    Attributes:
        shape: Of the inputs.
        past: Shape (n, length, p).
        steps: Shape (n, h, q).
    """

    def __init__(self, shape: Shape, seed: int) -> None:
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
        """What holds for all steps, shapes (n, features): the origin's columns, four learned numbers for each static text."""
        from keras import layers

        told = []
        for i, many in enumerate(self.shape.texts):
            told.append(layers.Embedding(many, 4, embeddings_initializer=self.near_zero())(self._codes[:, i]))
        return [self._origin, *told]

    def told_at_steps(self, *about: Any) -> Any:
        """What is known of each step beside what holds for all, shape (n, h, features)."""
        from keras import layers

        repeated = [layers.RepeatVector(self.shape.steps[0])(part) for part in about]
        return layers.Concatenate()([self.steps, *repeated])
