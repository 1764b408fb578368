"""Keras layers whose initial weights follow from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any


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
        """Return a normal initialiser, for layers behind which negative numbers become 0 (He et al. 2015)."""
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
