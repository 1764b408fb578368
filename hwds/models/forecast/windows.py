"""Windows: a panel cut at many origins into normalised inputs and targets, for models that learn over all series.

Every window is centred on its last season and divided by its mean seasonal change; the target is what the seasonal
naive forecast missed, in the same unit. So a window of large units and one of small ones say the same to a model.

    windowing = Windowing.learn(history, season=12, horizon=18)         # statistics of the history, plain values
    source = windowing.source(history, features)                        # the features are computed here, once
    windows = source.cut(source.origins())                              # fit: inputs and targets of every origin
    source = windowing.source(history.followed_by(future), features)    # predict
    windows = source.cut(source.at(history.lengths), steps)
    forecast = windows.restore(residuals)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl

from hwds.context import Features
from hwds.frames.features import Feature
from hwds.frames.panel import Panel
from hwds.models.forecast.covariates import Codes, Standard, filled, first_known, is_number, learn_codes, learn_standard
from hwds.recipe import Count, Recipe

CLIP = 8.0
"""Targets beyond this many seasonal changes are cut: they are breaks that no window foretells."""

SEASONS_BACK = 5
"""Origins further back than these seasons (and one horizon) are not learned from: too long ago to help."""


@dataclass(frozen=True, eq=False)
class Origins:
    """Places to forecast from.

    Attributes:
        series: The index of each origin's series in the panel, shape (n,).
        ends: How many rows of that series are known there, shape (n,); step h is row `ends + h - 1` of the series.
    """

    series: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.series)

    def take(self, index: np.ndarray | slice) -> Origins:
        """Some of the origins."""
        return Origins(self.series[index], self.ends[index])


@dataclass(frozen=True, eq=False)
class Windows:
    """What is known at n origins, and what followed: float32 unless said, NaN where unknown.

    Attributes:
        past: The last `length` values, (y - level) / scale, holes and short series filled, shape (n, length).
        origin: Inputs that hold for all steps, shape (n, a), in the order of `Source.origin_names`.
        codes: Codes of the static text columns, -1 for a text that fit has not seen, shape (n, c), int32.
        steps: Inputs of each step, shape (n, h, b), in the order of `Source.step_names`.
        target: (y - base) / scale, clipped, shape (n, h).
        base: The seasonal naive forecast in the target's unit, shape (n, h), float64.
        level: Mean of the last season, shape (n,), float64.
        scale: Mean seasonal change, above 0, shape (n,), float64; NaN for a series without a known value.
    """

    past: np.ndarray
    origin: np.ndarray
    codes: np.ndarray
    steps: np.ndarray
    target: np.ndarray
    base: np.ndarray
    level: np.ndarray
    scale: np.ndarray

    def restore(self, residual: np.ndarray) -> np.ndarray:
        """Residuals of shape (n, h) or (n, h, levels) as forecasts in the target's unit, float64."""
        scale, base = self.scale[:, None], self.base
        if residual.ndim == 3:
            scale, base = scale[..., None], base[..., None]
        return base + scale * residual.astype(np.float64)


class Windowing(Recipe):
    """What is learned from the history before windows are cut: plain values, so that `Stored` keeps it as it is.

    Attributes:
        season: Rows in a season.
        horizon: Steps of a training window.
        length: Values of the past that a model sees.
        shortest: Known rows that an origin needs to be learned from.
        typical: The panel's usual seasonal change as a share of the level, for series that have none yet.
        floor: The least forecast: 0 for a panel that was never negative.
        known: Standardisation of the known-future columns.
        passed: Standardisation of the past-only columns.
        codes: Texts of the static text columns.
        numbers: Static columns that are numbers.
    """

    season: Count
    horizon: Count
    length: Count
    shortest: Count
    typical: float
    floor: float
    known: tuple[Standard, ...] = ()
    passed: tuple[Standard, ...] = ()
    codes: tuple[Codes, ...] = ()
    numbers: tuple[str, ...] = ()

    @property
    def span(self) -> int:
        """Rows that normalise a window: two seasons, at least 8."""
        return max(2 * self.season, 8)

    @classmethod
    def learn(cls, history: Panel, *, season: int, horizon: int, length: int = 48) -> Windowing:
        """The statistics of a history; `length` is capped at `span`."""
        target, roles = history.target, history.roles
        static = dict.fromkeys((*roles.static, *roles.level))
        rows = history.offsets[1:] - first_known(target, history.offsets)
        span = max(2 * season, 8)
        return cls(
            season=season,
            horizon=horizon,
            length=min(length, span),
            shortest=int(np.clip(rows.min() - horizon, 1, span)),
            typical=_typical_change(history, season),
            floor=-np.inf if (target < 0).any() else 0.0,
            known=tuple(learn_standard(history, name) for name in roles.known_future),
            passed=tuple(learn_standard(history, name) for name in roles.past_only),
            codes=tuple(learn_codes(history, name) for name in static if not is_number(history, name)),
            numbers=tuple(name for name in static if is_number(history, name)),
        )

    def source(self, panel: Panel, features: Features | None = None) -> Source:
        """The panel made ready for cutting, its features computed."""
        plan = features.columns(panel.roles, self.horizon).features if features else ()
        computed = features.compute(panel) if features and plan else panel
        first = panel.offsets[:-1]
        return Source(
            windowing=self,
            panel=panel,
            target=panel.target,
            whole=filled(panel, panel.target, self.season),
            first=first_known(panel.target, panel.offsets),
            known={s.name: s.apply(panel.values(s.name)) for s in self.known},
            passed={s.name: filled(panel, s.apply(panel.values(s.name)), 1) for s in self.passed},
            codes={c.name: c.apply(panel) for c in self.codes},
            numbers={name: panel.table[name].gather(first).cast(pl.Float64).to_numpy() for name in self.numbers},
            features={feature: computed.values(feature.name) for feature in plan},
        )


