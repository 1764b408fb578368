"""The compiled loops that look for the cycle of each known machine that is most like a new one's."""

from __future__ import annotations

import numpy as np


def fill_nearest(
    asked: np.ndarray, known: np.ndarray, begins: np.ndarray, target: np.ndarray, distance: np.ndarray, life: np.ndarray
) -> None:
    """Write, for each machine that is known, the least squared distance of its cycles from each one that is asked.

    Args:
        asked: Coordinates, shape (n, d).
        known: Coordinates of known cycles, those of a machine side by side, shape (m, d).
        begins: The first cycle of each machine and the end, shape (k + 1,).
        target: The capped remaining life at each known cycle, shape (m,).
        distance: Of the nearest cycle of each machine, shape (n, k).
        life: The capped remaining life there, shape (n, k).
    """
    for row in range(len(asked)):
        for machine in range(len(begins) - 1):
            least = np.inf
            best = 0.0
            for i in range(begins[machine], begins[machine + 1]):
                total = 0.0
                for j in range(asked.shape[1]):
                    gap = asked[row, j] - known[i, j]
                    total += gap * gap
                    if total >= least:
                        break
                if total < least:
                    least = total
                    best = target[i]
            distance[row, machine] = least
            life[row, machine] = best
