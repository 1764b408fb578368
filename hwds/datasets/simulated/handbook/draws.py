"""One customer's payments from uniform numbers, by the laws of numpy's legacy generator: compiled.

Numpy has frozen what `RandomState` draws (NEP 19): a Poisson number by products of uniforms (Knuth 1969), normal ones in pairs
by the polar method (Marsaglia and Bray 1964). What is drawn next hangs on what was drawn before, so that no array of them can
be asked for; here they are made from the stream of uniforms itself.
"""

from __future__ import annotations

import math

import numpy as np

from hwds.core.numba_cache import helper

DAY = 86_400
"""Seconds."""

SPREAD = 20_000
"""Standard deviation of the second of the day around noon."""

PLACE, KEPT, FULL, MADE = 0, 1, 2, 3
"""Of the numbers that are carried along: how many uniforms are used, a normal number kept for the next call, whether one is,
and how many payments there are."""


def customer_payments(
    uniforms: np.ndarray, rate: float, mean: float, days: int, carried: np.ndarray, second: np.ndarray, amount: np.ndarray
) -> bool:
    """Fill the second since the start and the amount (not yet rounded) of each payment; False where the uniforms ran out.

    Args:
        uniforms: The customer's own stream.
        rate: Payments a day, those of nights that fall out of the day included.
        mean: Of an amount; its standard deviation is half of it.
        days: How many.
        carried: Four zeros; the number of payments is found in the last of them.
        second: To be filled, one for every two uniforms.
        amount: To be filled, likewise.
    """
    floor = math.exp(-rate)
    for day in range(days):
        if carried[PLACE] + 64 > len(uniforms):
            return False
        for _ in range(_poisson(uniforms, floor, carried)):
            if carried[PLACE] + 256 > len(uniforms):
                return False
            time = int(DAY / 2 + SPREAD * _normal(uniforms, carried))
            if 0 < time < DAY:
                paid = mean + mean / 2 * _normal(uniforms, carried)
                if paid < 0:
                    paid = mean * 2 * _uniform(uniforms, carried)
                made = int(carried[MADE])
                second[made], amount[made] = time + day * DAY, paid
                carried[MADE] += 1
    return True


@helper
def _uniform(uniforms: np.ndarray, carried: np.ndarray) -> float:
    place = int(carried[PLACE])
    carried[PLACE] += 1
    return float(uniforms[place])


@helper
def _poisson(uniforms: np.ndarray, floor: float, carried: np.ndarray) -> int:
    """Return how many uniforms are multiplied before the product is down at exp(-rate)."""
    count, product = 0, _uniform(uniforms, carried)
    while product > floor:
        product *= _uniform(uniforms, carried)
        count += 1
    return count


@helper
def _normal(uniforms: np.ndarray, carried: np.ndarray) -> float:
    """Return one of a pair of standard normal numbers; the other is kept for the next call."""
    if carried[FULL]:
        carried[FULL] = 0.0
        return float(carried[KEPT])
    across = up = length = 0.0
    while length >= 1.0 or length == 0.0:
        across = 2.0 * _uniform(uniforms, carried) - 1.0
        up = 2.0 * _uniform(uniforms, carried) - 1.0
        length = across * across + up * up
    stretch = math.sqrt(-2.0 * math.log(length) / length)
    carried[KEPT], carried[FULL] = stretch * across, 1.0
    return stretch * up
