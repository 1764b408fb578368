"""What networks answer for rows, and what their inputs add to it; the same for a row whatever stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from hwds.context import Device
from hwds.models.classify.row_network import Rows, RowShape
from hwds.models.forecast.network_graphs import GRAPHS, forward_of
from hwds.models.forecast.network_runtime import placed

BLOCK = 512
"""Rows that are asked at once, filled up where there are fewer: other sizes have other last bits."""


@dataclass(frozen=True, eq=False)
class Networks:
    """Trained networks of one shape.

    Attributes:
        shape: Of each.
        weights: Of all of them, one after the other.
        count: How many.
        device, cpus: Where they compute, and with how many threads.
        mean: Where ways begin, with weights of codes, first axes 1; None where no way is asked.
    """

    shape: RowShape
    weights: tuple[np.ndarray, ...]
    count: int
    device: Device
    cpus: int
    mean: Rows | None = None

    def answers(self, rows: Rows) -> np.ndarray:
        """The answer of each network for n rows, shape (networks, n, ...)."""
        with placed(self.device, self.cpus):
            forward, held = forward_of(self.shape), self._held()
            found = [
                np.stack([forward(weights, _constants(block)).numpy()[:n] for weights in held]) for block, n in _blocks(rows)
            ]
        return np.concatenate(found, axis=1)

    @cached_property
    def base(self) -> float:
        """The mean answer where ways begin."""
        assert self.mean is not None
        return float(self._soft().answers(self.mean).astype(np.float64).mean(axis=0)[0])

    def path_parts(self, rows: Rows, points: int) -> Rows:
        """What each input adds to the mean answer along the straight way from `mean`: of numbers, of texts, of arrays.

        The mean of its gradients there times how far it goes (Sundararajan, Taly and Yan 2017, "Axiomatic attribution for
        deep networks"), by the rule of Gauss and Legendre.

        Args:
            rows: What networks are given that answer with one number.
            points: Where gradients are taken.
        """
        assert self.mean is not None
        hot = [np.eye(many, dtype=np.float32)[rows[1][:, i]] for i, many in enumerate(self.shape.texts)]
        given = (rows[0], np.hstack([np.zeros((len(rows[0]), 0), np.float32), *hot]), *rows[2:])
        numbers, codes, *arrays = self._soft()._paths(given, self.mean, points)
        cuts = np.cumsum(self.shape.texts, dtype=int)
        texts = [part.sum(axis=1, keepdims=True) for part in np.split(codes, cuts, axis=1)[:-1]]
        return (numbers, np.hstack([np.zeros((len(numbers), 0)), *texts]), *arrays)

    def _paths(self, rows: Rows, base: Rows, points: int) -> Rows:
        with placed(self.device, self.cpus):
            held = self._held()
            told = [self._along(held, block, base, points, n) for block, n in _blocks(rows)]
        return tuple(np.concatenate(parts) for parts in zip(*told, strict=True))

    def _along(self, held: list[Any], block: Sequence[np.ndarray], base: Rows, points: int, n: int) -> Rows:
        nodes, shares = np.polynomial.legendre.leggauss(points)
        total = [np.zeros(part.shape) for part in block]
        for node, share in zip((nodes + 1) / 2, shares / 2, strict=True):
            at = [(begin + node * (end - begin)).astype(np.float32) for begin, end in zip(base, block, strict=True)]
            for weights in held:
                found = _gradient_of(self.shape)(weights, _constants(at))
                total = [sum_ + share * part.numpy() for sum_, part in zip(total, found, strict=True)]
        ways = zip(total, block, base, strict=True)
        return tuple((part * (end - begin))[:n] / self.count for part, end, begin in ways)

    def _held(self) -> list[Any]:
        """The weights of each network as constants."""
        each, held = len(self.weights) // self.count, _constants(self.weights)
        return [held[i : i + each] for i in range(0, len(held), each)]

    def _soft(self) -> Networks:
        """The same networks, which read weights of codes."""
        return replace(self, shape=replace(self.shape, soft=True))


@lru_cache(maxsize=GRAPHS)
def _gradient_of(shape: RowShape) -> Callable[..., Any]:
    """The gradient of the answers by the inputs: (weights, inputs) to arrays like the inputs."""
    import tensorflow as tf

    model = shape.network(0)

    def gradient(weights: Any, inputs: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            answer, _ = model.stateless_call(weights, model.non_trainable_variables, inputs, training=False)
        return tape.gradient(answer, inputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    specs = [tf.TensorSpec(variable.shape) for variable in model.trainable_variables]
    return tf.function(gradient).get_concrete_function(specs, shape.specs())


def _constants(parts: Sequence[np.ndarray]) -> list[Any]:
    import tensorflow as tf

    return [tf.constant(part) for part in parts]


def _blocks(rows: Rows) -> Iterator[tuple[list[np.ndarray], int]]:
    """Blocks of rows, the last one filled up by zeros, and how many rows are in each; at least one block."""
    for begin in range(0, max(len(rows[0]), 1), BLOCK):
        block = [part[begin : begin + BLOCK] for part in rows]
        n = len(block[0])
        filled = [np.concatenate([part, np.zeros((BLOCK - n, *part.shape[1:]), part.dtype)]) for part in block]
        yield filled, n
