"""Payments of the handbook's simulation before there is any fraud, made by a compiled kernel."""

from __future__ import annotations

import math
import random

import numpy as np
from numpy import ndarray

from hwds.core.compiling import compiled, helper

# One customer's payments from uniform numbers, by the laws of numpy's legacy generator:
# compiled.
# Numpy has frozen what `RandomState` draws (NEP 19): a Poisson number by products of uniforms
# (Knuth 1969), normal ones in pairs by the polar method (Marsaglia and Bray 1964). What is
# drawn next hangs on what was drawn before, so that no array of them can be asked for; here
# they are made from the stream of uniforms itself.

DAY = 86_400
"""Seconds."""

SPREAD = 20_000
"""Standard deviation of the second of the day around noon."""

PLACE, KEPT, FULL, MADE = 0, 1, 2, 3
"""Of the numbers that are carried along: how many uniforms are used, a normal number kept for the
next call, whether one is, and how many payments there are.
"""


def customer_payments(
    uniforms: ndarray,
    rate: float,
    mean: float,
    days: int,
    carried: ndarray,
    second: ndarray,
    amount: ndarray,
) -> bool:
    """Fill the second since the start and the amount (not yet rounded) of each payment.

    False where the uniforms ran out.

    Args:
        uniforms: The customer's own stream.
        rate: Payments a day, those of nights that fall out of the day included.
        mean: The mean of an amount; its standard deviation is half of it.
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
def _uniform(uniforms: ndarray, carried: ndarray) -> float:
    place = int(carried[PLACE])
    carried[PLACE] += 1
    return float(uniforms[place])


@helper
def _poisson(uniforms: ndarray, floor: float, carried: ndarray) -> int:
    """Return how many uniforms are multiplied before the product is down at exp(-rate)."""
    count, product = 0, _uniform(uniforms, carried)
    while product > floor:
        product *= _uniform(uniforms, carried)
        count += 1
    return count


@helper
def _normal(uniforms: ndarray, carried: ndarray) -> float:
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


# Payments of the handbook's simulation before there is any fraud: customers, terminals, times
# and amounts.

SEEDS = 2**32
"""The bound of seeds of a legacy generator."""


def customers(seed: int, count: int) -> ndarray:
    """Return place across and up (0 to 100), mean amount (5 to 100) and payments a day (0 to 4) of
    each, shape (count, 4).
    """
    low, high = np.array([0.0, 0, 5, 0]), np.array([100.0, 100, 100, 4])
    return low + (high - low) * np.random.RandomState(seed % SEEDS).random_sample((count, 4))


def terminals(seed: int, count: int) -> ndarray:
    """Return place across and up of each, shape (count, 2)."""
    return 100 * np.random.RandomState(seed % SEEDS).random_sample((count, 2))


def payments(
    people: ndarray, places: ndarray, *, days: int, radius: float, shift: int
) -> dict[str, ndarray]:
    """Return all payments in the order of time, those of one second by customer.

    Args:
        people: What `customers` gives.
        places: What `terminals` gives.
        days: How many.
        radius: How far a customer goes to pay.
        shift: Added to a customer's number, which names the customer's two streams.

    Returns:
        `second` since the start, `customer`, `terminal` and `amount`.
    """
    fill, pieces = compiled(customer_payments), []
    for customer, (across, up, mean, rate) in enumerate(people):
        near = np.flatnonzero(np.sqrt(np.sum((places - (across, up)) ** 2, axis=1)) < radius)
        if len(near):
            seed = (customer + shift) % SEEDS
            second, amount = _own(fill, seed, rate, mean, days)
            where = near[_below(seed, len(near), len(second))]
            pieces.append((second, np.full(len(second), customer), where, amount))
    columns = (
        [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
        if pieces
        else [np.zeros(0, np.int64)] * 4
    )
    order = np.argsort(columns[0], kind="stable")
    return {
        name: values[order]
        for name, values in zip(("second", "customer", "terminal", "amount"), columns, strict=True)
    }


def _own(fill: object, seed: int, rate: float, mean: float, days: int) -> tuple[ndarray, ndarray]:
    """Return seconds and amounts of one customer: more uniforms are drawn until they suffice."""
    assert callable(fill)
    room = int(days * (5 * rate + 2)) + 512
    while True:
        uniforms = np.random.RandomState(seed).random_sample(room)
        carried, second, amount = np.zeros(4), np.zeros(room // 2, np.int64), np.zeros(room // 2)
        if fill(uniforms, rate, mean, days, carried, second, amount):
            made = int(carried[MADE])
            return second[:made], np.round(amount[:made], 2)
        room *= 2


def _below(seed: int, count: int, size: int) -> ndarray:
    """Return what `random.Random(seed)` chooses so often from so many: the first bits of a word,
    but for too large ones.
    """
    bits, room, rng = count.bit_length(), 3 * size + 64, random.Random(seed)
    chosen = np.zeros(0, np.int64)
    while len(chosen) < size:
        words = np.frombuffer(rng.randbytes(4 * room), "<u4").astype(np.int64) >> (32 - bits)
        chosen = np.concatenate([chosen, words[words < count]])
    return chosen[:size]
