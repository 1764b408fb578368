"""Cutoffs of a panel, and what may be known at one: the history before it and the plan after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Protocol

import numpy as np
import polars as pl

from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME


class Cutoff(Protocol):
    """The last instant that a model may know."""

    @property
    def label(self) -> str:
        """The name in tables and of random streams."""

    def ends(self, panel: Panel) -> np.ndarray:
        """Return the number of rows of each series up to it, shape (n_series,)."""

    def alive(self, panel: Panel, ends: np.ndarray) -> np.ndarray:
        """Return which series have a row at it, and so are to be forecast; shape (n_series,)."""


@dataclass(frozen=True, slots=True)
class AtTime:
    """The same instant for all series."""

    instant: date | datetime | int

    @property
    def label(self) -> str:
        """The date, or the number of an integer time."""
        return str(self.instant)

    def ends(self, panel: Panel) -> np.ndarray:
        """Return the number of rows up to and including the instant."""
        known = (panel.table[TIME] <= self.instant).to_numpy()
        return np.add.reduceat(known.astype(np.int64), panel.offsets[:-1])

    def alive(self, panel: Panel, ends: np.ndarray) -> np.ndarray:
        """Return which series have their next row after the instant; the others have ended before or not begun."""
        last = panel.table[TIME].gather(panel.offsets[:-1] + np.maximum(ends, 1) - 1)
        return (ends > 0) & (panel.frequency.after(last, 1) > self.instant).to_numpy()


@dataclass(frozen=True, slots=True)
class AtLaunch(AtTime):
    """An instant beside a launch: that of a series' first row or a few rows later, or the one before it."""

    launch: date | datetime | int

    def alive(self, panel: Panel, ends: np.ndarray) -> np.ndarray:
        """Return which series begin at the launch and, where they have begun by the cutoff, have not ended before it."""
        begins = (panel.table[TIME].gather(panel.offsets[:-1]) == self.launch).to_numpy()
        alive: np.ndarray = begins & (AtTime.alive(self, panel, ends) | (ends == 0))
        return alive


@dataclass(frozen=True, slots=True)
class FromEnd:
    """Counted back from each series' own end: calendar time crosses between series."""

    rows: int

    @property
    def label(self) -> str:
        """`end-18`: 18 rows before the last."""
        return f"end-{self.rows}"

    def ends(self, panel: Panel) -> np.ndarray:
        """Return all rows but the last ones."""
        return np.maximum(panel.lengths - self.rows, 0)

    def alive(self, panel: Panel, ends: np.ndarray) -> np.ndarray:
        """Return which series have a row left."""
        return ends > 0


@dataclass(frozen=True, slots=True)
class BySplit:
    """The place where the dataset's own split column goes from `train` to `test`."""

    column: str

    @property
    def label(self) -> str:
        """`split`."""
        return "split"

    def ends(self, panel: Panel) -> np.ndarray:
        """Return the train rows."""
        train = (panel.table[self.column] == "train").fill_null(False).to_numpy()
        return np.add.reduceat(train.astype(np.int64), panel.offsets[:-1])

    def alive(self, panel: Panel, ends: np.ndarray) -> np.ndarray:
        """Return which series have a train row."""
        return ends > 0


def known_at(panel: Panel, cutoff: Cutoff, sliding: int | None = None) -> Panel:
    """Return what is known at a cutoff of every series that has begun: rows, revisions and vintages that were out by then.

    Args:
        panel: The whole data.
        cutoff: The last instant to know.
        sliding: How many rows of each series to keep at most; None keeps all.
    """
    known = without_unpublished(panel.until(cutoff.ends(panel)), cutoff)
    known = replace(known, plan=None)
    return known.last(sliding) if sliding else known


