"""New rows of runs that go on, and what of the rows before them is still needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from hwds.core.serialization import Serializable


@dataclass(frozen=True, eq=False)
class RowsOfRuns:
    """New rows of some runs, those of a run side by side and in the order of their cycles.

    Attributes:
        counts: How many of each run, shape (runs,).
        cycles: Shape (rows,).
        sensors: Shape (rows, sensors).
        settings: Shape (rows, settings).
    """

    counts: np.ndarray
    cycles: np.ndarray
    sensors: np.ndarray
    settings: np.ndarray


@dataclass(eq=False)
class SignalState(Serializable):
    """The past of a run that its windows need.

    Attributes:
        tail: The signals of its last rows, shape (at most the longest window less one, signals).
        top: The weighted sums of the exponentially weighted means, shape (weights, signals).
        bottom: The sums of their weights, the same.
    """

    tail: np.ndarray
    top: np.ndarray
    bottom: np.ndarray


@dataclass(frozen=True, eq=False)
class Stacked:
    """The last rows of runs with their new ones, one run after the other.

    Attributes:
        values: Shape (rows, k).
        begins: The first row of the run of each new one, shape (new rows,). It is the run's first only where the past goes
            back to it; where not, no window does either.
        rows: The places of the new ones, shape (new rows,).
        ends: Where each run ends, shape (runs,).
    """

    values: np.ndarray
    begins: np.ndarray
    rows: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, tails: Sequence[np.ndarray], new: np.ndarray, counts: np.ndarray) -> Self:
        """Return the tails of runs with new rows after each.

        Args:
            tails: Of each run, shape (rows, k).
            new: Rows of the runs side by side, shape (new rows, k).
            counts: How many of each run.
        """
        stops = np.cumsum(counts)
        parts = (
            part for tail, stop, count in zip(tails, stops, counts, strict=True) for part in (tail, new[stop - count : stop])
        )
        lengths = np.array([len(tail) for tail in tails])
        ends = np.cumsum(lengths + counts)
        within = np.arange(len(new)) - np.repeat(stops - counts, counts)
        starts = ends - lengths - counts
        rows = np.repeat(ends - counts, counts) + within
        return cls(np.concatenate([*parts]), np.repeat(starts, counts), rows, ends)

    @property
    def begins_of_all(self) -> np.ndarray:
        """The first row of the run of each row, old and new; shape (rows,)."""
        starts = np.concatenate([[0], self.ends[:-1]])
        return np.repeat(starts, self.ends - starts)

    def tails(self, length: int) -> Iterator[np.ndarray]:
        """Yield the last rows of each run, at most so many, as arrays of their own."""
        start = 0
        for end in self.ends.tolist():
            yield self.values[max(start, end - length) : end].copy()
            start = end
