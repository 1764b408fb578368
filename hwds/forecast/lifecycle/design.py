"""Launches as a regression reads them: log sales by age, and the columns that explain them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy import ndarray
from polars import Series

from hwds.core.recipe import Recipe
from hwds.forecast.covariates import (
    MONTHS,
    SECONDS,
    Codes,
    Standard,
    fill_from_past,
    learn_codes,
    learn_standard,
    split_frequency,
    split_static,
)
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import TIME

# The rows of a panel as an analog model reads them: log sales, the age of each row and its
# place in the year.

AGE = "__age__"
LEAST_SHARE_SOLD = 0.6


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

    log: ndarray
    age: ndarray
    phase: ndarray
    series: ndarray
    began: ndarray


def launch_rows(panel: Panel, *, season: int, floor: float) -> LaunchRows:
    """Read a panel that `with_age` has been over.

    Args:
        panel: The history, or the history followed by the future.
        season: Rows in a season.
        floor: The value that a target of 0 counts as.
    """
    number = calendar_numbers(panel.table[TIME], panel.frequency)
    series = panel.series_of_row
    target = panel.target
    known = np.where(target >= 0, np.maximum(target, floor), np.nan)
    return LaunchRows(
        np.log(known), panel.values(AGE), number % season, series, number[panel.offsets[:-1]]
    )


def with_age(panel: Panel, age: str, start: int) -> Panel:
    """Return the panel with the age of each row as a column; done before any row is cut off.

    Args:
        panel: The history, or the history followed by the future.
        age: The column that counts rows since the launch; empty where there is none.
        start: The calendar's number of the data's first row: a series that began then may be older
            than the data.
    """
    if age:
        return panel.with_table(panel.table.with_columns(pl.col(age).cast(pl.Float64).alias(AGE)))
    late = _first_numbers(panel) > start
    counted = np.where(np.repeat(late, panel.lengths), panel.positions, np.nan)
    return panel.with_table(panel.table.with_columns(Series(AGE, counted, nan_to_null=True)))


def calendar_numbers(times: Series, frequency: Frequency) -> ndarray:
    """Return each instant's number on a calendar whose rows are one step apart, shape (n,)."""
    count, unit = split_frequency(frequency.every)
    if unit == "i":
        steps, size = times, count
    elif unit in MONTHS:
        steps = times.dt.year().cast(pl.Int64) * 12 + times.dt.month() - 1
        size = count * MONTHS[unit]
    else:
        steps, size = times.dt.epoch("s"), count * SECONDS.get(unit, 1)
    return steps.cast(pl.Int64).to_numpy() // size


def _first_numbers(panel: Panel) -> ndarray:
    """Return the calendar's number of each series' first row, shape (n_series,)."""
    return calendar_numbers(panel.table[TIME].gather(panel.offsets[:-1]), panel.frequency)


def is_clock(panel: Panel, name: str) -> bool:
    """Return whether a column rises (or falls) by one from row to row in every series, as an age or
    a time left does.
    """
    same = np.diff(panel.series_of_row) == 0
    change = np.diff(panel.values(name))[same]
    return len(change) > 0 and (bool((change == 1).all()) or bool((change == -1).all()))


def age_column(panel: Panel) -> str:
    """Return the known-future column that rises by one from row to row and is 0 where most series
    that begin late begin.
    """
    number = _first_numbers(panel)
    late = number > number.min()
    for name in panel.roles.known_future:
        first = panel.values(name)[panel.offsets[:-1]]
        if is_clock(panel, name) and late.any() and np.median(np.abs(first[late])) == 0:
            return name
    return ""


def newest_series(panel: Panel, good: ndarray, most: int, longest: int) -> Panel:
    """Return the last rows of the series that began last, so that there are at most `most` rows (or
    one series).

    Args:
        panel: A history.
        good: A flag for each series that counts, shape (n_series,).
        most: Rows in all.
        longest: Rows of a series.
    """
    cut = panel.last(longest)
    began = _first_numbers(panel)
    order = np.argsort(-began, kind="stable")
    order = order[good[order]]
    within = np.cumsum(cut.lengths[order]) <= most
    within[:1] = True
    chosen = np.zeros(cut.n_series, bool)
    chosen[order[within]] = True
    return replace(cut, table=cut.table.filter(Series(np.repeat(chosen, cut.lengths))))


def usable_series(panel: Panel) -> ndarray:
    """Return which series have sales above zero in most of their known rows, and none below.

    Shape (n_series,).
    """
    target, starts = panel.target, panel.offsets[:-1]
    known, above, below = (
        np.add.reduceat(rows.astype(np.int64), starts)
        for rows in (~np.isnan(target), target > 0, target < 0)
    )
    return (above > LEAST_SHARE_SOLD * known) & (below == 0)


# The columns of a regression on the log sales of a launch: course by age, season, level of its
# kind, price.

KNOTS = (0, 1, 2, 3, 4, 6, 9, 12, 18, 24, 36, 48, 72, 104, 156)
"""Ages between which the course is a line in logs."""

