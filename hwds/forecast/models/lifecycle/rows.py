"""The rows of a panel as an analog model reads them: log sales, the age of each row and its place in the year."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import TIME

MONTHS = {"mo": 1, "q": 3, "y": 12}
AGE = "__age__"
MOSTLY = 0.6
SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


@dataclass(frozen=True, eq=False)
class LaunchRows:
    """One entry a row of the panel, but for `began`.

    Attributes:
        log: The log of the target, NaN where unknown or not above 0.
        age: Rows since the launch, from 0; NaN where the launch is not known.
        phase: The place in the season, from 0.
        series: The series' index.
        began: The calendar's number of each series' first row, shape (n_series,).
    """

    log: np.ndarray
    age: np.ndarray
    phase: np.ndarray
    series: np.ndarray
    began: np.ndarray


def rows_of(panel: Panel, *, season: int, floor: float) -> LaunchRows:
    """Read a panel that `aged` has been over.

    Args:
        panel: The history, or the history followed by the future.
        season: Rows in a season.
        floor: What a target of 0 counts as.
    """
    number = calendar(panel.table[TIME], panel.frequency)
    series = np.repeat(np.arange(panel.n_series), panel.lengths)
    target = panel.target
    known = np.where(target >= 0, np.maximum(target, floor), np.nan)
    return LaunchRows(np.log(known), panel.values(AGE), number % season, series, number[panel.offsets[:-1]])


def aged(panel: Panel, age: str, start: int) -> Panel:
    """Return the panel with the age of each row as a column; done before any row is cut off.

    Args:
        panel: The history, or the history followed by the future.
        age: The column that counts rows since the launch; empty where there is none.
        start: The calendar's number of the data's first row: a series that began then may be older than the data.
    """
    if age:
        return panel.widened(panel.table.with_columns(pl.col(age).cast(pl.Float64).alias(AGE)))
    late = calendar(panel.table[TIME].gather(panel.offsets[:-1]), panel.frequency) > start
    counted = np.where(np.repeat(late, panel.lengths), panel.positions, np.nan)
    return panel.widened(panel.table.with_columns(pl.Series(AGE, counted, nan_to_null=True)))


def calendar(times: pl.Series, frequency: Frequency) -> np.ndarray:
    """Return each instant's number on a calendar whose rows are one step apart, shape (n,)."""
    count = int("".join(filter(str.isdigit, frequency.every)))
    unit = frequency.every.lstrip("0123456789")
    if unit == "i":
        steps, size = times, count
    elif unit in MONTHS:
        steps, size = times.dt.year().cast(pl.Int64) * 12 + times.dt.month() - 1, count * MONTHS[unit]
    else:
        steps, size = times.dt.epoch("s"), count * SECONDS.get(unit, 1)
    return steps.cast(pl.Int64).to_numpy() // size


def is_clock(panel: Panel, name: str) -> bool:
    """Return whether a column rises (or falls) by one from row to row in every series, as an age or a time left does."""
    change = np.diff(panel.values(name))[np.diff(np.repeat(np.arange(panel.n_series), panel.lengths)) == 0]
    return len(change) > 0 and (bool((change == 1).all()) or bool((change == -1).all()))


def age_column(panel: Panel) -> str:
    """Return the known-future column that rises by one from row to row and is 0 where most series that begin late begin."""
    number = calendar(panel.table[TIME].gather(panel.offsets[:-1]), panel.frequency)
    late = number > number.min()
    for name in panel.roles.known_future:
        first = panel.values(name)[panel.offsets[:-1]]
        if is_clock(panel, name) and late.any() and np.median(np.abs(first[late])) == 0:
            return name
    return ""


def newest(panel: Panel, good: np.ndarray, most: int, longest: int) -> Panel:
    """Return the last rows of the series that began last, so that there are at most `most` rows (or one series).

    Args:
        panel: A history.
        good: Which of its series count, shape (n_series,).
        most: Rows in all.
        longest: Rows of a series.
    """
    cut = panel.last(longest)
    began = calendar(panel.table[TIME].gather(panel.offsets[:-1]), panel.frequency)
    order = np.argsort(-began, kind="stable")
    order = order[good[order]]
    within = np.cumsum(cut.lengths[order]) <= most
    within[:1] = True
    chosen = np.zeros(cut.n_series, bool)
    chosen[order[within]] = True
    return replace(cut, table=cut.table.filter(pl.Series(np.repeat(chosen, cut.lengths))))


def usable(panel: Panel) -> np.ndarray:
    """Return which series have sales above zero in most of their known rows, and none below; shape (n_series,)."""
    target, starts = panel.target, panel.offsets[:-1]
    known = np.add.reduceat((~np.isnan(target)).astype(np.int64), starts)
    above = np.add.reduceat((target > 0).astype(np.int64), starts)
    below = np.add.reduceat((target < 0).astype(np.int64), starts)
    good: np.ndarray = (above > MOSTLY * known) & (below == 0)
    return good
