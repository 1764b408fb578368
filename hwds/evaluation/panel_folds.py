"""Folds of a panel: cutoffs, what is known at one, random values behind; walk-forward, holdout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Annotated, Any, Literal, Protocol

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.errors import DataError
from hwds.core.recipe import (
    Folds,
    Recipe,
    Refit,
    Small,
    Steps,
    ZeroFolds,
    ZeroSteps,
    cutoffs_per_fit,
)
from hwds.evaluation.protocol import Fold
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME
from hwds.results.formatting import counted

# Cutoffs of a panel, and what may be known at one: the history before it and the plan after it.


class Cutoff(Protocol):
    """The last instant that a model may know."""

    @property
    def label(self) -> str:
        """The name in tables and of random streams."""

    def ends(self, panel: Panel) -> ndarray:
        """Return the number of rows of each series up to it, shape (n_series,)."""

    def alive(self, panel: Panel, ends: ndarray) -> ndarray:
        """Return which series have a row at it, and so are to be forecast; shape (n_series,)."""


@dataclass(frozen=True, slots=True)
class AtTime:
    """The same instant for all series."""

    instant: date | datetime | int

    @property
    def label(self) -> str:
        """The date, or the number of an integer time."""
        return str(self.instant)

    def ends(self, panel: Panel) -> ndarray:
        """Return the number of rows up to and including the instant."""
        passed = (panel.table[TIME] <= self.instant).to_numpy()
        return np.add.reduceat(passed.astype(np.int64), panel.offsets[:-1])

    def alive(self, panel: Panel, ends: ndarray) -> ndarray:
        """Return which series have their next row after the instant.

        The others have ended before or not begun.
        """
        last = panel.table[TIME].gather(panel.offsets[:-1] + np.maximum(ends, 1) - 1)
        return (ends > 0) & (panel.frequency.after(last, 1) > self.instant).to_numpy()


@dataclass(frozen=True, slots=True)
class AtLaunch(AtTime):
    """An instant beside a launch: that of a series' first row or a few rows later, or the one
    before it.
    """

    launch: date | datetime | int

    def alive(self, panel: Panel, ends: ndarray) -> ndarray:
        """Return which series begin at the launch and, where they have begun by the cutoff, have
        not ended before it.
        """
        begins = (panel.table[TIME].gather(panel.offsets[:-1]) == self.launch).to_numpy()
        alive: ndarray = begins & (AtTime.alive(self, panel, ends) | (ends == 0))
        return alive


@dataclass(frozen=True, slots=True)
class FromEnd:
    """Counted back from each series' own end: calendar time crosses between series."""

    rows: int

    @property
    def label(self) -> str:
        """`end-18`: 18 rows before the last."""
        return f"end-{self.rows}"

    def ends(self, panel: Panel) -> ndarray:
        """Return all rows but the last ones."""
        return np.maximum(panel.lengths - self.rows, 0)

    def alive(self, panel: Panel, ends: ndarray) -> ndarray:
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

    def ends(self, panel: Panel) -> ndarray:
        """Return the train rows."""
        train = (panel.table[self.column] == "train").fill_null(False).to_numpy()
        return np.add.reduceat(train.astype(np.int64), panel.offsets[:-1])

    def alive(self, panel: Panel, ends: ndarray) -> ndarray:
        """Return which series have a train row."""
        return ends > 0


def panel_known_at(panel: Panel, cutoff: Cutoff, sliding: int | None = None) -> Panel:
    """Return what is known at a cutoff of every series that has begun: rows, revisions and vintages
    that were out by then.

    Args:
        panel: The whole data.
        cutoff: The last instant to know.
        sliding: The largest number of rows to keep of each series; None keeps all.
    """
    past = without_unpublished(panel.until(cutoff.ends(panel)), cutoff)
    past = replace(past, plan=None)
    return past.last(sliding) if sliding else past


def without_unpublished(history: Panel, cutoff: Cutoff) -> Panel:
    """Null what was not out at the cutoff, where the panel says when each row became available."""
    column = history.roles.available_at
    if not column:
        return history
    last = history.table[TIME].gather(np.repeat(history.offsets[1:] - 1, history.lengths))
    instant = last if not isinstance(cutoff, AtTime) else Series([cutoff.instant])
    late = Series((history.table[column] > instant).fill_null(True))
    hidden = pl.when(~late).then(col(TARGET, *history.roles.past_only))
    return replace(history, table=history.table.with_columns(hidden.name.keep()))


