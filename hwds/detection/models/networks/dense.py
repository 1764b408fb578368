"""Trained networks of dense layers without TensorFlow: the same weights, in double precision, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple, Self

import numpy as np

from hwds.core.numba_cache import compiled
from hwds.detection.models.networks.base import RowArrays, RowShape
from hwds.detection.models.networks.dense_kernel import Dense, Scratch, add_path_integrals, forward


@dataclass(frozen=True, eq=False)
class DenseNetworks:
    """Networks of one shape, each a chain of dense layers on numbers and embedded texts.

    A row's answers do not depend on the rows beside it. They are Keras' own within its single precision.

    Attributes:
        nets: Of each its weights.
        begins: Where the codes of each text begin among all codes.
        mean: Where paths begin: numbers, and weights of codes, first axes 1; None where no path is asked.
    """

    nets: tuple[Dense, ...]
    begins: np.ndarray
    mean: RowArrays | None = None

    @classmethod
    def of(
        cls,
        shape: RowShape,
        weights: tuple[np.ndarray, ...],
        count: int,
        silu: tuple[bool, ...],
        mean: RowArrays | None = None,
    ) -> Self:
        """Make the networks from the weights that Keras trained.

        Args:
            shape: Of each.
            weights: Of all of them, one after the other: what texts are embedded as, then weights and bias of each layer.
            count: How many.
            silu: Of each layer whether that function follows it.
            mean: Where paths begin.
        """
        each, doubles = len(weights) // count, [part.astype(np.float64) for part in weights]
        nets = tuple(_dense(shape, doubles[i : i + each], silu) for i in range(0, len(doubles), each))
        return cls(nets, np.cumsum([0, *shape.texts])[:-1], mean)

    def predict(self, rows: RowArrays) -> np.ndarray:
        """Return the answer of each network for n rows, shape (networks, n, outputs)."""
        numbers, places = self._read(rows)
        out = np.zeros((len(self.nets), len(numbers), int(self.nets[0].sizes[-1])))
        for net, part in zip(self.nets, out, strict=True):
            compiled(forward)(numbers, places, net, _scratch(net), part)
        return out

    @cached_property
    def base(self) -> float:
        """The mean answer where paths begin."""
        out = np.zeros((len(self.nets), 1, 1))
        for (net, begin), part in zip(self._starts, out, strict=True):
            nothing = np.zeros((1, 0)), np.zeros((1, 0), np.int64)
            compiled(forward)(*nothing, net._replace(start=begin.first), _scratch(net), part)
        return float(out.mean())

    def path_parts(self, rows: RowArrays, points: int) -> RowArrays:
        """Return the same as `Networks.path_parts`: contributions of numbers, and of texts."""
        numbers, places = self._read(rows)
        parts, taken = np.zeros((len(numbers), numbers.shape[1] + places.shape[1])), gauss_legendre(points)
        for net, begin in self._starts:
            compiled(add_path_integrals)(
                numbers, places, net, *begin, taken, _scratch(net), np.zeros((2, len(net.start))), parts
            )
        parts /= len(self.nets)
        return parts[:, : numbers.shape[1]], parts[:, numbers.shape[1] :]

    def _read(self, rows: RowArrays) -> tuple[np.ndarray, np.ndarray]:
        return np.ascontiguousarray(rows[0], np.float64), rows[1].astype(np.int64) + self.begins

    @cached_property
    def _starts(self) -> list[tuple[Dense, _PathStart]]:
        """Each network, and where paths begin in it."""
        assert self.mean is not None
        numbers, codes = (np.ascontiguousarray(part[0], np.float64) for part in self.mean[:2])
        ends = [*self.begins[1:].tolist(), len(codes)]
        cuts = list(zip(self.begins.tolist(), ends, strict=True)) if len(self.begins) else []
        starts = []
        for net in self.nets:
            sums = [(codes[begin:end, None] * net.texts[begin:end]).sum(axis=0) for begin, end in cuts]
            of_texts = np.array(sums).reshape(-1, len(net.start))
            first = net.start + (numbers[:, None] * net.first).sum(axis=0) + of_texts.sum(axis=0)
            starts.append((net, _PathStart(numbers, of_texts, first)))
        return starts


class _PathStart(NamedTuple):
    """The numbers where paths begin, what each text adds to the first layer there, and that layer."""

    numbers: np.ndarray
    texts: np.ndarray
    first: np.ndarray


@cache
def gauss_legendre(points: int) -> np.ndarray:
    """Return the points between 0 and 1 where an integral is taken, and their weights, shape (2, points)."""
    at, weight = np.polynomial.legendre.leggauss(points)
    return np.stack([(at + 1) / 2, weight / 2])


def _dense(shape: RowShape, weights: list[np.ndarray], silu: tuple[bool, ...]) -> Dense:
    texts = len(shape.texts)
    embedded, kernels, biases = weights[:texts], weights[texts::2], weights[texts + 1 :: 2]
    cuts = np.cumsum([shape.numbers, *(part.shape[1] for part in embedded)])
    first, *of_texts = np.split(kernels[0], cuts)[: texts + 1]
    products = [codes @ weight for codes, weight in zip(embedded, of_texts, strict=True)]
    none = np.zeros((0, len(biases[0])))
    return Dense(
        np.ascontiguousarray(first),
        np.concatenate([none, *products]),
        biases[0],
        np.array([len(first), *(len(bias) for bias in biases)]),
        np.concatenate([np.zeros(0), *(kernel.ravel() for kernel in kernels[1:])]),
        np.concatenate([np.zeros(0), *(kernel.T.ravel() for kernel in kernels[1:])]),
        np.concatenate([np.zeros(0), *biases[1:]]),
        np.array(silu),
    )


def _scratch(net: Dense) -> Scratch:
    shape = (len(net.silu), int(net.sizes[1:].max()))
    return Scratch(*np.zeros((4, *shape)))
