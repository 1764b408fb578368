"""Windows cut from all series for a global model: inputs, targets, training rows, quantile grid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import polars as pl
from numpy import ndarray
from polars import col

from hwds.core.recipe import PositiveInt, Recipe
from hwds.forecast.covariates import (
    Codes,
    Standard,
    fill_from_past,
    first_known_rows,
    learn_codes,
    learn_standard,
    split_static,
)
from hwds.forecast.models.base import Features, normal_bands
from hwds.frames.features.base import Feature
from hwds.frames.panel import COLUMN, MADE_AT, VALUE, Panel
from hwds.frames.roles import SERIES, TIME

# Windows: a panel cut at many origins into normalised inputs and targets, for models that learn
# over all series.
# Every window is centred on its last season and divided by its mean seasonal change; the target
# is what the seasonal naive forecast missed, in the same unit. So a window of large units and
# one of small ones say the same to a model.
#     windowing = Windowing.learn(history, season=12, horizon=18)  # plain values of the history
#     source = WindowSource.of(windowing, history, features)  # the features are computed here, once
#     windows = source.cut(source.origins())  # fit: inputs and targets of every origin
#     source = WindowSource.of(windowing, history.followed_by(future), features)
#     windows = source.cut(source.at(history.lengths), steps)  # predict; or source.parts(...)
#     forecast = windows.restore(residuals)

USUAL_CHANGE = 0.2
"""The seasonal change as a share of the level where no series of the panel shows one."""


class OriginForecasts(Recipe):
    """Two forecasts from each origin, the mean of which a model corrects: one without them does not
    depend on their code.
    """

    def forecasts(self, histories: Iterable[ndarray], season: int, base: ndarray) -> ndarray:
        """Return both, shape (2, n, steps), `base` where one of them has none.

        Args:
            histories: The rows of the series before each origin, without holes; n of them.
            season: Rows in a season.
            base: The seasonal naive forecasts, shape (n, steps).
        """
        raise NotImplementedError(f"{type(self).__name__}.forecasts")


class Windowing(Recipe):
    """The settings and statistics that windows are cut by: plain values, so that `Serializable`
    keeps it as it is.

    Attributes:
        season: Rows in a season.
        horizon: Steps of a training window.
        length: Values of the past that a model sees.
        shortest: Known rows that an origin needs to be learned from.
        typical: The panel's usual seasonal change as a share of the level, for series that have
            none yet.
        nonnegative: Whether the panel was never below 0; its forecasts are then not either.
        known: Standardisation of the known-future columns.
        passed: Standardisation of the past-only columns.
        codes: Texts of the static text columns.
        numbers: Static columns that are numbers.
        usual_demand: The size of a usual demand, where demand comes by chance and the target is a
            multiple of each series' own mean demand; 0 where the target is what the seasonal naive
            missed.
        lines: The lines whose mean error is the target instead, where they are given; they are
            inputs.
    """

    season: PositiveInt
    horizon: PositiveInt
    length: PositiveInt
    shortest: PositiveInt
    typical: float
    nonnegative: bool
    known: tuple[Standard, ...] = ()
    passed: tuple[Standard, ...] = ()
    codes: tuple[Codes, ...] = ()
    numbers: tuple[str, ...] = ()
    usual_demand: float = 0.0
    lines: OriginForecasts | None = None

    @property
    def span(self) -> int:
        """Rows that normalise a window."""
        return span_of(self.season)

    @property
    def trends(self) -> tuple[int, ...]:
        """Over how many rows the seasonal change is averaged, as an input."""
        longest = self.span - self.season
        return tuple(
            sorted(
                {1, min(max(longest // 4, 2), longest), min(max(longest // 2, 3), longest), longest}
            )
        )

    def bound(self, forecasts: ndarray) -> ndarray:
        """Return forecasts, not below 0 where the panel never was."""
        return np.maximum(forecasts, 0.0) if self.nonnegative else forecasts

    def seasonal_naive(
        self, base: ndarray, scale: ndarray, levels: tuple[float, ...]
    ) -> tuple[ndarray, ndarray]:
        """Return mean and normal quantiles of the seasonal naive.

        Args:
            base: Its forecasts, shape (n, h).
            scale: The mean seasonal change of each series, shape (n,).
            levels: Quantile levels.
        """
        # the standard deviation of a normal with this mean absolute change; a year ahead has one
        # change more
        spread = np.sqrt(np.pi / 2 * (np.arange(base.shape[1]) // self.season + 1))
        naive = normal_bands(base, scale[:, None] * spread, levels)
        return naive.mean, self.bound(naive.quantiles)

    @classmethod
    def learn(
        cls,
        history: Panel,
        *,
        season: int,
        horizon: int,
        length: int = 48,
        of_demand: bool = False,
        lines: OriginForecasts | None = None,
    ) -> Windowing:
        """Take the statistics of a history; `length` is capped at the span."""
        target, roles, span = history.target, history.roles, span_of(season)
        numbers, texts = split_static(history)
        rows = history.offsets[1:] - first_known_rows(target, history.offsets)
        shortest = np.clip(rows[rows > 0].min(initial=len(target)) - 2 * horizon, 1, span)
        return cls(
            season=season,
            horizon=horizon,
            length=min(length, span),
            shortest=int(shortest),
            typical=_typical_change(history, season),
            nonnegative=not bool((target < 0).any()),
            known=tuple(learn_standard(history, name) for name in roles.known_future),
            passed=tuple(learn_standard(history, name) for name in roles.past_only),
            codes=tuple(learn_codes(history, name) for name in texts),
            numbers=numbers,
            usual_demand=_usual_demand(history) if of_demand else 0.0,
            lines=lines,
        )


def span_of(season: int) -> int:
    """Return rows that normalise a window: two seasons, at least 8."""
    return max(2 * season, 8)


def _usual_demand(panel: Panel) -> float:
    """Return the median over series of the mean of their demands above zero.

    1 where there were none.
    """
    demand, starts = np.maximum(np.nan_to_num(panel.target), 0.0), panel.offsets[:-1]
    times = np.add.reduceat((demand > 0).astype(np.int64), starts)
    some = times > 0
    return (
        float(np.median(np.add.reduceat(demand, starts)[some] / times[some])) if some.any() else 1.0
    )


def _typical_change(panel: Panel, season: int) -> float:
    """Return the median over series of mean seasonal change / mean size.

    Of changes by row where no series has a season.
    """
    target, starts = panel.target, panel.offsets[:-1]
    known = np.maximum(np.add.reduceat((~np.isnan(target)).astype(np.int64), starts), 1)
    size = np.add.reduceat(np.abs(np.nan_to_num(target)), starts) / known
    for lag in dict.fromkeys((season, 1)):
        change = np.abs(target - np.roll(target, lag))
        real = ~np.isnan(change) & (panel.positions >= lag)
        pairs = np.add.reduceat(real.astype(np.int64), starts)
        total = np.add.reduceat(np.where(real, change, 0.0), starts)
        usable = (pairs > 0) & (total > 0)
        if usable.any():
            return float(np.median(total[usable] / pairs[usable] / size[usable]))
    return USUAL_CHANGE


@dataclass(frozen=True, eq=False)
class Origins:
    """Places to forecast from.

    Attributes:
        series: The index of each origin's series in the panel, shape (n,).
        ends: The number of its rows that are known there, shape (n,); step h is row `ends + h - 1`
            of the series.
    """

    series: ndarray
    ends: ndarray

    def __len__(self) -> int:
        return len(self.series)

    def take(self, index: ndarray | slice) -> Origins:
        """Keep some of the origins."""
        return Origins(self.series[index], self.ends[index])


@dataclass(frozen=True, eq=False)
class Windows:
    """The inputs at n origins, and the targets: float32 by default, NaN where unknown.

    Attributes:
        past: The last `length` values, (y - level) / scale, holes and short series filled, shape
            (n, length).
        origin: Inputs that hold for all steps, shape (n, a), in the order of
            `WindowSource.origin_names`.
        codes: Codes of the static text columns, -1 for a text that fit has not seen, shape (n, c),
            int32.
        steps: Inputs of each step, shape (n, h, b), in the order of `WindowSource.step_names`.
        target: (y - base) / scale, clipped, shape (n, h).
        base: The seasonal naive forecast, or the mean of the lines, in the target's unit, shape (n,
            h), float64.
        level: Mean of the last season, shape (n,), float64.
        scale: Mean seasonal change, above 0, shape (n,), float64; NaN for a series without a known
            value.
    """

    past: ndarray
    origin: ndarray
    codes: ndarray
    steps: ndarray
    target: ndarray
    base: ndarray
    level: ndarray
    scale: ndarray

    def restore(self, residual: ndarray) -> ndarray:
        """Turn residuals of shape (n, h) or (n, h, levels) into forecasts in the target's unit,
        float64.
        """
        scale, base = self.scale[:, None], self.base
        if residual.ndim == 3:
            scale, base = scale[..., None], base[..., None]
        return base + scale * residual.astype(np.float64)


# Windows of demand that comes by chance: the target is a multiple of the series' own mean
# demand, zeros are told apart.

MOST_MEANS = 30.0
"""Targets beyond this many times the mean demand are cut: one of them would outweigh all else that
is learned.
"""


PRIOR_DEMANDS = 0.5
"""Demands that a series counts as having had before its first row."""


@dataclass(frozen=True, eq=False)
class Demand:
    """Running sums over the rows of a panel, from which the mean demand of any stretch of a series
    is read off.

    Attributes:
        first: The row of each series' first known value, shape (n_series,).
        starts: The row where each series begins, shape (n_series,).
        unit: A power of two near each series' largest value, in which `size` and `square` are:
            rivals of 1e12 cost no digit.
        size, square: Sums of the target and its square before each row, shape (rows + 1,).
        count: Rows with demand before each row, shape (rows + 1,).
        latest: The last row with demand up to each row, -1 where there is none, shape (rows,).
        season: Rows in a season.
        span: Rows that windows are normalised over.
        usual: The size of a usual demand, for series that had none yet.
    """

    first: ndarray
    starts: ndarray
    unit: ndarray
    size: ndarray
    square: ndarray
    count: ndarray
    latest: ndarray
    season: int
    span: int
    usual: float

    @classmethod
    def of(
        cls,
        values: ndarray,
        offsets: ndarray,
        first: ndarray,
        season: int,
        span: int,
        usual: float,
    ) -> Demand:
        """Return the sums of a target whose holes are filled.

        What is below zero or unknown counts as none.
        """
        demand = np.maximum(np.nan_to_num(values), 0.0)
        unit = 2.0 ** np.frexp(np.maximum.reduceat(demand, offsets[:-1]))[1]
        relative = demand / np.repeat(unit, np.diff(offsets))
        size, square, count = (
            np.concatenate([[0.0], np.cumsum(x)]) for x in (relative, relative**2, demand > 0)
        )
        latest = np.maximum.accumulate(np.where(demand > 0, np.arange(len(demand)), -1))
        return cls(first, offsets[:-1], unit, size, square, count, latest, season, span, usual)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs."""
        what = ("demand", "rows with demand")
        stretches = (f"{each}, {rows} rows" for rows in self.stretches for each in what)
        sizes = ("size", "spread of size", "rows since demand", "rows", "mean demand", "mean size")
        return (*stretches, *sizes)

    @property
    def stretches(self) -> tuple[int, ...]:
        """Rows that demand is averaged over, as inputs."""
        return tuple(sorted({1, 2, 3, max(self.season // 2, 1), self.season, self.span}))

    def turn(self, windows: Windows, origins: Origins, actual: ndarray) -> Windows:
        """Return the same windows with the target in mean demands, and with inputs of demand.

        Args:
            windows: Cut at the origins.
            origins: The origins.
            actual: The target of each step, NaN where unknown, shape (n, h).
        """
        ends = self.starts[origins.series] + origins.ends
        begins = np.minimum(self.first[origins.series], ends)
        mean = self._mean(origins.series, begins, ends)
        target = np.where(actual < 0, np.nan, np.minimum(actual / mean[:, None], MOST_MEANS))
        inputs = np.stack(self._inputs(origins.series, begins, ends, mean), 1, dtype=np.float32)
        return replace(
            windows,
            origin=np.concatenate([windows.origin, inputs], 1),
            target=target.astype(np.float32),
            base=np.zeros_like(windows.base),
            scale=mean,
        )

    def _mean(self, series: ndarray, begins: ndarray, ends: ndarray) -> ndarray:
        """Return the mean demand so far, with half a demand more in one row more: what has had none
        yet may have some.
        """
        times = self._sum_over(self.count, begins, ends)
        total = self._sum_over(self.size, begins, ends) * self.unit[series]
        usual = np.where(times > 0, total / np.maximum(times, 1), self.usual)
        return (total + PRIOR_DEMANDS * usual) / (np.maximum(ends - begins, 1) + 1)

    def _inputs(
        self, series: ndarray, begins: ndarray, ends: ndarray, mean: ndarray
    ) -> list[ndarray]:
        unit = self.unit[series] / mean
        inputs = []
        for stretch in self.stretches:
            since = np.maximum(ends - stretch, begins)
            rows = np.maximum(ends - since, 1)
            inputs += [
                self._sum_over(self.size, since, ends) / rows * unit,
                self._sum_over(self.count, since, ends) / rows,
            ]
        times = self._sum_over(self.count, begins, ends)
        times = np.where(times > 0, times, np.nan)
        size = self._sum_over(self.size, begins, ends) / times
        spread = np.sqrt(
            np.maximum(self._sum_over(self.square, begins, ends) / times - size**2, 0.0)
        )
        latest = self.latest[np.maximum(ends - 1, 0)]
        since = np.where((latest >= begins) & (ends > begins), ends - 1 - latest, ends - begins)
        return [
            *inputs,
            size * unit,
            spread * unit,
            since,
            ends - begins,
            np.log(mean),
            np.log(size * self.unit[series]),
        ]

    def _sum_over(self, sums: ndarray, begins: ndarray, ends: ndarray) -> ndarray:
        return sums[ends] - sums[begins]


# A column of vintages as windows read it: at each step of an origin, what was forecast by then,
# in training as in use.

_ROW, _MADE, _LEAD = "row", "made_row", "lead"


@dataclass(frozen=True, eq=False)
class VintageColumn:
    """Forecasts by the row that they are of and how many rows before it they were known, sorted by
    both.

    Attributes:
        keys: Row times `width` plus lead, rising, shape (n,).
        values: The latest forecast with that lead, standardised, shape (n,).
        width: A number above every lead.
    """

    keys: ndarray
    values: ndarray
    width: int

    @classmethod
    def of(cls, panel: Panel, standard: Standard) -> VintageColumn:
        """Return the forecasts of a panel's column.

        One that was made between two rows counts as known at the later.
        """
        assert panel.vintages is not None
        row = pl.int_range(pl.len(), dtype=pl.Int64)
        rows = panel.table.select(SERIES, TIME, row.alias(_ROW))
        known = panel.table.select(SERIES, col(TIME).alias(MADE_AT), row.alias(_MADE))
        forecasts = panel.vintages.table.filter(col(COLUMN) == standard.name)
        dated = (
            forecasts.join(rows, on=[SERIES, TIME])
            .sort(MADE_AT)
            .join_asof(
                known.sort(MADE_AT),
                on=MADE_AT,
                by=SERIES,
                strategy="forward",
                check_sortedness=False,
            )
        )
        lead_of = (col(_ROW) - col(_MADE)).alias(_LEAD)
        ahead = dated.with_columns(lead_of).filter(col(_LEAD) > 0).sort(_ROW, _LEAD, MADE_AT)
        last = ahead.unique([_ROW, _LEAD], keep="last", maintain_order=True)
        lead = last[_LEAD].to_numpy()
        width = int(lead.max()) + 1 if len(lead) else 1
        keys = last[_ROW].to_numpy() * width + lead
        return cls(keys, standard.apply(last[VALUE].to_numpy()), width)

    def __getitem__(self, ahead: ndarray) -> ndarray:
        """Return the forecasts of the rows ahead of n origins, column j for step j + 1.

        NaN where none, shape (n, h).
        """
        lead = np.arange(1, ahead.shape[1] + 1)
        if not len(self.keys):
            return np.full(ahead.shape, np.nan)
        at = np.searchsorted(self.keys, ahead * self.width + np.minimum(lead, self.width - 1))
        place = np.minimum(at, len(self.keys) - 1)
        there = (
            (self.keys[place] // self.width == ahead)
            & (self.keys[place] % self.width >= lead)
            & (at < len(self.keys))
        )
        return np.where(there, self.values[place], np.nan)


# Cutting windows: index matrices over the whole panel, so that no series is visited alone.

MOST_CHANGES = 8.0
"""Targets beyond this many seasonal changes are cut: they are breaks that no window foretells."""

SEASONS_BACK, ROWS_BACK = 5, 60
"""Origins further back than these seasons and rows (and one horizon) are not learned from: too long
ago to help.
"""

NUMBERS_AT_ONCE = 1 << 21
"""Numbers of windows that are gathered at once; it bounds memory and changes no result."""


@dataclass(frozen=True, eq=False)
class WindowSource:
    """A panel that windows are cut from, with its columns as arrays: one number a row, or one a
    series where static.

    Attributes:
        windowing: The settings and statistics.
        panel: The history, or the history followed by the future.
        target: The target, NaN where unknown.
        whole: The target with holes filled from the past of the same series.
        first: The row of each series' first known value, or its end, shape (n_series,).
        known: Known-future columns, standardised.
        vintages: The columns of vintages, as they were known at an origin.
        passed: Past-only columns, standardised, holes filled from the past.
        codes: Codes of the static text columns.
        numbers: Static columns that are numbers.
        features: The columns of the feature set.
        demand: Where windows are of demand that comes by chance: `Windows.scale` is then the mean
            demand, and the base 0.
    """

    windowing: Windowing
    panel: Panel
    target: ndarray = field(repr=False)
    whole: ndarray = field(repr=False)
    first: ndarray = field(repr=False)
    known: dict[str, ndarray] = field(repr=False)
    vintages: dict[str, VintageColumn] = field(repr=False)
    passed: dict[str, ndarray] = field(repr=False)
    codes: dict[str, ndarray] = field(repr=False)
    numbers: dict[str, ndarray] = field(repr=False)
    features: dict[Feature, ndarray] = field(repr=False)
    demand: Demand | None = field(repr=False)

    @classmethod
    def of(
        cls, windowing: Windowing, panel: Panel, features: Features | None = None
    ) -> WindowSource:
        """Make a panel ready for cutting, its features computed."""
        plan = features.columns(panel.roles, windowing.horizon).features if features else ()
        computed = features.compute(panel) if features and plan else panel
        starts, whole = panel.offsets[:-1], fill_from_past(panel, panel.target, windowing.season)
        first = first_known_rows(panel.target, panel.offsets)
        usual, vintages = windowing.usual_demand, panel.vintages.columns if panel.vintages else ()
        return cls(
            windowing=windowing,
            panel=panel,
            target=panel.target,
            whole=whole,
            first=first,
            known={s.name: s.apply(panel.values(s.name)) for s in windowing.known},
            vintages={
                s.name: VintageColumn.of(panel, s) for s in windowing.known if s.name in vintages
            },
            passed={
                s.name: fill_from_past(panel, s.apply(panel.values(s.name)), 1)
                for s in windowing.passed
            },
            codes={c.name: c.apply(panel) for c in windowing.codes},
            numbers={
                name: panel.table[name].gather(starts).cast(pl.Float64).to_numpy()
                for name in windowing.numbers
            },
            features={feature: computed.values(feature.name) for feature in plan},
            demand=Demand.of(whole, panel.offsets, first, windowing.season, windowing.span, usual)
            if usual
            else None,
        )

    @property
    def origin_names(self) -> tuple[str, ...]:
        """The names of the columns of `Windows.origin`."""
        trend = (f"seasonal change, {rows} rows" for rows in self.windowing.trends)
        passed = (name for column in self.passed for name in (f"{column} last", f"{column} change"))
        given = (
            *self.numbers,
            *(f.name for f in self._features("origin")),
            *(self.demand.names if self.demand else ()),
        )
        return ("relative level", "known rows", *trend, *passed, *given)

    @property
    def step_names(self) -> tuple[str, ...]:
        """The names of the columns of `Windows.steps`."""
        seasonal = (
            "season ago",
            "two seasons ago",
            "change between them",
            "neighbours of season ago",
        )
        lines = ("theta beside season ago", "damped trend beside theta", "lines")
        known = (name for column in self.known for name in (column, f"{column} change"))
        drawn = lines if self.windowing.lines else ()
        return (*seasonal, *known, *(f.name for f in self._features("step")), *drawn)

    def at(self, ends: ndarray) -> Origins:
        """Put one origin in each series, after its first `ends` rows, shape (n_series,)."""
        return Origins(np.arange(self.panel.n_series), ends)

    def origins(self) -> Origins:
        """Find every origin to learn from: enough rows before, at least one after, not too long
        ago.
        """
        settings, lengths = self.windowing, self.panel.lengths
        earliest = self.first - self.panel.offsets[:-1] + settings.shortest
        earliest = np.maximum(
            earliest, lengths - settings.horizon - max(SEASONS_BACK * settings.season, ROWS_BACK)
        )
        counts = np.maximum(lengths - earliest, 0)
        series = np.repeat(np.arange(self.panel.n_series), counts)
        before = np.repeat(np.cumsum(counts) - counts - earliest, counts)
        return Origins(series, np.arange(len(series)) - before)

    def past_rows(self, origins: Origins) -> ndarray:
        """Find the row of the panel that each value of `Windows.past` comes from, shape (n,
        length).
        """
        return self._rows(origins)[:, -self.windowing.length :]

    def parts(self, origins: Origins, horizon: int = 0) -> Iterator[tuple[slice, Windows]]:
        """Cut so many windows at a time that memory stays bounded.

        Each with its place among the origins.
        """
        numbers = max(self.windowing.span, horizon or self.windowing.horizon)
        size = max(NUMBERS_AT_ONCE // numbers, 1)
        for start in range(0, len(origins), size):
            part = slice(start, min(start + size, len(origins)))
            yield part, self.cut(origins.take(part), horizon)

    def cut(self, origins: Origins, horizon: int = 0) -> Windows:
        """Cut the windows of these origins over `horizon` steps (0: as in training)."""
        settings, rows = self.windowing, self._rows(origins)
        steps = np.arange(horizon or settings.horizon)
        level, scale = self._normalisation(rows)
        past = (self.whole[rows] - level[:, None]) / scale[:, None]
        ago = settings.span - settings.season + steps % settings.season
        ahead, inside = self._ahead(origins, steps)
        base = self.whole[rows[:, ago]]
        actual = np.where(inside, self.target[ahead], np.nan)
        by_step = [
            *_season_ago(past, ago, settings.season),
            *self._known_columns(rows[:, ago], ahead, inside),
            *(
                np.where(inside, _scale_feature(f, self.features[f][ahead], level, scale), np.nan)
                for f in self._features("step")
            ),
        ]
        if settings.lines:
            histories = self._histories(origins)
            theta, damped = settings.lines.forecasts(histories, settings.season, base)
            middle = (theta + damped) / 2
            parts = (theta - base, damped - theta, middle - level[:, None])
            by_step += [part / scale[:, None] for part in parts]
            base = middle
        change = past[:, settings.season :] - past[:, : -settings.season]
        # the mean changes are what a damped trend would be
        by_origin = [
            *self._sizes(origins, level, scale),
            *(change[:, -rows:].mean(1) for rows in settings.trends),
            *self._past_columns(origins, rows),
            *(
                _scale_feature(f, self.features[f][ahead[:, 0]], level, scale)
                for f in self._features("origin")
            ),
        ]
        missed = np.clip((actual - base) / scale[:, None], -MOST_CHANGES, MOST_CHANGES)
        codes = [column[origins.series] for column in self.codes.values()]
        windows = Windows(
            past=past[:, -settings.length :].astype(np.float32),
            origin=np.stack(by_origin, 1, dtype=np.float32),
            codes=np.stack(codes, 1) if codes else np.zeros((len(rows), 0), np.int32),
            steps=np.stack(by_step, -1, dtype=np.float32),
            target=missed.astype(np.float32),
            base=base,
            level=level,
            scale=scale,
        )
        return self.demand.turn(windows, origins, actual) if self.demand else windows

    def _histories(self, origins: Origins) -> Iterator[ndarray]:
        """Yield the rows before each origin, from the first known one."""
        starts = self.panel.offsets[:-1]
        for series, end in zip(origins.series.tolist(), origins.ends.tolist(), strict=True):
            yield self.whole[self.first[series] : starts[series] + end]

    def _features(self, at: Literal["origin", "step"]) -> list[Feature]:
        return [feature for feature in self.features if feature.at == at]

    def _rows(self, origins: Origins) -> ndarray:
        """Return the rows of the panel that make up each span.

        Before the first known row the first season is repeated.
        """
        season = self.windowing.season
        first = self.first[origins.series][:, None]
        ends = (self.panel.offsets[origins.series] + origins.ends)[:, None]
        rows = ends + np.arange(-self.windowing.span, 0)
        repeated = np.where(ends - first >= season, first + (rows - first) % season, ends - 1)
        return np.where(rows >= first, rows, repeated)

    def _ahead(self, origins: Origins, steps: ndarray) -> tuple[ndarray, ndarray]:
        """Return the row of each step, and whether it is there.

        The row of one that is not is the series' last.
        """
        stop = self.panel.offsets[origins.series + 1][:, None]
        ahead = (self.panel.offsets[origins.series] + origins.ends)[:, None] + steps
        return np.minimum(ahead, stop - 1), ahead < stop

    def _normalisation(self, rows: ndarray) -> tuple[ndarray, ndarray]:
        """Return level and scale.

        A seasonal change that is not known counts as the panel's typical one.
        """
        season, window = self.windowing.season, self.whole[rows]
        earlier, later = rows[:, :-season], rows[:, season:]
        real = (later - earlier == season) & ~np.isnan(
            self.target[earlier] + self.target[later]
        )  # a repeated row is not
        size = np.abs(window).mean(1)
        change = np.abs(window[:, season:] - window[:, :-season])
        scale = np.where(real, change, self.windowing.typical * size[:, None]).mean(1)
        return window[:, -season:].mean(1), np.maximum(np.maximum(scale, 1e-3 * size), 1e-9)

    def _sizes(self, origins: Origins, level: ndarray, scale: ndarray) -> list[ndarray]:
        """Return the log of the level relative to its changes, and the share of the span that is
        observed.
        """
        have = self.panel.offsets[origins.series] + origins.ends - self.first[origins.series]
        relative = np.where(level > 0, np.log(np.maximum(level, 1e-9) / scale), 0.0)
        return [relative, np.minimum(have / self.windowing.span, 1.0)]

    def _known_columns(self, ago: ndarray, ahead: ndarray, inside: ndarray) -> Iterator[ndarray]:
        """Yield each known-future column at the step, and less its value a season ago: a promotion
        then is in the reference.
        """
        for name, column in self.known.items():
            there = np.where(inside, self.vintages.get(name, column)[ahead], np.nan)
            yield from (there, there - column[ago])

    def _past_columns(self, origins: Origins, rows: ndarray) -> Iterator[ndarray]:
        """Yield each past-only column's last value and its change over a season.

        Then the static numbers.
        """
        for column in self.passed.values():
            last = column[rows[:, -1]]
            yield from (last, last - column[rows[:, -1 - self.windowing.season]])
        for column in self.numbers.values():
            yield column[origins.series]


def _season_ago(past: ndarray, ago: ndarray, season: int) -> list[ndarray]:
    """Return the value a season before each step, two seasons before, their difference, and the
    last's neighbours less itself.

    A tree cannot take differences; the neighbours tell whether the value that the forecast starts
    from stands out.
    """
    one, two = past[:, ago], past[:, ago - season]
    neighbours = (past[:, ago - 1] + past[:, np.minimum(ago + 1, past.shape[1] - 1)]) / 2
    return [one, two, one - two, neighbours - one]


def _scale_feature(feature: Feature, values: ndarray, level: ndarray, scale: ndarray) -> ndarray:
    """Return a feature in the unit of the window, shape (n,) or (n, h) as `values`."""
    if feature.scale == "none":
        return values
    shape = (-1,) + (1,) * (values.ndim - 1)
    moved = values - level.reshape(shape) if feature.scale == "level" else values
    return moved / scale.reshape(shape)
