"""The last rows of an entity as of each row: the compiled loop of Recent."""

from __future__ import annotations

import math

import numpy as np

MARKS = 2
"""Inputs of each step that are made of the rows' times: whether there is a row, and the days since the one before."""


def flattened(values: np.ndarray) -> np.ndarray:
    """Return sign(x) log(1 + |x|), on which a thousand is not far from a hundred; 0 where there is no number."""
    return np.nan_to_num(np.sign(values) * np.log1p(np.abs(values)), nan=0.0)


def last_rows(
    order: np.ndarray,
    time: np.ndarray,
    values: np.ndarray,
    days: float,
    before: np.ndarray,
    after: np.ndarray,
    out: np.ndarray,
) -> None:
    """Fill `out` with the last rows of each row's entity, itself last.

    Rows are visited from the last to arrive to the first, and taken out of the chain of their entity: those left had arrived
    before.

    Args:
        order: The rows in the order of arrival.
        time: When each row happened.
        values: The inputs of each row, shape (n, inputs).
        days: In a unit of time.
        before: The row before each one in its entity's chain, -1 for none; taken apart.
        after: The row after it.
        out: The answer, shape (n, length, 2 + inputs): zeros.
    """
    length, inputs = out.shape[1], values.shape[1]
    for place in range(len(order) - 1, -1, -1):
        row = order[place]
        current = row
        for step in range(length - 1, -1, -1):
            earlier = before[current]
            out[row, step, 0] = 1.0
            if earlier >= 0:
                out[row, step, 1] = math.log1p((time[current] - time[earlier]) * days)
            for k in range(inputs):
                out[row, step, 2 + k] = values[current, k]
            if earlier < 0:
                break
            current = earlier
        if before[row] >= 0:
            after[before[row]] = after[row]
        if after[row] >= 0:
            before[after[row]] = before[row]