MOST_KINDS = 40
"""Kinds that have a course and a season of their own; a column with more has levels alone."""

MOST_COLUMNS = 600
"""Columns of courses, seasons and effects by kind, so that the cost of a regression is bounded
however many kinds there are.
"""

MOST_PLACES = 12
"""Columns of a season."""

WIDE_VARIANCE = 100.0
"""The prior variance of what all series share (the mean, the effect of a column), which is not
learned, in noise units.
"""

Block = tuple[str, ndarray]


class LaunchTerms(Recipe):
    """The terms of a design, learned from a history: plain values, so that `Serializable` keeps it
    as it is.

    A kind is a value that launches share with earlier ones (a family, a channel), a cohort one that
    only series launched together share (a device in several channels).

    Attributes:
        season: Rows in a season; 1 takes none, as where a season of many rows was not seen whole.
        age: The column that counts rows since the launch; empty where rows are counted.
        floor: The value that a target of 0 counts as.
        ages: Knots of the course; none where nothing was launched.
        kinds: Texts of the static columns whose values come back.
        cohorts: Texts of those whose values do not.
        lines: Kinds that occur together (`phone|retail`); none where one column says it.
        numbers: Static columns that are numbers.
        covariates: Known-future columns.
        clocks: The columns that count the rows to or from an instant.
        events: Past-only columns that are 0 in most rows, such as a shortage: what they did is
            taken out, and none is foretold.
    """

    season: int
    age: str = ""
    floor: float = 1.0
    ages: tuple[int, ...] = ()
    kinds: tuple[Codes, ...] = ()
    cohorts: tuple[Codes, ...] = ()
    lines: tuple[str, ...] = ()
    numbers: tuple[Standard, ...] = ()
    covariates: tuple[Standard, ...] = ()
    clocks: tuple[str, ...] = ()
    events: tuple[Standard, ...] = ()

    @classmethod
    def learn(cls, history: Panel, *, season: int, age: str, floor: float) -> LaunchTerms:
        """Learn the terms of a history that `aged` has been over."""
        rows = launch_rows(history, season=season, floor=floor)
        if season > MOST_PLACES and len(np.unique(rows.phase)) < season:
            # waves that were seen in a part of their course alone rise beyond all bounds in the
            # rest of it
            season = 1
        numbers, others = split_static(history)
        texts = [
            learn_codes(history, name) for name in others if history.table.schema[name] == pl.String
        ]
        texts = [text for text in texts if 1 < len(text.texts) < history.n_series]
        kinds = tuple(text for text in texts if has_predecessors(text.apply(history), rows.began))
        lines = sorted(set(_product_lines(history, kinds))) if len(kinds) > 1 else []
        ages = [knot for knot in KNOTS if knot <= np.nanmax(rows.age, initial=-1)]
        return cls(
            season=season,
            age=age,
            floor=floor,
            ages=tuple(ages) if len(ages) > 1 else (),
            kinds=kinds,
            cohorts=tuple(text for text in texts if text not in kinds),
            lines=tuple(lines) if len(lines) <= MOST_KINDS else (),
            numbers=tuple(learn_standard(history, name) for name in numbers),
            covariates=tuple(learn_standard(history, name) for name in history.roles.known_future),
            clocks=tuple(name for name in history.roles.known_future if is_clock(history, name)),
            events=tuple(_event_columns(history)),
        )

    def rows(self, panel: Panel) -> LaunchRows:
        """Return the rows of a panel."""
        return launch_rows(panel, season=self.season, floor=self.floor)

    def blocks(self, panel: Panel, *, course: bool = True) -> list[Block]:
        """Return the columns of a panel's rows, by blocks whose coefficients are shrunk alike.

        Args:
            panel: The history, or the history followed by the future.
            course: Whether the course by age is among them.
        """
        rows = self.rows(panel)
        kinds, lines, cohorts = self._groups(panel, rows)
        within, launch = self._covariates(panel, rows)
        season = _season_columns(rows.phase, self.season)
        ages = _age_stretches(rows.age, self.ages) if course else np.zeros((len(rows.age), 0))
        blocks = [("mean", np.ones((len(rows.log), 1))), ("effects", within), *self._events(panel)]
        blocks += [
            ("at launch", launch),
            ("course", ages),
            ("season", season),
            *self._clocks(panel),
        ]
        few = [group for group in kinds if group.shape[1] <= MOST_KINDS]
        pairs = [("course", ages, group) for group in few]
        pairs += [("season", season, group) for group in (*few, *lines)]
        blocks += _kind_columns([*pairs, *(("effects", within, group) for group in few)])
        blocks += [("levels", group) for group in (*kinds, *lines, *cohorts)]
        return [(name, columns) for name, columns in blocks if columns.shape[1]]

    def _groups(
        self, panel: Panel, rows: LaunchRows
    ) -> tuple[list[ndarray], list[ndarray], list[ndarray]]:
        """Return a column for each kind, for each combination of kinds, and for each cohort: 1 in
        its rows.
        """
        kinds, cohorts = (
            [_one_hot(text.apply(panel), len(text.texts))[rows.series] for text in texts]
            for texts in (self.kinds, self.cohorts)
        )
        if not self.lines:
            return kinds, [], cohorts
        code = {line: i for i, line in enumerate(self.lines)}
        names = _product_lines(panel, self.kinds)
        line = np.array([code.get(name, -1) for name in names], np.int32)
        return kinds, [_one_hot(line, len(code))[rows.series]], cohorts

    def _events(self, panel: Panel) -> Iterator[Block]:
        """Yield the event in each row; nothing in rows to come."""
        for event in self.events:
            yield "events", np.nan_to_num(event.apply(panel.values(event.name)))[:, None]

    def _covariates(self, panel: Panel, rows: LaunchRows) -> tuple[ndarray, ndarray]:
        """Return each known-future column less its value at launch.

        And that value, with the static numbers.
        """
        within, launch = [], []
        for standard in self.covariates:
            values = standard.apply(panel.values(standard.name))
            values = np.nan_to_num(fill_from_past(panel, values, 1))
            first = values[panel.offsets[:-1]][rows.series]
            if standard.name not in self.clocks:
                within.append(values - first)
                launch.append(first)
        launch += [np.nan_to_num(each.apply(panel.values(each.name))) for each in self.numbers]
        shape = (len(rows.log), 0)
        return (
            np.stack(columns, 1) if columns else np.zeros(shape) for columns in (within, launch)
        )  # type: ignore[return-value]

    def _clocks(self, panel: Panel) -> Iterator[Block]:
        """Yield countdowns: the nearness of an end, as the course of an age."""
        for name in self.clocks:
            if name != self.age:
                left = fill_from_past(panel, panel.values(name), 1)
                yield "countdown", _age_stretches(left, KNOTS[:9])

    def words(self, panel: Panel) -> list[str]:
        """Return the kinds of each series in one word."""
        return _product_lines(panel, self.kinds) if self.kinds else [""] * panel.n_series


