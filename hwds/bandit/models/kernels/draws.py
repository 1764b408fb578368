"""Random numbers inside compiled code: streams of four words, and draws named by counters."""

from __future__ import annotations

import math

import numpy as np
from numpy import ndarray

from hwds.core.compiling import helper

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
UNIT = 1.0 / 9007199254740992.0
LAYERS = 256


def _ziggurat() -> ndarray:
    """Return the edges of 256 layers of equal area under exp(-x^2/2), the tail in layer 0 (Doornik
    2005).
    """
    edge, area = 3.6541528853610088, 0.00492867323399
    edges = np.zeros(LAYERS + 1)
    edges[0], edges[1] = area / math.exp(-0.5 * edge * edge), edge
    for i in range(2, LAYERS):
        edges[i] = math.sqrt(
            -2 * math.log(area / edges[i - 1] + math.exp(-0.5 * edges[i - 1] ** 2))
        )
    return edges


EDGES = _ziggurat()
HEIGHTS = np.exp(-0.5 * EDGES * EDGES)
INNER = EDGES[1:] / EDGES[:-1]


@helper
def mix_word(word: np.uint64) -> np.uint64:
    """Return the word mixed by SplitMix64 (Steele, Lea and Flood 2014): every bit depends on every
    bit of the word.
    """
    word = (word ^ (word >> np.uint64(30))) * FIRST
    word = (word ^ (word >> np.uint64(27))) * SECOND
    return word ^ (word >> np.uint64(31))


@helper
def key_below(key: np.uint64, number: int) -> np.uint64:
    """Return the key of one of many things below another key."""
    return mix_word(key + GOLDEN * np.uint64(number + 1))


@helper
def as_uniform(word: np.uint64) -> float:
    """Return a word as a number in [0, 1)."""
    return (word >> np.uint64(11)) * UNIT


@helper
def seed_stream(stream: ndarray, key: np.uint64) -> None:
    """Begin the stream (4 words of uint64) of a key."""
    for i in range(4):
        stream[i] = key_below(key, i)


@helper
def word(stream: ndarray) -> np.uint64:
    """Return the next 64 bits: xoshiro256++ (Blackman and Vigna 2021)."""
    total = stream[0] + stream[3]
    drawn = ((total << np.uint64(23)) | (total >> np.uint64(41))) + stream[0]
    shifted = stream[1] << np.uint64(17)
    stream[2] ^= stream[0]
    stream[3] ^= stream[1]
    stream[1] ^= stream[2]
    stream[0] ^= stream[3]
    stream[2] ^= shifted
    stream[3] = (stream[3] << np.uint64(45)) | (stream[3] >> np.uint64(19))
    return drawn


@helper
def uniform(stream: ndarray) -> float:
    """Return a uniform draw in [0, 1)."""
    return (word(stream) >> np.uint64(11)) * UNIT


@helper
def exponential(stream: ndarray) -> float:
    """Return an exponential draw with mean 1."""
    return -math.log(1.0 - uniform(stream))


@helper
def standard_normal(stream: ndarray) -> float:
    """Return a standard normal draw, by the ziggurat (Marsaglia and Tsang 2000)."""
    while True:
        bits = word(stream)
        layer = int(bits & np.uint64(LAYERS - 1))
        side = 2.0 * ((bits >> np.uint64(11)) * UNIT) - 1.0
        if abs(side) < INNER[layer]:
            return side * EDGES[layer]
        if layer == 0:
            return _tail(stream, side)
        x = side * EDGES[layer]
        if HEIGHTS[layer + 1] + uniform(stream) * (HEIGHTS[layer] - HEIGHTS[layer + 1]) < math.exp(
            -0.5 * x * x
        ):
            return x


@helper
def _tail(stream: ndarray, side: float) -> float:
    while True:
        x = exponential(stream) / EDGES[1]
        y = exponential(stream)
        if y + y > x * x:
            return EDGES[1] + x if side > 0 else -(EDGES[1] + x)


@helper
def gamma(stream: ndarray, shape: float) -> float:
    """Return a gamma draw with scale 1, for a shape above 0 (Marsaglia and Tsang 2000)."""
    if shape < 1.0:
        return gamma_from_one(stream, shape + 1.0) * (1.0 - uniform(stream)) ** (1.0 / shape)
    return gamma_from_one(stream, shape)


@helper
def gamma_from_one(stream: ndarray, shape: float) -> float:
    """Return a gamma draw with scale 1, for a shape of at least 1."""
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x = standard_normal(stream)
        v = 1.0 + c * x
        if v <= 0.0:
            continue
        v = v * v * v
        u = uniform(stream)
        square = x * x
        if u < 1.0 - 0.0331 * square * square:
            return d * v
        if math.log(u) < 0.5 * square + d * (1.0 - v + math.log(v)):
            return d * v


@helper
def beta(stream: ndarray, a: float, b: float) -> float:
    """Return a draw of Beta(a, b)."""
    x = gamma(stream, a)
    return x / (x + gamma(stream, b))


@helper
def beta_from_one(stream: ndarray, a: float, b: float) -> float:
    """Return a draw of Beta(a, b), for parameters of at least 1."""
    x = gamma_from_one(stream, a)
    return x / (x + gamma_from_one(stream, b))


@helper
def choose_tied(stream: ndarray, ties: int) -> bool:
    """Return whether the newest of so many equals replaces the present one, so that each stays with
    the same probability.
    """
    return uniform(stream) * ties < 1.0
