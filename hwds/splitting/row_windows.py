"""Windows of rows in time: what is learned from, stopped by, calibrated by, decided by, and scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from hwds.core.errors import DataError
from hwds.frames.table import Table

PARTS = ("train", "stop", "calibrate", "decide", "test")
"""In time order; the delay lies between the last two."""


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant of a test window up to which all is known: what the canary poisons after.

    Attributes:
        at: The instant.
    """

    at: Any

    @property
    def label(self) -> str:
        """The name in messages."""
        return str(self.at)


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


def first_day(table: Table) -> datetime:
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


def cutoffs(table: Table, lengths: Lengths, stride: int, windows: int) -> Sequence[datetime]:
    """Return the beginnings of the test windows, oldest first; the last one ends with the data.

    Raises:
        DataError: The data does not suffice for one window, with the days that are there and that are needed.
    """
    first, end = first_day(table), last_midnight(table)
    days, needed = (end - first).days, lengths.before + lengths.test
    fit = (days - needed) // stride + 1 if days >= needed else 0
    if fit < windows:
        raise DataError(
            f"protocol.windows: {windows} need {needed + stride * (windows - 1)} days of data, there are {days}; {fit} fit."
        )
    last = end - timedelta(days=lengths.test)
    return [last - timedelta(days=stride * back) for back in reversed(range(windows))]


def arrivals(table: Table) -> pl.Series:
    """Return when each row became known: its `available_at`, or else its `time`."""
    return _instants(table.column("available_at" if table.roles.get("available_at") else "time"))


def label_arrivals(table: Table, delay: int) -> pl.Series:
    """Return when each label became known: its `label_time`, or else the end of the row's day and the delay; null for none."""
    if table.roles.get("label_time"):
        return _instants(table.column("label_time"))
    return _instants(table.column("time")).dt.truncate("1d") + timedelta(days=1 + delay)


def as_known(table: Table, until: object, delay: int) -> Table:
    """Return the rows as known at an instant: those that had arrived, with the labels that had; nothing of the truth.

    Rows keep their `label`, null where it arrived later, and get a `label_time` where the data has none.
    """
    arrived = label_arrivals(table, delay)
    label = table.name("label")
    hidden = (arrived > until).fill_null(True)
    when = table.name("label_time") or _unused(f"{label}_time", table.data.columns)
    rows = table.data.with_columns(
        pl.when(~hidden).then(pl.col(label).cast(pl.Float64)).alias(label), pl.when(~hidden).then(arrived).alias(when)
    )
    truth = table.roles.get("truth", ())
    roles = table.roles.without("truth") | {"label_time": when}
    return replace(table, data=rows.drop(truth).filter(arrivals(table) <= until), roles=roles)


def _unused(name: str, columns: Sequence[str]) -> str:
    """Return a name that no column has: one of the data's own would be replaced."""
    while name in columns:
        name += "_"
    return name


def _instants(values: pl.Series) -> pl.Series:
    if not values.dtype.is_temporal():
        raise DataError(f"dataset.roles.time: column '{values.name}' must hold dates or instants, it holds {values.dtype}.")
    return values.cast(pl.Datetime("us")).dt.replace_time_zone(None)
