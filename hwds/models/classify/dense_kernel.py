"""Networks of dense layers row by row, forward and along the way from a base; compiled by numba."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hwds.compiled import helper


class Dense(NamedTuple):
    """One network. Its first layer is told apart: what texts are embedded as is multiplied into it.

    Attributes:
        first: The first layer's weights of numbers, shape (k, units).
        told: What each code of each text adds to it, the texts one after the other, shape (codes, units).
        start: Its bias.
        sizes: Of the input, then of each layer.
        kernel: The weights of the other layers, each of shape (in, out), one after the other.
        back: The same, each of shape (out, in).
        bias: Of the other layers, one after the other.
        silu: Of each layer whether x / (1 + exp(-x)) follows it.
    """

    first: np.ndarray
    told: np.ndarray
    start: np.ndarray
    sizes: np.ndarray
    kernel: np.ndarray
    back: np.ndarray
    bias: np.ndarray
    silu: np.ndarray


class Room(NamedTuple):
    """Room for one row, shape (layers, most units) each: before and after what follows a layer, its logistic part, slopes."""

    before: np.ndarray
    after: np.ndarray
    share: np.ndarray
    slope: np.ndarray


@helper
def enter(numbers: np.ndarray, places: np.ndarray, net: Dense, before: np.ndarray) -> None:
    """The first layer of a row, from its numbers and the places of its codes among all codes."""
    units = net.start.size
    for unit in range(units):
        before[unit] = net.start[unit]
    for i in range(numbers.size):
        for unit in range(units):
            before[unit] += numbers[i] * net.first[i, unit]
    for i in range(places.size):
        for unit in range(units):
            before[unit] += net.told[places[i], unit]


@helper
def rise(net: Dense, room: Room) -> None:
    """All layers after the first one's weights."""
    at, shift = 0, 0
    for layer in range(net.silu.size):
        units = net.sizes[layer + 1]
        if layer:
            for unit in range(units):
                room.before[layer, unit] = net.bias[shift + unit]
            for i in range(net.sizes[layer]):
                for unit in range(units):
                    room.before[layer, unit] += room.after[layer - 1, i] * net.kernel[at + unit]
                at += units
            shift += units
        for unit in range(units):
            seen = room.before[layer, unit]
            room.share[layer, unit] = 1 / (1 + math.exp(-seen)) if net.silu[layer] else 1.0
            room.after[layer, unit] = seen * room.share[layer, unit]


@helper
def fall(net: Dense, room: Room) -> None:
    """The slopes of the one answer by what stands before each layer's function, after `rise`."""
    at, last = net.back.size, net.silu.size - 1
    room.slope[last, 0] = steepness(room.before[last, 0], room.share[last, 0])
    for layer in range(last, 0, -1):
        units, below = net.sizes[layer + 1], net.sizes[layer]
        at -= units * below
        for i in range(below):
            room.slope[layer - 1, i] = 0.0
        for unit in range(units):
            for i in range(below):
                room.slope[layer - 1, i] += room.slope[layer, unit] * net.back[at + unit * below + i]
        for i in range(below):
            room.slope[layer - 1, i] *= steepness(room.before[layer - 1, i], room.share[layer - 1, i])


@helper
def steepness(seen: float, share: float) -> float:
    """The slope of x / (1 + exp(-x)), of which `share` is the logistic part; where no function follows both are 1."""
    return share * (1 + seen * (1 - share))


def answer(numbers: np.ndarray, places: np.ndarray, net: Dense, room: Room, found: np.ndarray) -> None:
    """The answers of rows, shape (n, outputs)."""
    for row in range(numbers.shape[0]):
        enter(numbers[row], places[row], net, room.before[0])
        rise(net, room)
        for i in range(found.shape[1]):
            found[row, i] = room.after[net.silu.size - 1, i]


def add_ways(
    numbers: np.ndarray,
    places: np.ndarray,
    net: Dense,
    base: np.ndarray,
    base_told: np.ndarray,
    base_first: np.ndarray,
    points: np.ndarray,
    room: Room,
    way: np.ndarray,
    parts: np.ndarray,
) -> None:
    """Add what each input adds along the straight way from a base to a row.

    The way of the first layer is straight too, so that a point of it costs the other layers alone.

    Args:
        numbers: Of the rows, shape (n, k).
        places: Of their codes among all codes, shape (n, c).
        net: A network with one answer.
        base: The numbers where ways begin, shape (k,).
        base_told: What each text adds to the first layer there, shape (c, units).
        base_first: The first layer there, shape (units,).
        points: Where on the way slopes are taken, and what each counts, shape (2, points).
        room: For one row.
        way: Room for the first layer at the end, and for the mean slope, shape (2, units).
        parts: Of numbers, then texts, shape (n, k + c).
    """
    k, units = numbers.shape[1], net.start.size
    for row in range(numbers.shape[0]):
        enter(numbers[row], places[row], net, way[0])
        for unit in range(units):
            way[1, unit] = 0.0
        for point in range(points.shape[1]):
            for unit in range(units):
                room.before[0, unit] = base_first[unit] + points[0, point] * (way[0, unit] - base_first[unit])
            rise(net, room)
            fall(net, room)
            for unit in range(units):
                way[1, unit] += points[1, point] * room.slope[0, unit]
        for i in range(k):
            adds = 0.0
            for unit in range(units):
                adds += net.first[i, unit] * way[1, unit]
            parts[row, i] += (numbers[row, i] - base[i]) * adds
        for i in range(places.shape[1]):
            adds = 0.0
            for unit in range(units):
                adds += (net.told[places[row, i], unit] - base_told[i, unit]) * way[1, unit]
            parts[row, k + i] += adds
