"""Folds of rows: windows in time with late labels (prequential), groups, holdout; corrupt rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Self

import numpy as np
import polars as pl
from annotated_types import Ge, Le, Lt
from numpy import ndarray
from polars import Series

from hwds.core.errors import ConfigError, DataError
from hwds.core.recipe import Days, Folds, Level, Recipe, Small, UnitInterval, ZeroDays, ZeroFolds
from hwds.evaluation.protocol import Fold
from hwds.frames.table import ROW_ID, Table

# Windows of rows in time: what is learned from, stopped by, calibrated by, decided by, and
# scored.

PARTS = ("train", "stop", "calibrate", "decide", "test")
"""In time order; the delay lies between the last two."""


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant of a test window up to which all is known; the leak check corrupts later rows.

    Attributes:
        at: The instant.
    """

    at: Any

    @property
    def label(self) -> str:
        """The name in messages."""
        return str(self.at)


def _moments(begin: datetime, end: datetime) -> tuple[Moment, ...]:
    """Return the moments of a test window at which the leak check asks."""
    return tuple(map(Moment, (begin, begin + (end - begin) / 2, end)))


@dataclass(frozen=True, slots=True)
class Lengths:
    """The days of each window, and of the delay before labels arrive."""

    train: int
    stop: int
    calibrate: int
    decide: int
    delay: int
    test: int

    @property
    def before(self) -> int:
        """Days from the start of the training window to the cutoff."""
        return self.train + self.stop + self.calibrate + self.decide + self.delay

    def edges(self, cutoff: datetime) -> dict[str, tuple[datetime, datetime]]:
        """Return the beginning (included) and the end (excluded) of each part."""
        begin, edges = cutoff - timedelta(days=self.before), {}
        for part in PARTS[:-1]:
            end = begin + timedelta(days=getattr(self, part))
            edges[part] = (begin, end)
            begin = end
        return edges | {"test": (cutoff, cutoff + timedelta(days=self.test))}


def first_midnight(table: Table) -> datetime:
    """Return the midnight before the first row."""
    first = _instants(table.column("time")).min()
    if first is None:
        raise DataError("dataset.roles.time: no row has an instant.")
    assert isinstance(first, datetime)
    return first.replace(hour=0, minute=0, second=0, microsecond=0)


def last_midnight(table: Table) -> datetime:
    """Return the midnight after the last row."""
    last = _instants(table.column("time")).max()
    assert isinstance(last, datetime)
    return last.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def window_cutoffs(table: Table, lengths: Lengths, stride: int, windows: int) -> Sequence[datetime]:
    """Return the beginnings of the test windows, oldest first; the last one ends with the data.

    Raises:
        DataError: The data does not suffice for one window, with the days that are there and that
            are needed.
    """
    first, end = first_midnight(table), last_midnight(table)
    days, needed = (end - first).days, lengths.before + lengths.test
    fit = (days - needed) // stride + 1 if days >= needed else 0
    if fit < windows:
        raise DataError(
            f"protocol.windows: {windows} need {needed + stride * (windows - 1)} days of data, "
            f"there are {days}; {fit} fit."
        )
    last = end - timedelta(days=lengths.test)
    return [last - timedelta(days=stride * back) for back in reversed(range(windows))]


def row_arrivals(table: Table) -> Series:
    """Return when each row became known: its `available_at`, or else its `time`."""
    return _instants(table.column("available_at" if table.roles.get("available_at") else "time"))


def label_arrivals(table: Table, delay: int) -> Series:
    """Return when each label became known: its `label_time`, or else the end of the row's day and
    the delay; null for none.
    """
    if table.roles.get("label_time"):
        return _instants(table.column("label_time"))
    return _instants(table.column("time")).dt.truncate("1d") + timedelta(days=1 + delay)


def as_known(table: Table, until: object, delay: int) -> Table:
    """Return the rows as known at an instant: those that had arrived, with the labels that had.

    Nothing of the truth.

    Rows keep their `label`, null where it arrived later, and get a `label_time` where the data has
    none.
    """
    arrived = label_arrivals(table, delay)
    label = table.name("label")
    hidden = (arrived > until).fill_null(True)
    when = table.name("label_time") or _unused_name(f"{label}_time", table.data.columns)
    rows = table.data.with_columns(
        pl.when(~hidden).then(pl.col(label).cast(pl.Float64)).alias(label),
        pl.when(~hidden).then(arrived).alias(when),
    )
    truth = table.roles.get("truth", ())
    roles = table.roles.without("truth") | {"label_time": when}
    return replace(table, data=rows.drop(truth).filter(row_arrivals(table) <= until), roles=roles)


