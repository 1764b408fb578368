"""Departures of each row's features from the first rows of the same run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from hwds.core.serialization import Serializable
from hwds.features.base import LearnedRunFeatures, RunFeatures
from hwds.frames.runs import Runs

SMALLEST = 1e-9
"""A usual departure below this, in standard deviations of the sensor, is rounding."""

NEAREST = 0.5
"""The time since the reference at least, against the typical one: what is usual does not shrink without end."""

WARM_UP = 0.25
"""The share of the first rows that windows have to fill: they do not count for what is usual."""


@dataclass(frozen=True, eq=False)
class Departures(Serializable):
    """Features less their mean in the first rows of the run, in units of how far they usually are from it later on.

    Machines of one kind differ in the levels of their sensors, and each is its own reference. A sensor that wanders while all
    is well (a temperature over a day) departs far as a rule, and so counts less than one that stays where it was. How far is
    usual grows with the time since the reference, as a power of it: that of its square is 1 for a random walk and 0 for a
    sensor that stays. It goes on beyond the rows that were learned from.

    Attributes:
        features: With the scales of the runs that were learned from.
        usual: The root mean square departure of each feature in normal rows, shape (features,).
        growth: The power with which its square grows, from 0 to 1, shape (features,).
        typical: Rows since the middle of the reference at which `usual` holds.
    """

    features: LearnedRunFeatures
    usual: np.ndarray
    growth: np.ndarray
    typical: float

    @classmethod
    def learn(cls, features: RunFeatures, runs: Runs, share: float) -> Self:
        """Return the departures with the scales of runs.

        Args:
            features: Of runs.
            runs: First parts, taken as normal.
            share: Of the rows of each that are its reference; how far later ones are from it is usual.
        """
        unscaled = cls(features.learn(runs), np.ones(1), np.zeros(1), 1.0)
        reference = reference_rows(runs, share)
        later = place_in_run(runs) >= reference[runs.run_of_row]
        squares = unscaled.compute(runs, reference)[later] ** 2
        since = rows_since(runs, reference)[later]
        usual = np.sqrt(squares.mean(axis=0))
        still = usual <= SMALLEST
        growth = np.where(still, 0.0, _growth(np.where(still, 1.0, squares), since))
        return replace(unscaled, usual=np.where(still, 1.0, usual), growth=growth, typical=float(since.mean()))

    @property
    def signals(self) -> tuple[str, ...]:
        """The sensor that each feature is computed of."""
        return tuple(name.rpartition(" ")[0] or name for name in self.features.names)

    @property
    def sensors(self) -> tuple[str, ...]:
        """The sensors, each once."""
        return tuple(dict.fromkeys(self.signals))

    def compute(self, runs: Runs, reference: np.ndarray) -> np.ndarray:
        """Return the departures of all rows, shape (rows, features).

        Args:
            runs: From their first row on.
            reference: How many first rows of each run are its reference, shape (n,).
        """
        values = self.features.compute(runs)
        levels = np.empty(values.shape)
        for run, (start, stop) in enumerate(zip(runs.offsets[:-1].tolist(), runs.offsets[1:].tolist(), strict=True)):
            levels[start:stop] = level_of(values[start : start + min(int(reference[run]), stop - start)])
        return self.from_levels(values, levels, rows_since(runs, reference))

    def from_levels(self, values: np.ndarray, levels: np.ndarray, since: np.ndarray) -> np.ndarray:
        """Return the departures of rows whose levels are known, shape (rows, features).

        Args:
            values: Features, shape (rows, features).
            levels: Of each row's run, the same shape.
            since: Rows from the middle of the reference to each, shape (rows,).
        """
        times = np.maximum(since / self.typical, NEAREST)
        return np.asarray((values - levels) / self.usual / times[:, None] ** (self.growth / 2))

    def by_sensor(self, parts: np.ndarray) -> np.ndarray:
        """Return the sums of what features contribute over those of each sensor, shape (rows, sensors)."""
        out = np.zeros((len(parts), len(self.sensors)))
        for column, signal in enumerate(self.signals):
            out[:, self.sensors.index(signal)] += parts[:, column]
        return out


def level_of(reference: np.ndarray) -> np.ndarray:
    """Return the mean of the features over a reference, but for the rows that windows have to fill; shape (features,)."""
    return np.asarray(reference[int(WARM_UP * len(reference)) :].mean(axis=0))


def place_in_run(runs: Runs) -> np.ndarray:
    """Return the place of each row in its run, from 0; shape (rows,)."""
    return np.asarray(np.arange(len(runs.data)) - runs.offsets[:-1][runs.run_of_row])


def rows_since(runs: Runs, reference: np.ndarray) -> np.ndarray:
    """Return the rows from the middle of its run's reference to each row, shape (rows,)."""
    return np.asarray(np.abs(place_in_run(runs) - reference[runs.run_of_row] / 2))


def _growth(squares: np.ndarray, since: np.ndarray) -> np.ndarray:
    """Return the power of the time by which squared departures grow, by their means in both halves of the time."""
    early = since <= np.median(since)
    if early.all() or not early.any():
        return np.zeros(squares.shape[1])
    ratio = squares[~early].mean(axis=0) / np.maximum(squares[early].mean(axis=0), 1e-300)
    return np.asarray(np.clip(np.log(ratio) / np.log(since[~early].mean() / since[early].mean()), 0.0, 1.0))


def reference_rows(runs: Runs, share: float) -> np.ndarray:
    """Return how many rows are the share of each run's, one at least and not all; shape (n,)."""
    return np.clip(np.floor(share * runs.lengths), 1, np.maximum(runs.lengths - 1, 1)).astype(np.int64)