def series_at(panel: Panel, cutoff: Cutoff) -> ndarray:
    """Return the indices of the series that are forecast at a cutoff, made from what is known at it
    alone.
    """
    return np.flatnonzero(cutoff.alive(panel, cutoff.ends(panel)))


def select_series(panel: Panel, series: ndarray) -> Panel:
    """Return the series with these indices."""
    chosen = np.zeros(panel.n_series, bool)
    chosen[series] = True
    return replace(panel, table=panel.table.filter(Series(np.repeat(chosen, panel.lengths))))


def rows_after(
    panel: Panel, series: ndarray, ends: ndarray, horizon: int
) -> tuple[ndarray, ndarray]:
    """Return the table positions of the `horizon` rows after each series' end, and which exist.

    (series, horizon) each.
    """
    steps = ends[series, None] + np.arange(horizon)
    return panel.offsets[series, None] + steps, steps < panel.lengths[series, None]


def last_instants(panel: Panel, series: ndarray, ends: ndarray) -> Series:
    """Return the last known instant of each of these series.

    The instant before its first row where it has none.
    """
    last = panel.table[TIME].gather(panel.offsets[series] + np.maximum(ends[series], 1) - 1)
    return panel.frequency.after(last, -1).zip_with(Series(ends[series] == 0), last)


def future_of(panel: Panel, series: ndarray, ends: ndarray, horizon: int) -> Panel:
    """Return the rows to forecast: `horizon` of each series, with known-future and static columns
    and nothing else.

    Rows beyond the data take their known-future columns from the panel's plan, and are null where
    it has none; so the number of rows never tells where a series ends. Columns of vintages hold
    what was forecast by each series' end.
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
    empty = [
        pl.lit(None, panel.table.schema[name]).alias(name)
        for name in panel.table.columns
        if name not in future.columns
    ]
    table = future.with_columns(empty).select(panel.table.columns).rechunk()
    return replace(panel, table=table, plan=None, vintages=None)


def _known_ahead(panel: Panel, where: ndarray, exists: ndarray) -> DataFrame:
    """Return the planned columns of the rows that exist, null for the others."""
    taken = panel.table.select(panel.planned)[np.where(exists, where, 0).ravel()]
    return taken.select(pl.when(Series(exists.ravel())).then(pl.all()).name.keep())


def _from_plan(future: DataFrame, plan: DataFrame, columns: Sequence[str]) -> DataFrame:
    """Fill what the data's own rows do not know from the plan."""
    planned = future.join(
        plan.select(SERIES, TIME, *columns),
        on=[SERIES, TIME],
        how="left",
        suffix="__plan",
        maintain_order="left",
    )
    filled = [pl.coalesce(name, f"{name}__plan").alias(name) for name in columns]
    return planned.with_columns(filled).select(future.columns)


# Random values for all that is not known at a cutoff: the data of the leak check.


def corrupt_panel(panel: Panel, cutoff: Cutoff, rng: np.random.Generator) -> Panel:
    """Return the panel with random values for what is known only after a cutoff; plans stay.

    That is the target and the past-only columns of rows after it, and of earlier ones that were not
    out yet (`available_at`); and forecasts of joined runs that were made after it.
    """
    ends, instants = cutoff.ends(panel), _instants(panel, cutoff)
    after = Series(panel.positions >= np.repeat(ends, panel.lengths))
    if panel.roles.available_at:
        out = panel.table[panel.roles.available_at]
        after |= (
            out > instants.gather(np.repeat(np.arange(panel.n_series), panel.lengths))
        ).fill_null(True)
    corrupted = replace(
        panel, table=with_rubbish(panel.table, after, (TARGET, *panel.roles.past_only), rng)
    )
    if not panel.vintages:
        return corrupted
    cutoffs = DataFrame({SERIES: panel.series_ids, TIME: instants})
    return corrupted.with_vintages(panel.vintages.corrupted_after(cutoffs, rng))


