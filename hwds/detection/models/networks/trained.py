"""Predictions of networks, and the contributions of inputs; the same for a row whatever stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from hwds.detection.models.networks.base import RowArrays, RowNetwork, RowShape
from hwds.detection.models.networks.dense import DenseNetworks
from hwds.evaluation.context import Device
from hwds.learners.networks.graphs import GRAPHS, forward_of
from hwds.learners.networks.runtime import placed

BLOCK = 512
"""Rows that are predicted at once, filled up where there are fewer: other sizes have other last bits."""


@dataclass(frozen=True, eq=False)
class Networks:
    """Trained networks of one shape.

    Attributes:
        shape: Of each.
        weights: Of all of them, one after the other.
        count: How many.
        device, cpus: Where they compute, and with how many threads.
        mean: Where paths begin, with weights of codes, first axes 1; None where no path is asked.
    """

    shape: RowShape
    weights: tuple[np.ndarray, ...]
    count: int
    device: Device
    cpus: int
    mean: RowArrays | None = None

    def predict(self, rows: RowArrays) -> np.ndarray:
        """Return the answer of each network for n rows, shape (networks, n, ...)."""
        with placed(self.device, self.cpus):
            forward, held = forward_of(self.shape), self._held()
            parts = [
                np.stack([forward(weights, _constants(block)).numpy()[:n] for weights in held]) for block, n in _blocks(rows)
            ]
        return np.concatenate(parts, axis=1)

    @cached_property
    def base(self) -> float:
        """The mean answer where paths begin."""
        assert self.mean is not None
        return float(self._soft().predict(self.mean).astype(np.float64).mean(axis=0)[0])

    def path_parts(self, rows: RowArrays, points: int) -> RowArrays:
        """Return the contribution of each input along the straight path from `mean`: of numbers, of texts, of arrays.

        The mean of its gradients there times how far it goes (Sundararajan, Taly and Yan 2017, "Axiomatic attribution for
        deep networks"), by the rule of Gauss and Legendre.

        Args:
            rows: The inputs of networks with one output.
            points: Where gradients are taken.
        """
        assert self.mean is not None
        hot = [np.eye(many, dtype=np.float32)[rows[1][:, i]] for i, many in enumerate(self.shape.texts)]
        given = (rows[0], np.hstack([np.zeros((len(rows[0]), 0), np.float32), *hot]), *rows[2:])
        numbers, codes, *arrays = self._soft()._paths(given, self.mean, points)
        cuts = np.cumsum(self.shape.texts, dtype=int)
        texts = [part.sum(axis=1, keepdims=True) for part in np.split(codes, cuts, axis=1)[:-1]]
        return (numbers, np.hstack([np.zeros((len(numbers), 0)), *texts]), *arrays)

    def _paths(self, rows: RowArrays, base: RowArrays, points: int) -> RowArrays:
        with placed(self.device, self.cpus):
            held = self._held()
            contributions = [self._along(held, block, base, points, n) for block, n in _blocks(rows)]
        return tuple(np.concatenate(parts) for parts in zip(*contributions, strict=True))

    def _along(self, held: list[Any], block: Sequence[np.ndarray], base: RowArrays, points: int, n: int) -> RowArrays:
        nodes, shares = np.polynomial.legendre.leggauss(points)
        total = [np.zeros(part.shape) for part in block]
        for node, share in zip((nodes + 1) / 2, shares / 2, strict=True):
            at = [(begin + node * (end - begin)).astype(np.float32) for begin, end in zip(base, block, strict=True)]
            for weights in held:
                gradients = _gradient_of(self.shape)(weights, _constants(at))
                total = [sum_ + share * part.numpy() for sum_, part in zip(total, gradients, strict=True)]
        paths = zip(total, block, base, strict=True)
        return tuple((part * (end - begin))[:n] / self.count for part, end, begin in paths)

    def _held(self) -> list[Any]:
        """Return the weights of each network as constants."""
        each, held = len(self.weights) // self.count, _constants(self.weights)
        return [held[i : i + each] for i in range(0, len(held), each)]

    def _soft(self) -> Networks:
        """Return the same networks, which read weights of codes."""
        return replace(self, shape=replace(self.shape, soft=True))


def networks_of(
    model: RowNetwork,
    shape: RowShape,
    weights: tuple[np.ndarray, ...],
    device: Device,
    cpus: int,
    mean: RowArrays | None = None,
) -> Networks | DenseNetworks:
    """Return the trained networks of a model for prediction: without TensorFlow where they are chains of dense layers."""
    if model.silu():
        return DenseNetworks.of(shape, weights, model.seeds, model.silu(), mean)
    return Networks(shape, weights, model.seeds, device, cpus, mean)


@lru_cache(maxsize=GRAPHS)
def _gradient_of(shape: RowShape) -> Callable[..., Any]:
    """Return the gradient of the answers by the inputs: (weights, inputs) to arrays like the inputs."""
    import tensorflow as tf

    model = shape.network(0)

    def gradient(weights: Any, inputs: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            answer, _ = model.stateless_call(weights, model.non_trainable_variables, inputs, training=False)
        return tape.gradient(answer, inputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    specs = [tf.TensorSpec(variable.shape) for variable in model.trainable_variables]
    return tf.function(gradient, autograph=False).get_concrete_function(specs, shape.specs())


def _constants(parts: Sequence[np.ndarray]) -> list[Any]:
    import tensorflow as tf

    return [tf.constant(part) for part in parts]


def _blocks(rows: RowArrays) -> Iterator[tuple[list[np.ndarray], int]]:
    """Yield blocks of rows, the last one filled up by zeros, and how many rows are in each; at least one block."""
    for begin in range(0, max(len(rows[0]), 1), BLOCK):
        block = [part[begin : begin + BLOCK] for part in rows]
        n = len(block[0])
        filled = [np.concatenate([part, np.zeros((BLOCK - n, *part.shape[1:]), part.dtype)]) for part in block]
        yield filled, n
