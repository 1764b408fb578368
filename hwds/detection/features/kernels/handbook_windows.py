"""Counts and means over trailing windows of rows of the same entity: compiled."""

from __future__ import annotations

import numpy as np

from hwds.core.numba_cache import compiled
from hwds.features.rows.moments import Moments

FRIDAY, NIGHT = 5, 6
"""The last weekday before the weekend, counted from Monday as 1, and the last hour of the night."""


def trailing(code: np.ndarray, value: np.ndarray, moments: Moments, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many rows of its entity each row sees in the windows that end with it, itself included, and their mean.

    A row looks back over those of its entity one by one, the latest first, so that a sum is added up in the same order whatever
    comes later, and a row that arrived late is passed over; the cost grows with the rows of an entity in the longest window.

    Args:
        code: The entity of each row, shape (n,); rows without one (-1) see none.
        value: What the mean is of, NaN where it is not known, shape (n,).
        moments: When rows happened and arrived.
        reach: The windows' lengths in microseconds, rising, shape (k,).

    Returns:
        Counts and means, each of shape (n, k); a mean of nothing is NaN.
    """
    order = by_entity(code, moments.time, moments.place)
    count, valued, total = np.zeros((3, len(code), len(reach)))
    compiled(look_back)(order, code, moments.time, moments.place, value, reach, count, valued, total)
    below = np.cumsum(valued, axis=1)
    mean = np.divide(np.cumsum(total, axis=1), below, out=np.full(below.shape, np.nan), where=below > 0)
    return np.cumsum(count, axis=1), mean


def by_entity(code: np.ndarray, time: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the rows of entities by entity, then time, then arrival; arguments as in `look_back`."""
    order = np.lexsort((place, time, code))
    return order[np.searchsorted(code[order], 0) :]


def look_back(
    order: np.ndarray,
    code: np.ndarray,
    time: np.ndarray,
    place: np.ndarray,
    value: np.ndarray,
    reach: np.ndarray,
    count: np.ndarray,
    valued: np.ndarray,
    total: np.ndarray,
) -> None:
    """Count each row that is seen in the shortest window that holds it.

    Args:
        order: Rows by entity, then time, then arrival.
        code: The entity of each row.
        time: When each happened.
        place: In the order of arrival.
        value: What is summed up.
        reach: The windows' lengths, rising.
        count: To be filled, one column a window.
        valued: To be filled: how many have a value.
        total: To be filled: the sum of the values.
    """
    for at in range(len(order)):
        row, back, window = order[at], at, 0
        while back >= 0 and code[order[back]] == code[row]:
            seen = order[back]
            while window < len(reach) and time[row] - time[seen] >= reach[window]:
                window += 1
            if window == len(reach):
                break
            if place[seen] <= place[row]:
                count[row, window] += 1
                if not np.isnan(value[seen]):
                    valued[row, window] += 1
                    total[row, window] += value[seen]
            back -= 1
