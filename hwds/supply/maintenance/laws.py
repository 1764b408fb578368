"""LifeLaws: the evidence on a fleet that maintenance is decided from: laws of remaining lives, and how machines ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LifeLaws:
    """The laws of m machines at n inspections, and how long the machines lasted.

    Attributes:
        names: Of the machines, in order.
        ends: The age at which each failed or was last seen, shape (m,).
        failed: Whether it failed then, shape (m,).
        fold: The part in which each was held out; -1 where it has no prediction, shape (m,).
        start: When it was new on a clock that machines share, NaN where that is not known, shape (m,).
        machine: The place of each inspection's machine, shape (n,); sorted, ages rising.
        age: At each inspection, shape (n,).
        survival: The probability to run longer than 1, 2 ... slots more, shape (n, slots).
        median: Of the remaining life, shape (n,).
        slot: The time from one inspection to the next.
        unit: Of ages.
    """

    names: tuple[str, ...]
    ends: np.ndarray
    failed: np.ndarray
    fold: np.ndarray
    start: np.ndarray
    machine: np.ndarray
    age: np.ndarray
    survival: np.ndarray
    median: np.ndarray
    slot: float
    unit: str = "cycles"

    @property
    def m(self) -> int:
        """The number of machines."""
        return len(self.names)

    @property
    def slots(self) -> int:
        """The number of slots ahead that the laws reach."""
        return self.survival.shape[1]

    @property
    def has_clock(self) -> bool:
        """True where all machines share a clock."""
        return bool(np.isfinite(self.start).all())

    @property
    def curves(self) -> np.ndarray:
        """The survival with its beginning: 1 now; shape (n, slots + 1)."""
        return np.column_stack([np.ones(len(self.survival)), self.survival])

    @property
    def runs(self) -> np.ndarray:
        """The expected time that a machine runs within 1, 2 ... slots, shape (n, slots): the area under its curve."""
        curves = self.curves
        return np.asarray(self.slot * np.cumsum((curves[:, 1:] + curves[:, :-1]) / 2, axis=1))

    @property
    def last_inspections(self) -> np.ndarray:
        """The place of the last inspection of each machine that has one, in the order of machines."""
        return np.flatnonzero(np.append(self.machine[1:] != self.machine[:-1], True)) if len(self.machine) else np.zeros(0, int)
