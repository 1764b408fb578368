"""Trained networks of dense layers without TensorFlow: the same weights, in double precision, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from hwds.compiled import compiled
from hwds.models.classify.dense_kernel import Dense, Room, add_ways, answer
from hwds.models.classify.row_network import Rows, RowShape


@dataclass(frozen=True, eq=False)
class DenseNetworks:
    """Networks of one shape, each a chain of dense layers on numbers and embedded texts.

    A row's answers do not depend on the rows beside it. They are Keras' own within its single precision.

    Attributes:
        nets: Of each its weights.
        begins: Where the codes of each text begin among all codes.
    """

    nets: tuple[Dense, ...]
    begins: np.ndarray

    @classmethod
    def of(cls, shape: RowShape, weights: tuple[np.ndarray, ...], count: int, silu: tuple[bool, ...]) -> Self:
        """Networks as Keras trained them.

        Args:
            shape: Of each.
            weights: Of all of them, one after the other: what texts are embedded as, then weights and bias of each layer.
            count: How many.
            silu: Of each layer whether that function follows it.
        """
        each, doubles = len(weights) // count, [part.astype(np.float64) for part in weights]
        nets = tuple(_dense(shape, doubles[i : i + each], silu) for i in range(0, len(doubles), each))
        return cls(nets, np.cumsum([0, *shape.texts])[:-1])

    def answers(self, rows: Rows) -> np.ndarray:
        """The answer of each network for n rows, shape (networks, n, outputs)."""
        numbers, places = self._read(rows)
        found = np.zeros((len(self.nets), len(numbers), int(self.nets[0].sizes[-1])))
        for net, own in zip(self.nets, found, strict=True):
            compiled(answer)(numbers, places, net, _room(net), own)
        return found

    def base(self, mean: Rows) -> float:
        """The mean answer where ways begin: numbers and weights of codes, first axes 1."""
        at_mean = [net._replace(start=net.start + self._told(net, mean).sum(axis=0)) for net in self.nets]
        nothing = np.zeros((1, 0), np.int64)
        found = np.zeros((len(at_mean), 1, 1))
        for net, own in zip(at_mean, found, strict=True):
            compiled(answer)(np.ascontiguousarray(mean[0], np.float64), nothing, net, _room(net), own)
        return float(found.mean())

    def path_parts(self, rows: Rows, mean: Rows, points: int) -> Rows:
        """As of `Networks`: parts of numbers, and of texts."""
        numbers, places = self._read(rows)
        at, weight = np.polynomial.legendre.leggauss(points)
        taken, parts = np.stack([(at + 1) / 2, weight / 2]), np.zeros((len(numbers), numbers.shape[1] + places.shape[1]))
        for net in self.nets:
            base, told, way = mean[0][0].astype(np.float64), self._told(net, mean), np.zeros((3, len(net.start)))
            compiled(add_ways)(numbers, places, net, base, told, taken, _room(net), way, parts)
        k = numbers.shape[1]
        return parts[:, :k] / len(self.nets), parts[:, k:] / len(self.nets)

    def _read(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        return np.ascontiguousarray(rows[0], np.float64), rows[1].astype(np.int64) + self.begins

    def _told(self, net: Dense, mean: Rows) -> np.ndarray:
        """What each text adds to the first layer where ways begin, shape (c, units)."""
        weights = np.split(mean[1][0].astype(np.float64), self.begins[1:])
        told = np.split(net.told, self.begins[1:])
        pairs = zip(weights, told, strict=True) if len(self.begins) else ()
        return np.array([(weight[:, None] * own).sum(axis=0) for weight, own in pairs]).reshape(-1, len(net.start))


def _dense(shape: RowShape, weights: list[np.ndarray], silu: tuple[bool, ...]) -> Dense:
    texts = len(shape.texts)
    embedded, kernels, biases = weights[:texts], weights[texts::2], weights[texts + 1 :: 2]
    cuts = np.cumsum([shape.numbers, *(part.shape[1] for part in embedded)])
    first, *of_texts = np.split(kernels[0], cuts)[: texts + 1]
    told = [codes @ own for codes, own in zip(embedded, of_texts, strict=True)]
    none = np.zeros((0, len(biases[0])))
    return Dense(
        np.ascontiguousarray(first),
        np.concatenate([none, *told]),
        biases[0],
        np.array([len(first), *(len(bias) for bias in biases)]),
        np.concatenate([np.zeros(0), *(kernel.ravel() for kernel in kernels[1:])]),
        np.concatenate([np.zeros(0), *(kernel.T.ravel() for kernel in kernels[1:])]),
        np.concatenate([np.zeros(0), *biases[1:]]),
        np.array(silu),
    )


def _room(net: Dense) -> Room:
    shape = (len(net.silu), int(net.sizes[1:].max()))
    return Room(np.zeros(shape), np.zeros(shape), np.zeros(shape))