@dataclass(frozen=True, eq=False)
class Source:
    """A panel that windows are cut from, with its columns as arrays: one number a row, or one a series where static."""

    windowing: Windowing
    panel: Panel
    target: np.ndarray = field(repr=False)
    whole: np.ndarray = field(repr=False)
    first: np.ndarray = field(repr=False)
    known: dict[str, np.ndarray] = field(repr=False)
    passed: dict[str, np.ndarray] = field(repr=False)
    codes: dict[str, np.ndarray] = field(repr=False)
    numbers: dict[str, np.ndarray] = field(repr=False)
    features: dict[Feature, np.ndarray] = field(repr=False)

    @property
    def origin_names(self) -> tuple[str, ...]:
        """What the columns of `Windows.origin` are."""
        passed = [name for column in self.passed for name in (f"{column} last", f"{column} change")]
        return ("relative level", "known rows", *passed, *self.numbers, *(f.name for f in self._features("origin")))

    @property
    def step_names(self) -> tuple[str, ...]:
        """What the columns of `Windows.steps` are."""
        known = [name for column in self.known for name in (column, f"{column} change")]
        return ("season ago", "two seasons ago", *known, *(f.name for f in self._features("step")))

    def at(self, ends: np.ndarray) -> Origins:
        """One origin a series, after its first `ends` rows, shape (n_series,)."""
        return Origins(np.arange(self.panel.n_series), ends)

    def origins(self) -> Origins:
        """Every origin that can be learned from: enough rows before, at least one after, not too long ago."""
        settings, lengths = self.windowing, self.panel.lengths
        earliest = self.first - self.panel.offsets[:-1] + settings.shortest
        earliest = np.maximum(earliest, lengths - settings.horizon - SEASONS_BACK * max(settings.season, 8))
        counts = np.maximum(lengths - earliest, 0)
        series = np.repeat(np.arange(self.panel.n_series), counts)
        return Origins(series, np.arange(len(series)) - np.repeat(np.cumsum(counts) - counts - earliest, counts))

    def past_rows(self, origins: Origins) -> np.ndarray:
        """The row of the panel that each value of `Windows.past` comes from, shape (n, length)."""
        return self._rows(origins)[:, -self.windowing.length :]

    def cut(self, origins: Origins, horizon: int = 0) -> Windows:
        """The windows of these origins over `horizon` steps (0: as in training); needs about 200 bytes a number of the span."""
        settings, rows = self.windowing, self._rows(origins)
        steps = np.arange(horizon or settings.horizon)
        level, scale = self._normalisation(rows, origins)
        past = (self.whole[rows] - level[:, None]) / scale[:, None]
        ago = settings.span - settings.season + steps % settings.season
        ahead, inside = self._ahead(origins, steps)
        base = self.whole[rows[:, ago]]
        target = (np.where(inside, self.target[ahead], np.nan) - base) / scale[:, None]
        by_step = [past[:, ago], past[:, ago - settings.season]]
        for column in self.known.values():
            there = np.where(inside, column[ahead], np.nan)
            by_step += [there, there - column[rows[:, ago]]]
        by_step += [np.where(inside, _scaled(f, self.features[f][ahead], level, scale), np.nan) for f in self._features("step")]
        return Windows(
            past=past[:, -settings.length :].astype(np.float32),
            origin=self._origin(origins, rows, ahead[:, 0], level, scale),
            codes=np.stack([c[origins.series] for c in self.codes.values()], 1)
            if self.codes
            else np.zeros((len(rows), 0), np.int32),
            steps=np.stack(by_step, -1, dtype=np.float32),
            target=np.clip(target, -CLIP, CLIP).astype(np.float32),
            base=base,
            level=level,
            scale=scale,
        )

    def _features(self, at: Literal["origin", "step"]) -> list[Feature]:
        return [feature for feature in self.features if feature.at == at]

    def _rows(self, origins: Origins) -> np.ndarray:
        """The rows of the panel that make up each span; before a series' first known row its first season is repeated."""
        season = self.windowing.season
        first = self.first[origins.series][:, None]
        ends = (self.panel.offsets[origins.series] + origins.ends)[:, None]
        rows = ends + np.arange(-self.windowing.span, 0)
        repeated = np.where(ends - first >= season, first + (rows - first) % season, ends - 1)
        return np.where(rows >= first, rows, repeated)

    def _ahead(self, origins: Origins, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The row of each step, and whether it is there; a row that is not is replaced by the series' last."""
        stop = self.panel.offsets[origins.series + 1][:, None]
        ahead = (self.panel.offsets[origins.series] + origins.ends)[:, None] + steps
        return np.minimum(ahead, stop - 1), ahead < stop

    def _normalisation(self, rows: np.ndarray, origins: Origins) -> tuple[np.ndarray, np.ndarray]:
        """Level and scale; a seasonal change that is not there counts as the panel's typical one."""
        settings, window = self.windowing, self.whole[rows]
        real = rows[:, : -settings.season] >= self.first[origins.series][:, None]
        real &= ~np.isnan(self.target[rows[:, : -settings.season]] + self.target[rows[:, settings.season :]])
        change = np.abs(window[:, settings.season :] - window[:, : -settings.season])
        size = np.abs(window).mean(1)
        scale = np.where(real, change, settings.typical * size[:, None]).mean(1)
        return window[:, -settings.season :].mean(1), np.maximum(np.maximum(scale, 1e-3 * size), 1e-9)

    def _origin(
        self, origins: Origins, rows: np.ndarray, next_row: np.ndarray, level: np.ndarray, scale: np.ndarray
    ) -> np.ndarray:
        settings = self.windowing
        with np.errstate(invalid="ignore"):
            relative = np.where(level > 0, np.log(np.maximum(level, 1e-9) / scale), 0.0)
        have = self.panel.offsets[origins.series] + origins.ends - self.first[origins.series]
        columns = [relative, np.minimum(have / settings.span, 1.0)]
        for column in self.passed.values():
            columns += [column[rows[:, -1]], column[rows[:, -1]] - column[rows[:, -1 - settings.season]]]
        columns += [column[origins.series] for column in self.numbers.values()]
        columns += [_scaled(f, self.features[f][next_row], level, scale) for f in self._features("origin")]
        return np.stack(columns, 1, dtype=np.float32)


def _scaled(feature: Feature, values: np.ndarray, level: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """A feature in the unit of the window, shape (n,) or (n, h) as `values`."""
    if feature.scale == "none":
        return values
    shape = (-1,) + (1,) * (values.ndim - 1)
    moved = values - level.reshape(shape) if feature.scale == "level" else values
    return moved / scale.reshape(shape)


def _typical_change(panel: Panel, season: int) -> float:
    """The median over series of mean seasonal change / mean size; of changes from row to row where no series has a season."""
    target = panel.target
    size = np.add.reduceat(np.abs(np.nan_to_num(target)), panel.offsets[:-1])
    size = size / np.maximum(np.add.reduceat(~np.isnan(target), panel.offsets[:-1], dtype=np.int64), 1)
    for lag in (season, 1):
        change = np.abs(target - np.roll(target, lag))
        real = ~np.isnan(change) & (panel.positions >= lag)
        pairs = np.add.reduceat(real, panel.offsets[:-1], dtype=np.int64)
        total = np.add.reduceat(np.where(real, change, 0.0), panel.offsets[:-1])
        usable = (pairs > 0) & (size > 0)
        if usable.any():
            return float(np.median(total[usable] / pairs[usable] / size[usable]))
    return 0.2
