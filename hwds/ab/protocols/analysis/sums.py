"""Running sums as the evidence of a test: at each instant the units of an arm so far, their mean and variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.ab.metrics.sample import Arm, Moments, Needs, Sample
from hwds.ab.protocols.analysis.columns import ROUNDING, arm_codes, arm_names, day_ends, floats
from hwds.core.errors import ConfigError, DataError
from hwds.frames.table import Table

SUMS = ("count", "mean", "variance")
"""The roles of running sums."""


@dataclass(frozen=True, eq=False)
class Sums:
    """Running sums by instant and arm; an arm without a row at an instant keeps what it had.

    Attributes:
        arms: Their names, the control first.
        times: The instants, rising.
        count, mean, variance: Of shape (instants, arms); the variance has the divisor n - 1.
    """

    arms: tuple[str, ...]
    times: pl.Series
    count: np.ndarray
    mean: np.ndarray
    variance: np.ndarray

    @classmethod
    def read(cls, table: Table, control: str | None) -> Sums:
        """Return the sums, checked.

        Raises:
            ConfigError: The control is no arm.
            DataError: A role is missing, a variance is negative, counts fall, or an arm has two rows at one instant.
        """
        names = arm_names(table, control)
        times, place = _places(table)
        arm = arm_codes(table, names)
        _once(table, place, arm)
        columns = [
            _laid(table, role, (len(times), len(names)), place, arm, least)
            for role, least in zip(SUMS, (0.0, None, 0.0), strict=True)
        ]
        count = columns[0]
        if (np.diff(count, axis=0) < 0).any():
            where, number = np.argwhere(np.diff(count, axis=0) < 0)[0]
            instant = times[int(where) + 1]
            raise DataError(f"dataset.roles.count: arm '{names[number]}' has fewer units at {instant} than before.")
        for name, units in zip(names, count[-1], strict=True):
            if units < 2:
                raise DataError(f"dataset.roles.count: arm '{name}' has {units:g} units; an arm needs two.")
        return cls(names, times, *columns)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The one outcome."""
        return ("",)

    @property
    def n(self) -> int:
        """The number of instants, all of which are taken."""
        return len(self.times)

    @property
    def ordered(self) -> bool:
        """Sums are by time."""
        return True

    def counts(self, stop: int) -> list[int]:
        """Return units of each arm at an instant, counted from 1."""
        return [int(units) for units in self.count[stop - 1]]

    def stop_at(self, units: float) -> int | None:
        """Return the first instant with so many units; None where none has."""
        enough = self.count.sum(axis=1) >= units - ROUNDING
        return int(np.argmax(enough)) + 1 if enough.any() else None

    def enough(self, needs: Needs, stop: int) -> bool:
        """Return whether each arm has two units at an instant."""
        return bool((self.count[stop - 1] >= 2).all())

    def when(self, stop: int) -> str:
        """Return the instant."""
        return str(self.times[stop - 1])

    def days(self, most: int) -> list[tuple[str, int]]:
        """Return the days of the sums, each with its last instant, counted from 1."""
        return day_ends(self.times, most)

    def sample(self, label: str, needs: Needs, stop: int) -> Sample:
        """Return the sample of the sums at an instant.

        Raises:
            ConfigError: The comparison needs more than sums.
            DataError: A mean is no conversion where it must be one.
        """
        if needs.inputs or needs.strata:
            raise ConfigError("model: needs a row per unit; running sums hold an outcome alone.")
        place, arms = stop - 1, []
        binary = bool(self._are_conversions(place))
        if needs.binary and not binary:
            raise DataError("dataset.roles.mean: the variances are not those of outcomes of 0 and 1, which the model needs.")
        for number, name in enumerate(self.arms):
            mean, variance = self.mean[place, number], self.variance[place, number]
            moments = Moments(self.count[place, number], np.array([mean]), np.array([[variance]]))
            arms.append(Arm(name, moments, price=1.0 if binary else None))
        return Sample(label, tuple(arms))

    def _are_conversions(self, place: int) -> bool:
        """Return whether the variances are p (1 - p), but for the divisor."""
        mean, n = self.mean[place], self.count[place]
        expected = mean * (1 - mean)
        off = np.abs(self.variance[place] - expected)
        return bool(np.all((mean >= 0) & (mean <= 1) & (off <= expected / np.maximum(n - 1, 1) + 1e-9)))


def _places(table: Table) -> tuple[pl.Series, np.ndarray]:
    """Return the instants and each row's place among them."""
    if not table.roles.get("time"):
        return pl.Series([0]), np.zeros(len(table.data), np.int64)
    column = table.column("time")
    if column.null_count():
        raise DataError(f"dataset.roles.time: row {column.is_null().arg_true()[0] + 1} has no time.")
    times = column.unique().sort()
    return times, column.rank("dense").to_numpy().astype(np.int64) - 1


def _once(table: Table, place: np.ndarray, arm: np.ndarray) -> None:
    """Refuse two rows of an arm at one instant: several experiments or outcomes in one file."""
    keys = pl.DataFrame({"place": place, "arm": arm})
    twice = keys.is_duplicated().arg_true()
    if len(twice):
        first = int(twice[0])
        second = next(int(row) for row in twice[1:] if keys.row(int(row)) == keys.row(first))
        name = table.column("arm")[first]
        raise DataError(
            f"dataset.roles.count: arm '{name}' has two rows at one instant (rows {first + 1} and {second + 1});"
            " keep one experiment and one outcome."
        )


def _laid(
    table: Table, role: str, shape: tuple[int, int], place: np.ndarray, arm: np.ndarray, least: float | None
) -> np.ndarray:
    """Return one role by instant and arm, carried forward; nothing before an arm's first row."""
    laid = np.full(shape, np.nan)
    laid[place, arm] = floats(table, table.column(role).name, role, least=least)
    carried = pl.DataFrame(laid).select(pl.all().fill_nan(None).fill_null(strategy="forward").fill_null(0.0))
    return carried.to_numpy()