def _unused_name(name: str, columns: Sequence[str]) -> str:
    """Return a name that no column has: one of the data's own would be replaced."""
    while name in columns:
        name += "_"
    return name


def _instants(values: Series) -> Series:
    if not values.dtype.is_temporal():
        raise DataError(
            f"dataset.roles.time: column '{values.name}' must hold dates or instants, it holds "
            f"{values.dtype}."
        )
    return values.cast(pl.Datetime("us")).dt.replace_time_zone(None)


# Random values in all rows of a table that arrive after an instant: the data of the leak check.

KEPT = ("time", "available_at", "split")
"""Roles whose columns stay: they say when things happened, which cuts are made by."""


def corrupt_rows(table: Table, instant: Any, delay: int, rng: np.random.Generator) -> Table:
    """Return the table with the columns of late rows drawn anew, and what became known late of
    earlier rows changed.

    Values are those of other late rows, so that each stays what its column may hold; numbers are
    disturbed besides. What a row is about (its entity, its group) is drawn too: another customer's
    future is as unknown as one's own. Of an earlier row late labels are turned, and instants that
    lie ahead (of its label, or of a return, in columns that models do not read) are drawn from
    those that do.
    """
    late = (row_arrivals(table) > instant).fill_null(True).to_numpy()
    unknown = (label_arrivals(table, delay) > instant).fill_null(True).to_numpy() | late
    label = table.name("label")
    unchanged = {ROW_ID, label, *(name for role in KEPT for name in table.roles.get(role, ()))}
    columns = [
        _redraw(_redraw(values, late, rng), _lies_ahead(values, instant, table), rng)
        for name, values in zip(table.data.columns, table.data, strict=True)
        if name not in unchanged
    ]
    return replace(
        table, data=table.data.with_columns(*columns, _turn_labels(table.data[label], unknown))
    )


def _lies_ahead(values: Series, instant: Any, table: Table) -> ndarray:
    """Return which instants had not yet come, of a column that says when something happened after
    the row: they stay ahead.
    """
    if not values.dtype.is_temporal() or values.dtype == pl.Duration or values.name in table.inputs:
        return np.zeros(len(values), bool)
    return (
        (values.cast(pl.Datetime("us")).dt.replace_time_zone(None) > instant)
        .fill_null(False)
        .to_numpy()
    )


def _redraw(values: Series, late: ndarray, rng: np.random.Generator) -> Series:
    """Return the values of late rows drawn anew from them, so that their sum changes too.

    Floats also stretched.
    """
    if not late.any():
        return values
    places = np.arange(len(values))
    places[late] = rng.choice(places[late], int(late.sum()))
    moved = values.gather(places)
    if not values.dtype.is_float():
        return moved
    stretch = np.where(late, np.exp(rng.normal(size=len(values))), 1.0)
    return Series(
        values.name, np.where(late, moved.to_numpy() * stretch, values.to_numpy()), nan_to_null=True
    ).cast(values.dtype)


def _turn_labels(label: Series, unknown: ndarray) -> Series:
    """Swap 0 and 1 of the labels that were unknown."""
    return pl.select(
        pl.when(pl.lit(Series(unknown)))
        .then(1 - label.cast(pl.Float64))
        .otherwise(label)
        .alias(label.name)
    ).to_series()


# RowSplitting: which rows of a table are learned from and which are scored, by any task.


