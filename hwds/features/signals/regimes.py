"""Scales of sensors within operating conditions, learned from the runs of a fit."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from hwds.core.errors import DataError
from hwds.core.serialization import Serializable
from hwds.frames.run_checks import is_steady
from hwds.frames.runs import Runs

STILL = 1e-9
"""A standard deviation below so much of a sensor's size is rounding: it does not change within the condition."""


@dataclass(frozen=True, eq=False)
class RegimeScaling(Serializable):
    """The mean and the standard deviation of each sensor within each operating condition.

    Attributes:
        sensors: The columns that are scaled.
        settings: The columns that tell conditions apart; none where there is one condition.
        centres: Of each condition, in units of `spread`, shape (R, settings).
        spread: The standard deviation of each setting, 1 where it does not change; shape (settings,).
        mean: Shape (R, sensors).
        sd: The same; 0 where a sensor does not change within a condition.
    """

    sensors: tuple[str, ...]
    settings: tuple[str, ...]
    centres: np.ndarray
    spread: np.ndarray
    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def learn(cls, runs: Runs, regimes: int = 0) -> Self:
        """Return the scales of runs.

        Args:
            runs: Whose rows are looked at, each as much as any other.
            regimes: Conditions to tell apart by k-means of the settings; 0 takes as many as the data says it has.

        Raises:
            DataError: No sensor changes.
        """
        if all(is_steady(runs.data[name]) for name in runs.sensors):
            raise DataError("dataset.roles.sensor: no sensor changes in the runs to learn from.")
        wanted = (regimes or runs.regimes) if runs.settings else 1
        settings = runs.settings if wanted > 1 else ()
        values = runs.numbers(settings)
        spread = values.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        centres = _centres(values / spread, wanted) if settings else np.zeros((1, 0))
        regime = nearest(values / spread, centres)
        numbers = runs.numbers(runs.sensors)
        mean = np.stack([numbers[regime == r].mean(axis=0) for r in range(len(centres))])
        sd = np.stack([numbers[regime == r].std(axis=0) for r in range(len(centres))])
        sd = np.where(sd > STILL * np.maximum(np.abs(mean), 1.0), sd, 0.0)
        return cls(runs.sensors, settings, centres, spread, mean, sd)

    def within_runs(self, runs: Runs) -> Self:
        """Return the scales with the levels of conditions by differences within runs, less each run's straight line in its age.

        A mean over all rows of a condition also has how worn the machines happened to be in it. With a few dozen machines that
        differs from condition to condition by as much as the noise of a good sensor.

        Args:
            runs: Those that the scales were learned from.
        """
        if len(self.centres) == 1:
            return self
        regime = nearest(runs.numbers(self.settings) / self.spread, self.centres)
        numbers, which = runs.numbers(self.sensors), np.eye(len(self.centres))[regime]
        off = np.empty((len(numbers), which.shape[1] + numbers.shape[1]))
        for begin, end in itertools.pairwise(runs.offsets):
            line, _ = np.linalg.qr(np.column_stack([np.ones(end - begin), runs.cycles[begin:end]]))
            part = np.column_stack([which[begin:end], numbers[begin:end]])
            off[begin:end] = part - line @ (line.T @ part)
        level = np.linalg.lstsq(off[:, : which.shape[1]], off[:, which.shape[1] :], rcond=None)[0]
        mean = level - which.mean(axis=0) @ level + numbers.mean(axis=0)
        sd = (numbers - mean[regime]).std(axis=0)
        return replace(self, mean=mean, sd=np.where(self.sd > 0, sd, 0.0))

    def scaled(self, runs: Runs) -> np.ndarray:
        """Return the sensors of each row less the mean of its condition, in its standard deviations; shape (rows, sensors)."""
        return self.scaled_numbers(runs.numbers(self.sensors), runs.numbers(self.settings))

    def scaled_numbers(self, numbers: np.ndarray, settings: np.ndarray) -> np.ndarray:
        """Return the same of rows as arrays.

        Args:
            numbers: Of the sensors, shape (rows, sensors).
            settings: Shape (rows, settings).
        """
        regime = nearest(settings / self.spread, self.centres)
        sd = self.sd[regime]
        return np.where(sd > 0, (numbers - self.mean[regime]) / np.where(sd > 0, sd, 1.0), 0.0)


def nearest(values: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the number of the nearest centre of each row, shape (rows,)."""
    if len(centres) == 1:
        return np.zeros(len(values), np.int64)
    distances = [_squared_distance(values, centre) for centre in centres]
    return np.argmin(np.stack(distances), axis=0)


def _squared_distance(values: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return that of each row, summed setting by setting: a sum by blocks has other bits of one row alone."""
    total = np.zeros(len(values))
    for column in range(values.shape[1]):
        total += (values[:, column] - centre[column]) ** 2
    return total


def _centres(values: np.ndarray, regimes: int) -> np.ndarray:
    """Return the centres of k-means, begun at the rows that lie farthest apart (Gonzalez 1985): nothing is drawn."""
    from scipy.cluster.vq import kmeans2

    first = int(np.argmin(((values - values.mean(axis=0)) ** 2).sum(axis=1)))
    begun, distance = [first], ((values - values[first]) ** 2).sum(axis=1)
    while len(begun) < regimes and distance.max() > 0:
        begun.append(int(np.argmax(distance)))
        distance = np.minimum(distance, ((values - values[begun[-1]]) ** 2).sum(axis=1))
    centres, labels = kmeans2(values, values[begun], minit="matrix", missing="warn")
    return centres[np.unique(labels)]