def with_rubbish(
    table: DataFrame, late: Series, names: Sequence[str], rng: np.random.Generator
) -> DataFrame:
    """Return a table with random numbers in columns of its late rows."""
    noise = {name: Series(1e6 * rng.standard_normal(len(late))) for name in names}
    return table.with_columns(
        pl.when(late).then(values).otherwise(col(name)).alias(name)
        for name, values in noise.items()
    )


def _instants(panel: Panel, cutoff: Cutoff) -> Series:
    """Return the instant of the cutoff for each series."""
    if isinstance(cutoff, AtTime):
        return Series([cutoff.instant], dtype=panel.table.schema[TIME]).new_from_index(
            0, panel.n_series
        )
    return last_instants(panel, np.arange(panel.n_series), cutoff.ends(panel))


# PanelSplitting: which cutoffs of a panel are evaluated, by any task.

Align = Literal["calendar", "end"]


class PanelSplitting(Recipe):
    """Cut a panel at instants of time.

    Attributes:
        horizon: The steps after a cutoff that are forecast; None takes the dataset's own.
    """

    horizon: Steps | None = None

    def make_folds(self, panel: Panel) -> Sequence[Fold]:
        """Return the folds of a panel, oldest first.

        Raises:
            DataError: The data does not suffice for them.
        """
        raise NotImplementedError(f"{type(self).__name__}.make_folds")

    def steps(self, panel: Panel) -> int:
        """Return the number of steps that are forecast on this panel."""
        return self.horizon or panel.horizon

    def scored_after(self) -> int:
        """Return the number of steps after a cutoff that are forecast but not scored."""
        return 0

    def alignment(self) -> Align:
        """Return how cutoffs are aligned: at instants of a calendar, or back from each series' own
        end.
        """
        return "end"

    def rows_kept(self) -> int | None:
        """Return the rows of history that a fit sees at most; None for all."""
        return None

    @property
    def shares_fits(self) -> bool:
        """True where a fold's later cutoffs are there for a verdict alone: a model that fits each
        series alone is then fitted at each of them.
        """
        return False

    def end(self, panel: Panel) -> Cutoff:
        """Return the cutoff after the last rows, from which new ones are forecast: the last instant
        of the panel, or each series' own end.
        """
        last: Any = panel.table[TIME].max()
        return AtTime(last) if self.alignment() == "calendar" else FromEnd(0)


# Walk-forward: many cutoffs, each forecast from what was known then.

MOST_WINDOWS, LEAST_WINDOWS = 12, 4
"""Cutoffs by default: at most, and the fewest that can ever tell which of two models is better."""