class RowSplitting(Recipe):
    """Cut the rows of a table into parts.

    Attributes:
        delay_days: Days that labels take to arrive; where a column says when each did (role
            `label_time`), it counts.
    """

    delay_days: ZeroDays = 7


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The groups (or boards) that a fold tests, whose labels nothing may depend on.

    Attributes:
        fold: Its number.
    """

    fold: int

    @property
    def label(self) -> str:
        """The name in messages."""
        return f"fold {self.fold + 1}"


def rows_between(rows: Table, edges: Mapping[str, tuple[datetime, datetime]]) -> dict[str, Table]:
    """Return the rows that arrived between the edges of each part, its end excluded."""
    times: Series = row_arrivals(rows)
    return {
        name: rows.filter((times >= begin) & (times < stop))
        for name, (begin, stop) in edges.items()
    }


def groups_of_rows(frame: Table) -> Series:
    """Return the group of each row.

    Raises:
        DataError: No role names the groups, or a row has none.
    """
    names = frame.column("group" if frame.roles.get("group") else "entity").cast(pl.String)
    missing = names.is_null().arg_true()
    if len(missing):
        raise DataError(
            f"dataset.roles: row {missing[0] + 1} has no group in column '{names.name}'."
        )
    return names


def hash_of(name: str, purpose: bytes = b"") -> int:
    """Return a number below 2**64 that follows from a name; another one for another purpose."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8, person=purpose).digest())


def is_kept_apart(name: str, share: float) -> bool:
    """Return whether a unit is of the share, by their names, that trials of a sweep are tested
    on.
    """
    return hash_of(name, b"apart") < share * 2**64


def held_out_folds(sizes: Sequence[int]) -> list[Fold]:
    """Return a fold for each held-out part of so many units."""
    return [
        Fold(i, f"fold {i + 1} of {len(sizes)}", size, (HeldOut(i),))
        for i, size in enumerate(sizes)
    ]


# Prequential: windows of rows that follow one another in time, and a delay before the next one
# is scored.

LEAST_TRAIN = 3
"""One in so many of the days that are learned from must be there before the final windows, to
choose settings on.
"""

WEEK = 7


