"""Median and spread of groups of rows in sliding windows of days, and how a row stands to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hwds.core.compiling import compiled, helper
from hwds.frames.rows import DAY_MICROSECONDS

# Median and spread of groups of rows in sliding windows of days; compiled by numba.


class Entries(NamedTuple):
    """Values by group, by the day on which they enter the group's window, and then by size.

    Attributes:
        value: Known ones alone.
        leaves: The first day on which a value is not in the window any more.
        starts: The place where the values of a group and day begin, at `group * days + day`, and
            the end.
    """

    value: ndarray
    leaves: ndarray
    starts: ndarray


class Spread(NamedTuple):
    """Median and spread of each group on each day, each array of shape (groups, days).

    Attributes:
        median: The median of the values in the window; 0 where there are none.
        deviation: The median absolute deviation from the median (MAD); 0 where there are none.
        rows: The number of values.
    """

    median: ndarray
    deviation: ndarray
    rows: ndarray


def spread_of(
    values: ndarray,
    group: ndarray,
    groups: int,
    enters: ndarray,
    leaves: ndarray,
    days: int,
) -> Spread:
    """Median and MAD of each group on each day.

    Args:
        values: The values of the rows, NaN where not known.
        group: The group of each row, from 0.
        groups: The number of groups.
        enters: The first day on which a row is in the window, from 0.
        leaves: The first day on which it is not any more.
        days: The number of days.
    """
    entering = np.flatnonzero((enters < np.minimum(leaves, days)) & ~np.isnan(values))
    by_size = entering[np.argsort(values[entering], kind="stable")]
    key = group[by_size] * days + enters[by_size]
    rows = by_size[np.argsort(key, kind="stable")]
    starts = np.concatenate([[0], np.cumsum(np.bincount(key, minlength=groups * days))])
    spread = Spread(*(np.zeros((groups, days)) for _ in range(3)))
    scratch = np.empty((2, len(rows))), np.empty((2, len(rows)), np.int64)
    compiled(fill_spread)(Entries(values[rows], leaves[rows], starts), *scratch, spread)
    return spread


def fill_spread(entries: Entries, held: ndarray, until: ndarray, spread: Spread) -> None:
    """Let values into each group's window day by day, and out of it.

    They stay sorted, so that each day is one merge.

    Args:
        entries: The values.
        held: Scratch: the values in the window, and those of the day before, shape (2, values).
        until: Scratch: when they leave it.
        spread: The median and spread, to be filled.
    """
    groups, days = spread.median.shape
    for group in range(groups):
        size, now = 0, 0
        for day in range(days):
            size = _merge(entries, held, until, now, size, day, group * days + day)
            now = 1 - now
            if size:
                spread.median[group, day] = 0.5 * (
                    held[now, (size - 1) // 2] + held[now, size // 2]
                )
                spread.deviation[group, day] = _deviation(
                    held, now, size, spread.median[group, day]
                )
                spread.rows[group, day] = size


@helper
def _merge(
    entries: Entries,
    held: ndarray,
    until: ndarray,
    old: int,
    size: int,
    day: int,
    bucket: int,
) -> int:
    """Write the window of a day into the other half of the scratch; return its size."""
    new, written = 1 - old, 0
    entry, end = entries.starts[bucket], entries.starts[bucket + 1]
    # Both halves are sorted, so that one pass merges what stays with what enters.
    for k in range(size):
        if until[old, k] <= day:
            continue
        while entry < end and entries.value[entry] < held[old, k]:
            held[new, written], until[new, written] = entries.value[entry], entries.leaves[entry]
            entry, written = entry + 1, written + 1
        held[new, written], until[new, written] = held[old, k], until[old, k]
        written += 1
    while entry < end:
        held[new, written], until[new, written] = entries.value[entry], entries.leaves[entry]
        entry, written = entry + 1, written + 1
    return written


@helper
def _deviation(held: ndarray, row: int, size: int, median: float) -> float:
    """Return the median distance of sorted values from their median."""
    upper = _distance(held, row, size, median, size // 2 + 1)
    return upper if size % 2 else 0.5 * (_distance(held, row, size, median, size // 2) + upper)


@helper
def _distance(held: ndarray, row: int, size: int, median: float, k: int) -> float:
    """Return the k-th smallest distance from the median.

    On either side the distances are sorted already.
    """
    below = size // 2
    low, high = max(0, k - (size - below)), min(k, below)
    while low < high:  # how many of the k nearest lie below
        left = (low + high) // 2
        if held[row, below + k - left - 1] - median > median - held[row, below - 1 - left]:
            low = left + 1
        else:
            high = left
    nearest = median - held[row, below - low] if low else -math.inf
    return max(nearest, held[row, below + k - low - 1] - median) if k > low else nearest


# Reference of a row: median and MAD of its group in past days, shrunk to those of the next
# larger group.

NORMAL = 1.4826
"""The standard deviation of a normal distribution over its MAD."""

Level = tuple[ndarray, ndarray]
"""The group of each row, and of each group the larger one that it is of."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The rows that a row is compared with.

    Attributes:
        window: Days in the reference.
        gap: Whole days between the window and the row's day.
        shrink: The number of rows that the larger group counts for.
    """

    window: int
    gap: int
    shrink: float

    def days_of(self, time: ndarray, arrival: ndarray) -> tuple[ndarray, ndarray, ndarray]:
        """Return each row's day, the first day on which it is in the reference of others, and the
        first on which it is not.
        """
        happened, arrived = time // DAY_MICROSECONDS, arrival // DAY_MICROSECONDS
        enters = np.maximum(happened + self.gap, arrived) + 1
        return np.minimum(happened, arrived), enters, happened + self.gap + self.window + 1

    def spreads(
        self,
        values: ndarray,
        levels: Sequence[Level],
        enters: ndarray,
        leaves: ndarray,
        days: int,
    ) -> list[Spread]:
        """Return the spread of each level's groups on each day, shrunk to that of the next larger
        group.

        Args:
            values: The values of the rows, NaN where not known.
            levels: The groups of each level, from all rows to the narrowest.
            enters: The first day on which a row is in the reference, from 0.
            leaves: The first day on which it is not any more.
            days: The number of days.
        """
        shrunk: list[Spread] = []
        for group, parent in levels:
            spread = spread_of(values, group, len(parent), enters, leaves, days)
            shrunk.append(self._shrink_groups(spread, shrunk[-1], parent) if shrunk else spread)
        return shrunk

    def _shrink_groups(self, spread: Spread, larger: Spread, parent: ndarray) -> Spread:
        """Return the spread of each group: its own, as far as its rows go, and the larger
        group's.
        """
        median, deviation, rows = (values[parent] for values in larger)
        scaled = np.where(spread.deviation > 0, spread.rows, 0.0)
        alone = np.where(spread.rows >= self.shrink, spread.deviation, 0.0)
        mixed = np.where(
            deviation > 0, _shrink(spread.deviation, scaled, deviation, self.shrink), alone
        )
        return Spread(_shrink(spread.median, spread.rows, median, self.shrink), mixed, rows)


def compare_with_peers(values: ndarray, spread: Spread) -> tuple[ndarray, ndarray]:
    """Return the median of each value's peers, and its distance from it in standard deviations.

    NaN where not known.
    """
    known, scale = spread.rows > 0, NORMAL * spread.deviation
    z = np.divide(
        values - spread.median, scale, out=np.full(len(values), np.nan), where=known & (scale > 0)
    )
    return np.where(known, spread.median, np.nan), z


def _shrink(value: ndarray, rows: ndarray, larger: ndarray, shrink: float) -> ndarray:
    return np.divide(
        rows * value + shrink * larger, rows + shrink, out=larger.copy(), where=rows > 0
    )
