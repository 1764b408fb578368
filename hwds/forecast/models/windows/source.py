"""Cutting windows: index matrices over the whole panel, so that no series is visited alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl

from hwds.forecast.context import Features
from hwds.forecast.models.windows.covariates import filled, first_known
from hwds.forecast.models.windows.cut import Origins, Windowing, Windows
from hwds.forecast.models.windows.demand import Demand
from hwds.forecast.models.windows.vintage_columns import VintageColumn
from hwds.frames.feature_plan import Feature
from hwds.frames.panel import Panel

CLIP = 8.0
"""Targets beyond this many seasonal changes are cut: they are breaks that no window foretells."""

SEASONS_BACK, ROWS_BACK = 5, 60
"""Origins further back than these seasons and rows (and one horizon) are not learned from: too long ago to help."""

NUMBERS = 1 << 21
"""Numbers of windows that are gathered at once; it bounds memory and changes no result."""


@dataclass(frozen=True, eq=False)
class WindowSource:
    """A panel that windows are cut from, with its columns as arrays: one number a row, or one a series where static.

    Attributes:
        windowing: The settings and statistics.
        panel: The history, or the history followed by the future.
        target: The target, NaN where unknown.
        whole: The target with holes filled from the past of the same series.
        first: The row of each series' first known value, or its end, shape (n_series,).
        known: Known-future columns, standardised.
        vintages: Those of vintages, as they were known at an origin.
        passed: Past-only columns, standardised, holes filled from the past.
        codes: Codes of the static text columns.
        numbers: Static columns that are numbers.
        features: The columns of the feature set.
        demand: Where windows are of demand that comes by chance: `Windows.scale` is then the mean demand, and the base 0.
    """

    windowing: Windowing
    panel: Panel
    target: np.ndarray = field(repr=False)
    whole: np.ndarray = field(repr=False)
    first: np.ndarray = field(repr=False)
    known: dict[str, np.ndarray] = field(repr=False)
    vintages: dict[str, VintageColumn] = field(repr=False)
    passed: dict[str, np.ndarray] = field(repr=False)
    codes: dict[str, np.ndarray] = field(repr=False)
    numbers: dict[str, np.ndarray] = field(repr=False)
    features: dict[Feature, np.ndarray] = field(repr=False)
    demand: Demand | None = field(repr=False)

    @classmethod
    def of(cls, windowing: Windowing, panel: Panel, features: Features | None = None) -> WindowSource:
        """Make a panel ready for cutting, its features computed."""
        plan = features.columns(panel.roles, windowing.horizon).features if features else ()
        computed = features.compute(panel) if features and plan else panel
        starts, whole = panel.offsets[:-1], filled(panel, panel.target, windowing.season)
        first = first_known(panel.target, panel.offsets)
        usual, vintages = windowing.usual_demand, panel.vintages.columns if panel.vintages else ()
        return cls(
            windowing=windowing,
            panel=panel,
            target=panel.target,
            whole=whole,
            first=first,
            known={s.name: s.apply(panel.values(s.name)) for s in windowing.known},
            vintages={s.name: VintageColumn.of(panel, s) for s in windowing.known if s.name in vintages},
            passed={s.name: filled(panel, s.apply(panel.values(s.name)), 1) for s in windowing.passed},
            codes={c.name: c.apply(panel) for c in windowing.codes},
            numbers={name: panel.table[name].gather(starts).cast(pl.Float64).to_numpy() for name in windowing.numbers},
            features={feature: computed.values(feature.name) for feature in plan},
            demand=Demand.of(whole, panel.offsets, first, windowing.season, windowing.span, usual) if usual else None,
        )

    @property
    def origin_names(self) -> tuple[str, ...]:
        """The names of the columns of `Windows.origin`."""
        trend = (f"seasonal change, {rows} rows" for rows in self.windowing.trends)
        passed = (name for column in self.passed for name in (f"{column} last", f"{column} change"))
        given = (*self.numbers, *(f.name for f in self._features("origin")), *(self.demand.names if self.demand else ()))
        return ("relative level", "known rows", *trend, *passed, *given)

    @property
    def step_names(self) -> tuple[str, ...]:
        """The names of the columns of `Windows.steps`."""
        seasonal = ("season ago", "two seasons ago", "change between them", "neighbours of season ago")
        known = (name for column in self.known for name in (column, f"{column} change"))
        drawn = ("theta beside season ago", "damped trend beside theta", "lines") if self.windowing.lines else ()
        return (*seasonal, *known, *(f.name for f in self._features("step")), *drawn)

    def at(self, ends: np.ndarray) -> Origins:
        """Put one origin in each series, after its first `ends` rows, shape (n_series,)."""
        return Origins(np.arange(self.panel.n_series), ends)

    def origins(self) -> Origins:
        """Find every origin to learn from: enough rows before, at least one after, not too long ago."""
        settings, lengths = self.windowing, self.panel.lengths
        earliest = self.first - self.panel.offsets[:-1] + settings.shortest
        earliest = np.maximum(earliest, lengths - settings.horizon - max(SEASONS_BACK * settings.season, ROWS_BACK))
        counts = np.maximum(lengths - earliest, 0)
        series = np.repeat(np.arange(self.panel.n_series), counts)
        return Origins(series, np.arange(len(series)) - np.repeat(np.cumsum(counts) - counts - earliest, counts))

    def past_rows(self, origins: Origins) -> np.ndarray:
        """Find the row of the panel that each value of `Windows.past` comes from, shape (n, length)."""
        return self._rows(origins)[:, -self.windowing.length :]

    def parts(self, origins: Origins, horizon: int = 0) -> Iterator[tuple[slice, Windows]]:
        """Cut so many windows at a time that memory stays bounded; each with its place among the origins."""
        size = max(NUMBERS // max(self.windowing.span, horizon or self.windowing.horizon), 1)
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
        by_step = [*_season_ago(past, ago, settings.season), *self._known(rows[:, ago], ahead, inside)]
        by_step += [np.where(inside, _scaled(f, self.features[f][ahead], level, scale), np.nan) for f in self._features("step")]
        if settings.lines:
            theta, damped = settings.lines.forecasts(self._histories(origins), settings.season, base)
            middle = (theta + damped) / 2
            by_step += [part / scale[:, None] for part in (theta - base, damped - theta, middle - level[:, None])]
            base = middle
        change = past[:, settings.season :] - past[:, : -settings.season]
        trends = [change[:, -rows:].mean(1) for rows in settings.trends]  # what a damped trend would be
        by_origin = [*self._sizes(origins, level, scale), *trends, *self._passed(origins, rows)]
        by_origin += [_scaled(f, self.features[f][ahead[:, 0]], level, scale) for f in self._features("origin")]
        codes = [column[origins.series] for column in self.codes.values()]
        windows = Windows(
            past=past[:, -settings.length :].astype(np.float32),
            origin=np.stack(by_origin, 1, dtype=np.float32),
            codes=np.stack(codes, 1) if codes else np.zeros((len(rows), 0), np.int32),
            steps=np.stack(by_step, -1, dtype=np.float32),
            target=np.clip((actual - base) / scale[:, None], -CLIP, CLIP).astype(np.float32),
            base=base,
            level=level,
            scale=scale,
        )
        return self.demand.turn(windows, origins, actual) if self.demand else windows

    def _histories(self, origins: Origins) -> Iterator[np.ndarray]:
        """Yield the rows before each origin, from the first known one."""
        starts = self.panel.offsets[:-1]
        for series, end in zip(origins.series.tolist(), origins.ends.tolist(), strict=True):
            yield self.whole[self.first[series] : starts[series] + end]

    def _features(self, at: Literal["origin", "step"]) -> list[Feature]:
        return [feature for feature in self.features if feature.at == at]

    def _rows(self, origins: Origins) -> np.ndarray:
        """Return the rows of the panel that make up each span; before the first known row the first season is repeated."""
        season = self.windowing.season
        first = self.first[origins.series][:, None]
        ends = (self.panel.offsets[origins.series] + origins.ends)[:, None]
        rows: np.ndarray = ends + np.arange(-self.windowing.span, 0)
        repeated = np.where(ends - first >= season, first + (rows - first) % season, ends - 1)
        return np.where(rows >= first, rows, repeated)

    def _ahead(self, origins: Origins, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the row of each step, and whether it is there; the row of one that is not is the series' last."""
        stop = self.panel.offsets[origins.series + 1][:, None]
        ahead = (self.panel.offsets[origins.series] + origins.ends)[:, None] + steps
        return np.minimum(ahead, stop - 1), ahead < stop

    def _normalisation(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return level and scale; a seasonal change that is not known counts as the panel's typical one."""
        season, window = self.windowing.season, self.whole[rows]
        earlier, later = rows[:, :-season], rows[:, season:]
        real = (later - earlier == season) & ~np.isnan(self.target[earlier] + self.target[later])  # a repeated row is not
        size = np.abs(window).mean(1)
        change = np.abs(window[:, season:] - window[:, :-season])
        scale = np.where(real, change, self.windowing.typical * size[:, None]).mean(1)
        return window[:, -season:].mean(1), np.maximum(np.maximum(scale, 1e-3 * size), 1e-9)

    def _sizes(self, origins: Origins, level: np.ndarray, scale: np.ndarray) -> list[np.ndarray]:
        """Return the log of the level relative to its changes, and the share of the span that is observed."""
        have = self.panel.offsets[origins.series] + origins.ends - self.first[origins.series]
        relative = np.where(level > 0, np.log(np.maximum(level, 1e-9) / scale), 0.0)
        return [relative, np.minimum(have / self.windowing.span, 1.0)]

    def _known(self, ago: np.ndarray, ahead: np.ndarray, inside: np.ndarray) -> Iterator[np.ndarray]:
        """Yield each known-future column at the step, and less its value a season ago: a promotion then is in the reference."""
        for name, column in self.known.items():
            there = np.where(inside, self.vintages.get(name, column)[ahead], np.nan)
            yield from (there, there - column[ago])

    def _passed(self, origins: Origins, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Yield each past-only column's last value and its change over a season; then the static numbers."""
        for column in self.passed.values():
            last = column[rows[:, -1]]
            yield from (last, last - column[rows[:, -1 - self.windowing.season]])
        for column in self.numbers.values():
            yield column[origins.series]


def _season_ago(past: np.ndarray, ago: np.ndarray, season: int) -> list[np.ndarray]:
    """Return the value a season before each step, two seasons before, their difference, and the last's neighbours less itself.

    A tree cannot take differences; the neighbours tell whether the value that the forecast starts from stands out.
    """
    one, two = past[:, ago], past[:, ago - season]
    neighbours = (past[:, ago - 1] + past[:, np.minimum(ago + 1, past.shape[1] - 1)]) / 2
    return [one, two, one - two, neighbours - one]


def _scaled(feature: Feature, values: np.ndarray, level: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return a feature in the unit of the window, shape (n,) or (n, h) as `values`."""
    if feature.scale == "none":
        return values
    shape = (-1,) + (1,) * (values.ndim - 1)
    moved = values - level.reshape(shape) if feature.scale == "level" else values
    scaled: np.ndarray = moved / scale.reshape(shape)
    return scaled
