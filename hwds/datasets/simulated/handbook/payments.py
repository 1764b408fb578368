"""Payments of the handbook's simulation before there is any fraud: customers, terminals, times and amounts."""

from __future__ import annotations

import random

import numpy as np

from hwds.core.numba_cache import compiled
from hwds.datasets.simulated.handbook.draws import MADE, customer_payments

SEEDS = 2**32
"""The bound of seeds of a legacy generator."""


def customers(seed: int, count: int) -> np.ndarray:
    """Return place across and up (0 to 100), mean amount (5 to 100) and payments a day (0 to 4) of each, shape (count, 4)."""
    low, high = np.array([0.0, 0, 5, 0]), np.array([100.0, 100, 100, 4])
    return low + (high - low) * np.random.RandomState(seed % SEEDS).random_sample((count, 4))


def terminals(seed: int, count: int) -> np.ndarray:
    """Return place across and up of each, shape (count, 2)."""
    return 100 * np.random.RandomState(seed % SEEDS).random_sample((count, 2))


def payments(people: np.ndarray, places: np.ndarray, *, days: int, radius: float, shift: int) -> dict[str, np.ndarray]:
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
    columns = [np.concatenate(parts) for parts in zip(*pieces, strict=True)] if pieces else [np.zeros(0, np.int64)] * 4
    order = np.argsort(columns[0], kind="stable")
    return {name: values[order] for name, values in zip(("second", "customer", "terminal", "amount"), columns, strict=True)}


def _own(fill: object, seed: int, rate: float, mean: float, days: int) -> tuple[np.ndarray, np.ndarray]:
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


def _below(seed: int, count: int, size: int) -> np.ndarray:
    """Return what `random.Random(seed)` chooses so often from so many: the first bits of a word, but for too large ones."""
    bits, room, rng = count.bit_length(), 3 * size + 64, random.Random(seed)
    chosen = np.zeros(0, np.int64)
    while len(chosen) < size:
        words = np.frombuffer(rng.randbytes(4 * room), "<u4").astype(np.int64) >> (32 - bits)
        chosen = np.concatenate([chosen, words[words < count]])
    return chosen[:size]