class PanelWalkForward(PanelSplitting):
    """Cut a panel at several cutoffs, a stride apart.

    Attributes:
        windows: The number of cutoffs. 0 takes up to twelve, as the length of the panel allows:
            two seasons of history lie before the first, or one if fewer than four fit otherwise.
        stride: Rows from one cutoff to the next; None takes the horizon, so that windows do not
            overlap. With `windows=0` it is half a horizon if that makes half as many cutoffs more.
        gap: Rows after the cutoff that are not scored (the delay until a forecast can be acted on).
        sliding: Rows of history that a fit sees at most; None lets the history expand.
        refit: `always`, `never` (one fit at the first cutoff serves all) or `every_K`. None takes
            `always` if `windows` is given. With `windows=0` a model of all series is fitted at the
            first cutoff, one in the middle and the last. A model that fits each series alone is
            fitted at each cutoff.
        align: `calendar`, the same instants for all series, or `end`, counted back from each
            series' own end, for records in which the calendar means nothing.
    """

    windows: Annotated[ZeroFolds, Small(2, zero=True)] = 0
    stride: Steps | None = None
    gap: ZeroSteps = 0
    sliding: Steps | None = None
    refit: Refit | None = None
    align: Align = "calendar"

    def make_folds(self, panel: Panel) -> list[Fold]:
        """Return one fold for each fit, oldest first.

        Each serves the cutoffs until the next fit.
        """
        cutoffs = self.cutoffs(panel)
        if not (cutoffs[0].ends(panel) > 0).any():
            raise DataError(
                f"protocol: {len(cutoffs)} windows of {self.steps(panel)} steps, "
                f"{self.windows_on(panel)[1]} apart, leave no"
                f" history; the longest series has {int(panel.lengths.max())} rows: ask for a "
                f"smaller"
                " protocol.horizon, or for fewer protocol.windows."
            )
        begins = self._fits(len(cutoffs))
        groups = [
            tuple(cutoffs[begin:end])
            for begin, end in zip(begins, (*begins[1:], len(cutoffs)), strict=True)
        ]
        return [Fold(i, group[0].label, panel.n_series, group) for i, group in enumerate(groups)]

    def cutoffs(self, panel: Panel) -> list[Cutoff]:
        """Return all cutoffs, oldest first.

        After the last one lie exactly the steps of the horizon.
        """
        count, stride = self.windows_on(panel)
        back = [self.steps(panel) + i * stride for i in reversed(range(count))]
        if self.align == "end":
            return [FromEnd(rows) for rows in back]
        last = panel.table[TIME].max()
        end = Series([last], dtype=panel.table.schema[TIME])
        return [AtTime(panel.frequency.after(end, -rows)[0]) for rows in back]

    def windows_on(self, panel: Panel) -> tuple[int, int]:
        """Return the number of cutoffs on this panel, and the rows from one to the next."""
        stride = self.stride_on(panel)
        if self.windows:
            return self.windows, stride
        rows, steps, count = self._rows(panel), self.steps(panel), 0
        base = max(panel.season, steps)
        for history in (2 * base, base):
            count, stride = self._fitting_windows(rows - history - steps, self.stride_on(panel))
            # fewer, or those of a part of a season, do not tell
            seen = steps + (count - 1) * stride
            if count >= LEAST_WINDOWS and 3 * seen >= 2 * panel.season:
                break
        return max(count, 1), stride

    def _fitting_windows(self, room: int, stride: int) -> tuple[int, int]:
        """Return how many cutoffs lie within so many rows, and how far apart."""
        half = stride if self.stride else -(-stride // 2)
        apart, closer = (min(max(room // each + 1, 0), MOST_WINDOWS) for each in (stride, half))
        return (closer, half) if closer > apart and 2 * closer >= 3 * apart else (apart, stride)

    def _rows(self, panel: Panel) -> int:
        """Return the rows of a panel from the instant by which one series in ten has begun; those
        of the series' own lengths if they are counted from their ends.
        """
        tenth = panel.n_series // 10
        if self.align == "end":
            return int(np.sort(panel.lengths)[-1 - tenth])
        begin = panel.table[TIME].gather(panel.offsets[:-1]).sort()[tenth]
        return int((panel.table[TIME].unique() >= begin).sum())

    def _fits(self, count: int) -> list[int]:
        """Return the places of the cutoffs, of so many, at which a model is fitted."""
        if not self.shares_fits:
            return list(range(0, count, cutoffs_per_fit(self.refit or "always", count)))
        return sorted({0, (count - 1) // 2, count - 1})

    def cutoff_words(self, panel: Panel) -> str:
        """Return how many cutoffs the panel has by default, and why."""
        if self.windows:
            return ""
        (count, stride), folds = self.windows_on(panel), self.make_folds(panel)
        left = self._rows(panel) - self.steps(panel) - (count - 1) * stride
        season = f" ({left / panel.season:.1f} seasons)" if panel.season > 1 else ""
        words = [
            f"{counted(count, 'cutoffs')}, {stride} rows apart, by the length of the data: "
            f"{counted(left, 'rows')}{season} lie before the first."
        ]
        if len(folds) < count and self.shares_fits:
            words.append(
                f"A model of all series is fitted at {len(folds)} of them, a model of each series "
                f"alone at every one."
            )
        if count < LEAST_WINDOWS:
            words.append(
                f"Fewer than {LEAST_WINDOWS} cannot tell which model is better: the data is too "
                f"short for {self.steps(panel)} steps ahead."
            )
        return " ".join(words)

    @property
    def shares_fits(self) -> bool:
        """True where neither the windows nor when to refit is given."""
        return not self.windows and self.refit is None

    def stride_on(self, panel: Panel) -> int:
        """Return the rows from one cutoff to the next that are asked for on this panel."""
        return self.stride or self.horizon or panel.horizon

    def steps(self, panel: Panel) -> int:
        """Return the number of steps that are forecast on this panel, the gap included."""
        return self.gap + (self.horizon or panel.horizon)

    def scored_after(self) -> int:
        """Return the gap."""
        return self.gap

    def alignment(self) -> Align:
        """Return the alignment of the config."""
        return self.align

    def rows_kept(self) -> int | None:
        """Return the sliding window."""
        return self.sliding


# Holdout: one cutoff, one test part.


class PanelHoldout(PanelSplitting):
    """Cut a panel once: before its own test part, or else before the last rows of every series."""

    @property
    def one_instant(self) -> bool:
        """True where the cutoff is one instant for all series.

        Series that have ended before it are not forecast.
        """
        return False

    def make_folds(self, panel: Panel) -> list[Fold]:
        """Return the one fold."""
        cutoff = self.cutoff(panel)
        if not (cutoff.ends(panel) > 0).any() or self.steps(panel) < 1:
            longest = int(panel.lengths.max())
            raise DataError(
                f"protocol.horizon: {self.steps(panel)} steps leave no history; the longest "
                f"series has {longest} rows."
            )
        return [Fold(0, cutoff.label, panel.n_series, (cutoff,))]

    def steps(self, panel: Panel) -> int:
        """Return the horizon on this panel: that of the settings, or that of its longest test part,
        or its own.
        """
        if self.horizon or not panel.roles.split:
            return self.horizon or panel.horizon
        return int((panel.lengths - self.cutoff(panel).ends(panel)).max())

    def cutoff(self, panel: Panel) -> Cutoff:
        """Return the cutoff where the test part begins."""
        if not self.one_instant:
            return (
                BySplit(panel.roles.split)
                if panel.roles.split
                else FromEnd(self.horizon or panel.horizon)
            )
        table = panel.table
        if panel.roles.split:
            return AtTime(table.filter(col(panel.roles.split) == "train")[TIME].max())  # type: ignore[arg-type]
        last = table[TIME].sort().tail(1)
        return AtTime(panel.frequency.after(last, -(self.horizon or panel.horizon))[0])

    def alignment(self) -> Align:
        """Return `calendar` with one instant for all series, else `end`."""
        return "calendar" if self.one_instant else "end"


# Launch: each series is forecast from its own launch, with what was known of all others then.


class PanelLaunch(PanelSplitting):
    """Cut a panel where series begin.

    Attributes:
        after: Rows of a launch that are known; 0 needs models that can forecast a series without a
            row.
        before: Rows of the calendar that must lie before a launch, so that there are others to
            learn from; None takes a season.
        launches: Instants of launches, the last ones.
    """

    after: ZeroSteps = 1
    before: Steps | None = None
    launches: Annotated[Folds, Small(2)] = 24

    def make_folds(self, panel: Panel) -> list[Fold]:
        """Return one fold for each instant of launches, oldest first.

        Raises:
            DataError: No series begins late enough and has a row after its cutoff.
        """
        cutoffs = self.cutoffs(panel)
        if not cutoffs:
            raise DataError(
                f"protocol: no series begins {self.before or panel.season} rows or more after the "
                f"data does (protocol.before)"
                f" and goes on for more than {self.after} (protocol.after)."
            )
        return [
            Fold(i, cutoff.label, panel.n_series, (cutoff,)) for i, cutoff in enumerate(cutoffs)
        ]

    def cutoffs(self, panel: Panel) -> list[Cutoff]:
        """Return the cutoff of each instant of launches, oldest first."""
        return list(self.launch_cutoffs(panel)[-self.launches :])

    def launch_cutoffs(self, panel: Panel) -> list[AtLaunch]:
        """Return the cutoff of every instant of launches, oldest first."""
        begins = panel.table[TIME].gather(panel.offsets[:-1])
        late = (
            begins >= panel.frequency.after(begins.sort().head(1), self.before or panel.season)[0]
        )
        launches = begins.filter(late & Series(panel.lengths > self.after)).unique().sort()
        cuts = panel.frequency.after(launches, self.after - 1)
        return [AtLaunch(cut, launch) for cut, launch in zip(cuts, launches, strict=True)]

    def alignment(self) -> Align:
        """Return `calendar`, which the series share."""
        return "calendar"