def without_unpublished(history: Panel, cutoff: Cutoff) -> Panel:
    """Null what was not out at the cutoff, where the panel says when each row became available."""
    column = history.roles.available_at
    if not column:
        return history
    last = history.table[TIME].gather(np.repeat(history.offsets[1:] - 1, history.lengths))
    instant = last if not isinstance(cutoff, AtTime) else pl.Series([cutoff.instant])
    late = pl.Series((history.table[column] > instant).fill_null(True))
    hidden = [pl.when(late).then(None).otherwise(pl.col(name)).alias(name) for name in (TARGET, *history.roles.past_only)]
    return replace(history, table=history.table.with_columns(hidden))


def series_at(panel: Panel, cutoff: Cutoff) -> np.ndarray:
    """Return the indices of the series that are forecast at a cutoff, made from what is known at it alone."""
    return np.flatnonzero(cutoff.alive(panel, cutoff.ends(panel)))


def select(panel: Panel, series: np.ndarray) -> Panel:
    """Return the series with these indices."""
    chosen = np.zeros(panel.n_series, bool)
    chosen[series] = True
    return replace(panel, table=panel.table.filter(pl.Series(np.repeat(chosen, panel.lengths))))


def rows_after(panel: Panel, series: np.ndarray, ends: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the table positions of the `horizon` rows after each series' end, and which exist; (series, horizon) each."""
    steps = ends[series, None] + np.arange(horizon)
    return panel.offsets[series, None] + steps, steps < panel.lengths[series, None]


def last_instants(panel: Panel, series: np.ndarray, ends: np.ndarray) -> pl.Series:
    """Return the last known instant of each of these series; the instant before its first row where it has none."""
    last = panel.table[TIME].gather(panel.offsets[series] + np.maximum(ends[series], 1) - 1)
    return panel.frequency.after(last, -1).zip_with(pl.Series(ends[series] == 0), last)


def future_of(panel: Panel, series: np.ndarray, ends: np.ndarray, horizon: int) -> Panel:
    """Return the rows to forecast: `horizon` of each series, with known-future and static columns and nothing else.

    Rows beyond the data take their known-future columns from the panel's plan, and are null where it has none; so the
    number of rows never tells where a series ends. Columns of vintages hold what was forecast by each series' end.
    """
    where, exists = rows_after(panel, series, ends, horizon)
    first = panel.table[panel.offsets[series]]
    last = last_instants(panel, series, ends)
    times = pl.concat([panel.frequency.after(last, step) for step in range(1, horizon + 1)])
    order = np.arange(len(series) * horizon).reshape(horizon, len(series)).T.ravel()
    rows = np.repeat(np.arange(len(series)), horizon)
    keep = [SERIES, *dict.fromkeys((*panel.roles.static, *panel.roles.level))]
    future = first.select(keep)[rows].with_columns(times.gather(order).alias(TIME))
    if panel.planned:
        future = future.hstack(_known_ahead(panel, where, exists))
        future = future if panel.plan is None else _from_plan(future, panel.plan, panel.planned)
    if panel.vintages:
        future = future.hstack(panel.vintages.latest(future, last.gather(rows)))
    empty = [pl.lit(None, panel.table.schema[name]).alias(name) for name in panel.table.columns if name not in future.columns]
    table = future.with_columns(empty).select(panel.table.columns).rechunk()
    return replace(panel, table=table, plan=None, vintages=None)


def _known_ahead(panel: Panel, where: np.ndarray, exists: np.ndarray) -> pl.DataFrame:
    """Return the planned columns of the rows that exist, null for the others."""
    taken = panel.table.select(panel.planned)[np.where(exists, where, 0).ravel()]
    return taken.select(pl.when(pl.Series(exists.ravel())).then(pl.all()).name.keep())


def _from_plan(future: pl.DataFrame, plan: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Fill what the data's own rows do not know from the plan."""
    planned = future.join(
        plan.select(SERIES, TIME, *columns), on=[SERIES, TIME], how="left", suffix="__plan", maintain_order="left"
    )
    filled = [pl.coalesce(name, f"{name}__plan").alias(name) for name in columns]
    return planned.with_columns(filled).select(future.columns)
