"""The last rows of an entity as of each row: the compiled loop of Recent."""

from __future__ import annotations

import math

import numpy as np


def last_rows(
    order: np.ndarray,
    time: np.ndarray,
    values: np.ndarray,
    days: float,
    before: np.ndarray,
    after: np.ndarray,
    found: np.ndarray,
) -> None:
    """Fill `found` with the last rows of each row's entity, itself last.

    Rows are visited from the last to arrive to the first, and taken out of the chain of their entity: those left had arrived
    before.

    Args:
        order: The rows in the order of arrival.
        time: When each row happened.
        values: The inputs of each row, shape (n, inputs).
        days: In a unit of time.
        before: The row before each one in its entity's chain, -1 for none; taken apart.
        after: The row after it.
        found: The answer, shape (n, length, 2 + inputs): zeros.
    """
    length, inputs = found.shape[1], values.shape[1]
    for place in range(len(order) - 1, -1, -1):
        row = order[place]
        own = row
        for step in range(length - 1, -1, -1):
            earlier = before[own]
            found[row, step, 0] = 1.0
            if earlier >= 0:
                found[row, step, 1] = math.log1p((time[own] - time[earlier]) * days)
            for k in range(inputs):
                found[row, step, 2 + k] = values[own, k]
            if earlier < 0:
                break
            own = earlier
        if before[row] >= 0:
            after[before[row]] = after[row]
        if after[row] >= 0:
            before[after[row]] = before[row]
