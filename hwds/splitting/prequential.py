"""Prequential: windows of rows that follow one another in time, and a delay before the next one is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Self

from hwds.core.recipe import Days, Folds, Small, ZeroDays
from hwds.frames.table import Table
from hwds.splitting.fold import Fold
from hwds.splitting.row_windows import Lengths, Moment, arrivals, cutoffs
from hwds.splitting.rows import RowSplitting

LEAST_TRAIN = 3
"""One in so many of the days that are learned from must be there before the final windows, to choose settings on."""

WEEK = 7


class RowPrequential(RowSplitting):
    """Cut rows in time: train, stop, calibrate and decide on windows that follow one another, and score the next window.

    A cutoff is the beginning of a test window. What is learned from ends `delay_days` before it. A row belongs to the window
    it arrived in (`available_at`, or else `time`).

    Attributes:
        windows: The number of test windows.
        train_days: The days of rows that models learn from.
        stop_days: For early stopping, after those.
        calibrate_days: The days after those on which probabilities are calibrated.
        decide_days: For a decision's thresholds, after those.
        test_days: The days of each test window.
        stride_days: From one cutoff to the next; 0 takes `test_days`.
    """

    windows: Annotated[Folds, Small(2)] = 4
    train_days: Annotated[Days, Small(28)] = 28
    stop_days: ZeroDays = 7
    calibrate_days: Annotated[ZeroDays, Small(7)] = 7
    decide_days: ZeroDays = 0
    test_days: Days = 7
    stride_days: ZeroDays = 0

    @property
    def lengths(self) -> Lengths:
        """The days of each window."""
        return Lengths(self.train_days, self.stop_days, self.calibrate_days, self.decide_days, self.delay_days, self.test_days)

    def split(self, frame: Table) -> Sequence[Fold]:
        """Return a fold for each test window, which the canary looks at from its beginning, within, and from its end.

        Raises:
            DataError: The data does not suffice.
        """
        times, rows = arrivals(frame), []
        for index, cutoff in enumerate(self.cutoffs(frame)):
            end = cutoff + timedelta(days=self.test_days)
            units = int(((times >= cutoff) & (times < end)).sum())
            moments = tuple(Moment(at) for at in (cutoff, cutoff + (end - cutoff) / 2, end))
            rows.append(Fold(index, name_of(cutoff), max(units, 1), moments))
        return rows

    def cutoffs(self, frame: Table) -> Sequence[datetime]:
        """Return the beginnings of the test windows, oldest first."""
        return cutoffs(frame, self.lengths, self.stride_days or self.test_days, self.windows)

    def within(self, days: int, windows: int) -> Self:
        """Return the same with so many windows, in so many days where that is possible.

        Where they would not fit they lie closer together; where a day apart is too far still, they learn from fewer days; and
        where not even one would fit so, all their other parts are shorter too.
        """
        least = -(-self.train_days // LEAST_TRAIN)
        shorter = self if self.lengths.before - self.train_days + least + self.test_days <= days else self._in_days_for_weeks()
        room = days - shorter.lengths.before - shorter.test_days
        stride = min(shorter.stride_days or shorter.test_days, max(room // max(windows - 1, 1), 1))
        train = max(shorter.train_days - max(windows - 1 - room, 0), least)
        return replace(shorter, windows=windows, stride_days=stride, train_days=train)

    def _in_days_for_weeks(self) -> Self:
        """Return a day for each week, or a part of one, of all parts but what is learned from."""
        names = ("stop_days", "calibrate_days", "decide_days", "delay_days", "test_days", "stride_days")
        return replace(self, **{name: -(-getattr(self, name) // WEEK) for name in names})


def name_of(cutoff: datetime) -> str:
    """Return the date of a cutoff, which names its fold."""
    return cutoff.date().isoformat()
