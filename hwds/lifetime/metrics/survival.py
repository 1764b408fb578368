"""Scores of lives that censored machines count in: the order of failures, and the chance to last."""

from __future__ import annotations

import numpy as np

from hwds.lifetime.laws.lives import survival_at
from hwds.statistics.kaplan_meier import kaplan_meier

TIMES = 25
"""The times, evenly spread up to the cap, over which the Brier score is averaged."""


def concordant_pairs(
    point: np.ndarray, seen: np.ndarray, failed: np.ndarray, machine: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the concordant and the comparable pairs of predictions, summed by machine; shapes (machines, machines).

    A pair counts where one failed before the other was last seen (Harrell et al. 1982); equal points count one half. Two
    predictions of one machine are no pair.

    Args:
        point: Of the remaining life, shape (n,).
        seen: How long each lasted on.
        failed: Whether it failed then.
        machine: The number of its machine, from 0.
    """
    machines = int(machine.max()) + 1
    top, bottom = np.zeros((machines, machines)), np.zeros((machines, machines))
    for row in np.flatnonzero(failed):
        later = ((seen > seen[row]) | ((seen == seen[row]) & ~failed)) & (machine != machine[row])
        right = np.where(point > point[row], 1.0, np.where(point == point[row], 0.5, 0.0))
        top[machine[row]] += np.bincount(machine[later], right[later], machines)
        bottom[machine[row]] += np.bincount(machine[later], minlength=machines)
    return top, bottom


def brier_rows(quantiles: np.ndarray, seen: np.ndarray, failed: np.ndarray, cap: float) -> np.ndarray:
    """Return each row's mean squared error of the chance to last, over times up to the cap, shape (n,).

    Rows are weighted by the inverse of the chance not to be censored by then (Graf et al. 1999). Failures at a time leave
    before the censorings at it, for which they are no longer at risk.

    Args:
        quantiles: Of the remaining life, shape (n, levels).
        seen: How long each lasted on.
        failed: Whether it failed then.
        cap: The last time.
    """
    times = np.linspace(0, cap, TIMES + 1)[1:]
    lasts = survival_at(quantiles, times)
    ends, share = kaplan_meier(seen, ~failed, np.ones(len(seen)), events_first=False)

    def uncensored(at: np.ndarray) -> np.ndarray:
        place = np.searchsorted(ends, at, side="right") - 1
        return np.where(place >= 0, share[np.maximum(place, 0)], 1.0) if len(ends) else np.ones(at.shape)

    gone = (seen[:, None] <= times) & failed[:, None]
    there = seen[:, None] > times
    floor = 1e-3
    lost = gone * lasts**2 / np.maximum(uncensored(seen - 1e-9), floor)[:, None]
    kept = there * (1 - lasts) ** 2 / np.maximum(uncensored(times), floor)
    return np.asarray((lost + kept).mean(axis=1))