def _kind_columns(pairs: list[tuple[str, ndarray, ndarray]]) -> Iterator[Block]:
    """Yield columns by themselves in each group, as long as there are not too many."""
    left = MOST_COLUMNS
    for name, columns, group in pairs:
        width = columns.shape[1] * group.shape[1]
        if width <= left:
            yield f"{name} by kind", _cross_groups(columns, group)
            left -= width


def has_predecessors(codes: ndarray, began: ndarray) -> bool:
    """Return whether most series that begin late have a value that an earlier one had.

    True where none begins late.

    Args:
        codes: The code of each series.
        began: The calendar's number of its first row.
    """
    first = {code: began[codes == code].min() for code in np.unique(codes)}
    late = began > began.min()
    earlier = np.array([first[code] < start for code, start in zip(codes, began, strict=True)])
    return not late.any() or bool(earlier[late].mean() > 0.5)


def _event_columns(panel: Panel) -> Iterator[Standard]:
    """Yield the past-only columns that are never below 0, and 0 in most rows, as shares of the most
    they ever are.
    """
    for name in panel.roles.past_only:
        values = panel.values(name)
        known = values[~np.isnan(values)]
        if len(known) and known.min() == 0 < known.max() and np.mean(known == 0) > 0.5:
            yield Standard(name, False, 0.0, 0.0, float(known.max()))


def _product_lines(panel: Panel, kinds: tuple[Codes, ...]) -> list[str]:
    columns = [
        panel.table[kind.name].gather(panel.offsets[:-1]).cast(pl.String).fill_null("")
        for kind in kinds
    ]
    return ["|".join(words) for words in zip(*columns, strict=True)]


def _one_hot(codes: ndarray, count: int) -> ndarray:
    """Return one column a code; none is set for a code of -1."""
    return (codes[:, None] == np.arange(count)).astype(float)


def _season_columns(phase: ndarray, season: int) -> ndarray:
    """Return one column a place in the season; of a long one, waves."""
    if season <= MOST_PLACES:
        return _one_hot(phase, season if season > 1 else 0)
    turn = 2 * np.pi * phase[:, None] / season * np.arange(1, MOST_PLACES // 2 + 1)
    return np.concatenate([np.sin(turn), np.cos(turn)], 1)


def _age_stretches(age: ndarray, knots: tuple[int, ...]) -> ndarray:
    """Return the passed share of each stretch between two knots: coefficients are changes, which
    are shrunk to none.
    """
    low, high = np.array(knots[:-1], float), np.array(knots[1:], float)
    if not len(low):
        return np.zeros((len(age), 0))
    passed = np.clip((np.nan_to_num(age)[:, None] - low) / (high - low), 0, 1)
    return np.where(np.isnan(age)[:, None], 0.0, passed)


def _cross_groups(columns: ndarray, groups: ndarray) -> ndarray:
    """Return each column by itself in each group, shape (rows, columns x groups)."""
    return (columns[:, :, None] * groups[:, None, :]).reshape(len(columns), -1)