class RowPrequential(RowSplitting):
    """Cut rows in time: train, stop, calibrate and decide on windows that follow one another, and
    score the next window.

    A cutoff is the beginning of a test window. Training rows end `delay_days` before it. A row
    belongs to the window in which it arrived (`available_at`, or `time`).

    Attributes:
        windows: The number of test windows.
        train_days: The days of rows that models learn from.
        stop_days: For early stopping, after those.
        calibrate_days: The days after those on which probabilities are calibrated.
        decide_days: For a decision's thresholds, after those.
        test_days: The days of each test window.
        stride_days: Days from one cutoff to the next; 0 takes `test_days`.
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
        return Lengths(*(getattr(self, f"{part.name}_days") for part in fields(Lengths)))

    def split(self, frame: Table) -> Sequence[Fold]:
        """Return a fold for each test window; the leak check asks at its beginning, middle and end.

        Raises:
            DataError: The data does not suffice.
        """
        times, rows = row_arrivals(frame), []
        for index, cutoff in enumerate(self.cutoffs(frame)):
            end = cutoff + timedelta(days=self.test_days)
            units = int(((times >= cutoff) & (times < end)).sum())
            rows.append(Fold(index, fold_name(cutoff), max(units, 1), _moments(cutoff, end)))
        return rows

    def cutoffs(self, frame: Table) -> Sequence[datetime]:
        """Return the beginnings of the test windows, oldest first."""
        return window_cutoffs(frame, self.lengths, self.stride_days or self.test_days, self.windows)

    def with_windows(self, days: int, windows: int) -> Self:
        """Return the same with so many windows, in so many days where that is possible.

        Where they would not fit they lie closer together; where a day apart is too far still, they
        learn from fewer days; and where not even one would fit so, all their other parts are
        shorter too.
        """
        least = -(-self.train_days // LEAST_TRAIN)
        shorter = (
            self
            if self.lengths.before - self.train_days + least + self.test_days <= days
            else self._in_days_for_weeks()
        )
        room = days - shorter.lengths.before - shorter.test_days
        stride = min(shorter.stride_days or shorter.test_days, max(room // max(windows - 1, 1), 1))
        train = max(shorter.train_days - max(windows - 1 - room, 0), least)
        return replace(shorter, windows=windows, stride_days=stride, train_days=train)

    def _in_days_for_weeks(self) -> Self:
        """Return a day for each week, or a part of one, of all parts but what is learned from."""
        names = ("stop", "calibrate", "decide", "delay", "test", "stride")
        days = {f"{name}_days": getattr(self, f"{name}_days") for name in names}
        return replace(self, **{name: -(-count // WEEK) for name, count in days.items()})


def fold_name(cutoff: datetime) -> str:
    """Return the date of a cutoff, which names its fold."""
    return cutoff.date().isoformat()


# K folds of groups: rows of one group never lie on both sides of a cut.

APART = -1
"""The fold number of groups that are kept for the trials of a sweep."""


class GroupKFold(RowSplitting):
    """Cut the groups of a table into folds.

    Rows of one group stay together: the role `group` (a beneficial owner), or `entity` (a
    customer). The fold of a group follows from its name alone, so that more rows move none.

    Attributes:
        folds: Parts of the groups; each is tested once.
        stop_folds: Folds of the training groups that end the growth of models early.
        calibrate_folds: Folds of the training groups on which probabilities are calibrated.
        decide_folds: For a decision's thresholds; all others are learned from.
        ignore_time: Cut data that has times all the same.
        apart: The share of the groups, by their names, that is never tested but by the trials of a
            sweep; the experiment learns from them.
    """

    folds: Annotated[int, Ge(2), Le(10_000), Small(5)] = 10
    stop_folds: ZeroFolds = 1
    calibrate_folds: ZeroFolds = 1
    decide_folds: ZeroFolds = 0
    ignore_time: bool = False
    apart: Annotated[float, Ge(0), Lt(1)] = 0.0

    def split(self, frame: Table) -> Sequence[Fold]:
        """Return a fold for each part of the groups.

        Raises:
            ConfigError: The data has times, or too few folds are left to learn from.
            DataError: A row has no group, or a fold none.
        """
        if frame.roles.get("time") and not self.ignore_time:
            raise ConfigError(
                f"protocol.ignore_time: the data has times (column '{frame.name('time')}'), and "
                f"folds let later rows predict"
                " earlier ones; take protocol=prequential, or say protocol.ignore_time=true."
            )
        others = self.stop_folds + self.calibrate_folds + self.decide_folds
        if others + 2 > self.folds:
            raise ConfigError(
                f"protocol.folds: must be >= {others + 2}, one to test and one to learn from, got "
                f"{self.folds}."
            )
        folds = self.fold_of_rows(frame)
        sizes = np.bincount(folds[folds != APART], minlength=self.folds).tolist()
        if 0 in sizes:
            raise DataError(
                f"protocol.folds: fold {sizes.index(0) + 1} of {self.folds} has no group; take "
                f"fewer."
            )
        return held_out_folds(sizes)

    def part_of_rows(self, frame: Table, fold: int | None) -> ndarray:
        """Return the use of each row where one fold is tested, or none: `train`, `stop`,
        `calibrate`, `decide` or `test`.
        """
        folds = self.fold_of_rows(frame)
        return np.where(folds == APART, "train", np.array(self._parts_of_folds(fold))[folds])

    def _parts_of_folds(self, fold: int | None) -> list[str]:
        """Return the use of each fold where one of them is tested: those after it stop, calibrate,
        decide.
        """
        tests = fold is not None
        counts = {"test": int(tests), "stop": self.stop_folds, "calibrate": self.calibrate_folds}
        counts["decide"] = self.decide_folds if tests else 0
        uses = [name for name, count in counts.items() for _ in range(count)]
        uses += ["train"] * (self.folds - len(uses))
        first = fold or 0
        return [uses[(number - first) % self.folds] for number in range(self.folds)]

    def fold_of_rows(self, frame: Table) -> ndarray:
        """Return the fold of each row's group, by a hash of its name, shape (n,).

        `APART` where it is kept apart.

        Raises:
            DataError: No role names the groups, or a row has none.
        """
        names = groups_of_rows(frame)
        distinct = names.unique()
        places = [
            APART if is_kept_apart(name, self.apart) else hash_of(name) % self.folds
            for name in distinct
        ]
        return names.replace_strict(distinct, Series(places, dtype=pl.Int64)).to_numpy()


# Holdout of rows: the last of them in time, or a drawn share of their groups where there is no
# time.

INSTANT = timedelta(microseconds=1)


class RowHoldout(RowSplitting):
    """Cut rows once.

    Rows with times (role `time`) are cut where the last share of them begins to arrive; what is
    learned from ends `delay_days` before that day. Rows without are cut by their groups (role
    `group`, or else `entity`): what a group is used for follows from its name alone, so that more
    rows move none.

    Attributes:
        share: The share of the rows, or of the groups, that is scored.
        stop_share: The share of the rows learned from that ends the growth of models early.
        calibrate_share: For calibration, in time after those.
        decide_share: For a decision's thresholds, after those.
    """

    share: Level = 0.2
    stop_share: UnitInterval = 0.1
    calibrate_share: UnitInterval = 0.1
    decide_share: UnitInterval = 0.0

    def split(self, frame: Table) -> Sequence[Fold]:
        """Return the one fold.

        Raises:
            DataError: No row is left to learn from, or to score.
        """
        if frame.roles.get("time"):
            begin, end = self.edges(frame)["test"]
            times = row_arrivals(frame)
            units = int(((times >= begin) & (times < end)).sum())
            return [Fold(0, begin.isoformat(), units, _moments(begin, end))]
        parts = self.part_of_rows(frame)
        for name in ("train", "test"):
            if name not in parts:
                raise DataError(
                    f"protocol.share: {self.share:g} of the groups leaves none to {name}; there "
                    f"are too few."
                )
        return [Fold(0, "held-out groups", int((parts == "test").sum()), (HeldOut(0),))]

    def edges(self, frame: Table, *, tests: bool = True) -> dict[str, tuple[datetime, datetime]]:
        """Return the beginning and the end (excluded) of each part of rows with times.

        Args:
            frame: All rows.
            tests: Whether rows are held out; else all are learned from whose labels had time to
                arrive.

        Raises:
            DataError: No row is left to learn from.
        """
        times, end = row_arrivals(frame).sort(), last_midnight(frame)
        cutoff = times[-max(round(self.share * len(times)), 1)] if tests else end
        # a label arrives by the end of a day, so that of the day of the cutoff itself none has
        stop = cutoff.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(
            days=self.delay_days
        )
        before = times.filter(times < stop)
        later = {
            "stop": self.stop_share,
            "calibrate": self.calibrate_share,
            "decide": self.decide_share if tests else 0.0,
        }
        edges, used = {"test": (cutoff, end)}, 0
        for name in reversed(later):
            used += round(later[name] * len(before))
            begin = before[len(before) - used] if 0 < used < len(before) else stop
            edges[name], stop = (begin, stop), begin
        if used >= len(before):
            raise DataError(
                f"protocol.share: no row is left to learn from, of {len(before)} that arrived "
                f"{self.delay_days} days or more"
                f" before {cutoff} (protocol.delay_days)."
            )
        edges["train"] = (before[0], stop)
        return edges

    def part_of_rows(self, frame: Table, *, tests: bool = True) -> ndarray:
        """Return the use of each row of a table without times: `train`, `stop`, `calibrate`,
        `decide` or `test`.

        Args:
            frame: All rows.
            tests: Whether groups are held out; else those are learned from, too.
        """
        bounds = np.cumsum(
            [self.stop_share, self.calibrate_share, self.decide_share if tests else 0.0]
        )
        names = groups_of_rows(frame)
        parts = {}
        for name in names.unique():
            place = (hash_of(name, b"holdout") / 2**64 - self.share) / (1 - self.share)
            use = int(np.searchsorted(bounds, place, side="right"))
            parts[name] = (
                ("test" if tests else "train")
                if place < 0
                else ("stop", "calibrate", "decide", "train")[use]
            )
        return names.replace_strict(parts).to_numpy()


# TuningSplit: what the trials of a sweep are scored on, so that no choice is made on the
# windows of the experiment itself.


def other_replications(fold: Fold, windows: int) -> list[Fold]:
    """Return as many replications as a fold has, in so many parts.

    Streams are named by the fold, so that theirs are others.
    """
    each = -(-fold.units // windows)
    return [
        Fold(part, f"rehearsal {part}, {fold.name}", each, fold.cutoffs) for part in range(windows)
    ]


def earlier_rows(table: Table, cutoff: datetime, delay: int) -> Table:
    """Return the rows that are so old at a cutoff that their labels have had time to arrive, with
    those labels that had.

    A simulator's truth is gone: nobody who chooses settings knows it. Labels arrive when the data
    say, as before, or else by whoever reads it.

    Args:
        table: All rows.
        cutoff: The first one of the experiment's own.
        delay: Days until labels have arrived.
    """
    at_cutoff = as_known(table, cutoff, delay)
    old = at_cutoff.filter(row_arrivals(at_cutoff) < cutoff - timedelta(days=delay))
    if table.roles.get("label_time"):
        return old
    return replace(
        old, data=old.data.drop(old.roles["label_time"]), roles=old.roles.without("label_time")
    )
