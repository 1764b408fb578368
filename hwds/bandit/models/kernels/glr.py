"""The generalised likelihood ratio test of a change in a row of Bernoulli outcomes, in bounded memory, in compiled code.

Outcomes lie in buckets of 1, 2, 4, ... outcomes, the newest in the smallest (the exponential histogram of Datar et al.
2002). The ends of buckets are the points at which the test looks for a change: all of the last few, then ever wider apart, so
that a test costs O(log n) and a change is looked for within a few per cent of the outcomes since.
"""

from __future__ import annotations

import math

import numpy as np

from hwds.core.numba_cache import helper

LEVELS, WIDTH = 24, 9
"""Sizes of buckets, and most buckets of one size; a tenth makes two of them one of the next size."""

BLOCK = WIDTH + 2
SIZE = 2 + LEVELS * BLOCK
"""Numbers in the state of one row of outcomes: how many, conversions; for each size how many buckets, and their conversions."""


@helper
def forget(state: np.ndarray, first: int) -> None:
    """Begin a row anew whose numbers are at `first` of the state."""
    state[first], state[first + 1] = 0.0, 0.0
    for level in range(LEVELS):
        state[first + 2 + level * BLOCK] = 0.0


@helper
def add(state: np.ndarray, first: int, outcome: float) -> None:
    """Add one outcome, 0 or 1."""
    state[first] += 1.0
    state[first + 1] += outcome
    place, carried = first + 2, outcome
    for level in range(LEVELS):
        held = int(state[place])
        state[place + 1 + held] = carried
        if held < WIDTH or level == LEVELS - 1:
            state[place] = min(held + 1, WIDTH)
            return
        carried = state[place + 1] + state[place + 2]  # the two oldest
        for i in range(1, held):
            state[place + i] = state[place + i + 2]
        state[place] = held - 1.0
        place += BLOCK


@helper
def statistic(state: np.ndarray, first: int) -> float:
    """Return the highest of s kl(m1, m) + (n - s) kl(m2, m) over the points s at which buckets end; 0 where there is none.

    m is the mean of all n outcomes, m1 of the first s and m2 of the rest.
    """
    n, wins = state[first], state[first + 1]
    least, newer, newer_wins, size = math.inf, 0.0, 0.0, 1.0
    for level in range(LEVELS):
        place = first + 2 + level * BLOCK
        for i in range(int(state[place]), 0, -1):
            newer += size
            newer_wins += state[place + i]
            if newer >= n:
                return max(0.0, surprise(wins, n) - least)
            least = min(least, surprise(wins - newer_wins, n - newer) + surprise(newer_wins, newer))
        size *= 2.0
    return 0.0


@helper
def surprise(wins: float, n: float) -> float:
    """Return n times the entropy of the mean of n outcomes: their code length when the mean is known, in nats."""
    losses = n - wins
    if wins <= 0.0 or losses <= 0.0:
        return 0.0
    return n * math.log(n) - wins * math.log(wins) - losses * math.log(losses)


@helper
def threshold(n: float, level: float) -> float:
    """Return the threshold of the statistic of n outcomes: ln(3 n^1.5 / level), as Besson and Kaufmann (2019) advise."""
    return math.log(3.0 / level) + 1.5 * math.log(n)
