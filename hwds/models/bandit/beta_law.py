"""The law of what an arm of `screened` earns: a Beta draw times its value."""

from __future__ import annotations

import math

import numpy as np

from hwds.compiled import helper


@helper
def density(values: np.ndarray, state: np.ndarray, arm: int, reward: float) -> float:
    """The density of an arm's reward, its sign apart."""
    count = values.size
    value = abs(values[arm])
    a, b, x = state[arm], state[count + arm], reward / value
    if x <= 0.0:
        return (b + 1.0) / value if a == 0.0 else 0.0
    if x >= 1.0:
        return (a + 1.0) / value if b == 0.0 and x == 1.0 else 0.0
    return (b + 1.0) / value * math.exp(state[2 * count + arm] + a * math.log(x) + b * math.log1p(-x))


@helper
def distribution(values: np.ndarray, state: np.ndarray, arm: int, reward: float) -> float:
    """The chance that an arm's reward, its sign apart, is below one."""
    count = values.size
    a, b, x = state[arm] + 1.0, state[count + arm] + 1.0, reward / abs(values[arm])
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = b * math.exp(state[2 * count + arm] + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(a, b, x) / a
    return 1.0 - front * _fraction(b, a, 1.0 - x) / b


@helper
def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method (Numerical Recipes, 6.4)."""
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1.0))
    total = d
    for m in range(1, 10000):
        even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        d, c = 1.0 / _away(1.0 + even * d), _away(1.0 + even / c)
        total *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        d, c = 1.0 / _away(1.0 + odd * d), _away(1.0 + odd / c)
        total *= d * c
        if abs(d * c - 1.0) < 1e-14:
            break
    return total


@helper
def _away(number: float) -> float:
    """Not 0."""
    return number if abs(number) > 1e-300 else 1e-300
