"""The lowest value over a trailing window of rows of the same entity: compiled."""

from __future__ import annotations

import math

import numpy as np


def look_lowest(
    order: np.ndarray,
    code: np.ndarray,
    time: np.ndarray,
    place: np.ndarray,
    value: np.ndarray,
    reach: int,
    out: np.ndarray,
) -> None:
    """Fill in the lowest value that each row sees in the window that ends with it, itself included.

    Args:
        order: Rows by entity, then time, then arrival.
        code: The entity of each row.
        time: When each happened, in microseconds.
        place: In the order of arrival.
        value: NaN where it is not known.
        reach: The window's length in microseconds.
        out: NaN where nothing is known, shape (n,).
    """
    for at in range(len(order)):
        row, back = order[at], at
        lowest = math.inf
        while back >= 0 and code[order[back]] == code[row] and time[row] - time[order[back]] < reach:
            seen = order[back]
            if place[seen] <= place[row] and value[seen] < lowest:
                lowest = value[seen]
            back -= 1
        if lowest < math.inf:
            out[row] = lowest
