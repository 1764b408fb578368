"""Networks of dense layers row by row, forward and along the path from a base; compiled by
numba.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hwds.core.compiling import helper


class DenseLayers(NamedTuple):
    """One network, its first layer apart: the embeddings of texts are multiplied into it.

    Attributes:
        first: The first layer's weights of numbers, shape (k, units).
        texts: The contribution of each code of each text to it, the texts one after the other,
            shape (codes, units).
        start: The bias of the first layer.
        sizes: The sizes of the input, then of each layer.
        kernel: The weights of the other layers, each of shape (in, out), one after the other.
        back: The same, each of shape (out, in).
        bias: The bias of the other layers, one after the other.
        silu: A flag for each layer: x / (1 + exp(-x)) follows it.
    """

    first: ndarray
    texts: ndarray
    start: ndarray
    sizes: ndarray
    kernel: ndarray
    back: ndarray
    bias: ndarray
    silu: ndarray


@cache
def gauss_legendre(points: int) -> ndarray:
    """Return the points between 0 and 1 where an integral is taken, and their weights, shape (2,
    points).
    """
    at, weight = np.polynomial.legendre.leggauss(points)
    return np.stack([(at + 1) / 2, weight / 2])


class DenseScratch(NamedTuple):
    """Scratch for one row, shape (layers, most units) each: before and after an activation, its
    logistic part, slopes.
    """

    before: ndarray
    after: ndarray
    share: ndarray
    slope: ndarray


@helper
def first_layer(numbers: ndarray, places: ndarray, net: DenseLayers, before: ndarray) -> None:
    """Compute the first layer of a row, from its numbers and the places of its codes among all
    codes.
    """
    units = net.start.size
    for unit in range(units):
        before[unit] = net.start[unit]
    for i in range(numbers.size):
        for unit in range(units):
            before[unit] += numbers[i] * net.first[i, unit]
    for i in range(places.size):
        for unit in range(units):
            before[unit] += net.texts[places[i], unit]


@helper
def other_layers(net: DenseLayers, scratch: DenseScratch) -> None:
    """Compute all layers after the first one's weights."""
    at, shift = 0, 0
    for layer in range(net.silu.size):
        units = net.sizes[layer + 1]
        if layer:
            for unit in range(units):
                scratch.before[layer, unit] = net.bias[shift + unit]
            for i in range(net.sizes[layer]):
                for unit in range(units):
                    scratch.before[layer, unit] += (
                        scratch.after[layer - 1, i] * net.kernel[at + unit]
                    )
                at += units
            shift += units
        for unit in range(units):
            seen = scratch.before[layer, unit]
            scratch.share[layer, unit] = 1 / (1 + math.exp(-seen)) if net.silu[layer] else 1.0
            scratch.after[layer, unit] = seen * scratch.share[layer, unit]


@helper
def gradients(net: DenseLayers, scratch: DenseScratch) -> None:
    """Compute the gradient of the one output by each layer's input to its activation, after
    `other_layers`.
    """
    at, last = net.back.size, net.silu.size - 1
    scratch.slope[last, 0] = steepness(scratch.before[last, 0], scratch.share[last, 0])
    for layer in range(last, 0, -1):
        units, below = net.sizes[layer + 1], net.sizes[layer]
        at -= units * below
        for i in range(below):
            scratch.slope[layer - 1, i] = 0.0
        for unit in range(units):
            for i in range(below):
                scratch.slope[layer - 1, i] += (
                    scratch.slope[layer, unit] * net.back[at + unit * below + i]
                )
        for i in range(below):
            scratch.slope[layer - 1, i] *= steepness(
                scratch.before[layer - 1, i], scratch.share[layer - 1, i]
            )


@helper
def steepness(seen: float, share: float) -> float:
    """Return the slope of x / (1 + exp(-x)), of which `share` is the logistic part.

    Where no function follows both are 1.
    """
    return share * (1 + seen * (1 - share))


def forward(
    numbers: ndarray,
    places: ndarray,
    net: DenseLayers,
    scratch: DenseScratch,
    out: ndarray,
) -> None:
    """Compute the outputs of rows, shape (n, outputs)."""
    for row in range(numbers.shape[0]):
        first_layer(numbers[row], places[row], net, scratch.before[0])
        other_layers(net, scratch)
        for i in range(out.shape[1]):
            out[row, i] = scratch.after[net.silu.size - 1, i]


def add_path_integrals(
    numbers: ndarray,
    places: ndarray,
    net: DenseLayers,
    base: ndarray,
    base_texts: ndarray,
    base_first: ndarray,
    points: ndarray,
    scratch: DenseScratch,
    path: ndarray,
    parts: ndarray,
) -> None:
    """Add the contribution of each input along the straight path from a base to a row.

    The path of the first layer is straight too, so that a point of it costs the other layers alone.

    Args:
        numbers: The numbers of the rows, shape (n, k).
        places: The places of the rows' codes among all codes, shape (n, c).
        net: A network with one answer.
        base: The numbers where paths begin, shape (k,).
        base_texts: The part of each text in the first layer there, shape (c, units).
        base_first: The first layer there, shape (units,).
        points: The points of the path where slopes are taken, and their weights, shape (2, points).
        scratch: Scratch for one row.
        path: Scratch for the first layer at the end, and for the mean slope, shape (2, units).
        parts: The contributions of numbers, then of texts, shape (n, k + c).
    """
    k, units = numbers.shape[1], net.start.size
    for row in range(numbers.shape[0]):
        first_layer(numbers[row], places[row], net, path[0])
        for unit in range(units):
            path[1, unit] = 0.0
        # The mean gradient by the first layer along the path; the inputs' follow by its weights.
        for point in range(points.shape[1]):
            for unit in range(units):
                scratch.before[0, unit] = base_first[unit] + points[0, point] * (
                    path[0, unit] - base_first[unit]
                )
            other_layers(net, scratch)
            gradients(net, scratch)
            for unit in range(units):
                path[1, unit] += points[1, point] * scratch.slope[0, unit]
        for i in range(k):
            adds = 0.0
            for unit in range(units):
                adds += net.first[i, unit] * path[1, unit]
            parts[row, i] += (numbers[row, i] - base[i]) * adds
        for i in range(places.shape[1]):
            adds = 0.0
            for unit in range(units):
                adds += (net.texts[places[row, i], unit] - base_texts[i, unit]) * path[1, unit]
            parts[row, k + i] += adds
