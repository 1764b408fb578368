"""Windows: a panel cut at many origins into normalised inputs and targets, for models that learn over all series.

Every window is centred on its last season and divided by its mean seasonal change; the target is what the seasonal
naive forecast missed, in the same unit. So a window of large units and one of small ones say the same to a model.

    windowing = Windowing.learn(history, season=12, horizon=18)         # statistics of the history, plain values
    source = windowing.source(history, features)                        # the features are computed here, once
    windows = source.cut(source.origins())                              # fit: inputs and targets of every origin
    source = windowing.source(history.followed_by(future), features)    # predict
    windows = source.cut(source.at(history.lengths), steps)             # or source.parts(...), so many at a time
    forecast = windows.restore(residuals)
"""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.context import Features
from hwds.frames.panel import Panel
from hwds.models.forecast.covariates import Codes, Standard, filled, first_known, is_number, learn_codes, learn_standard
from hwds.models.forecast.foreseen import Foreseen
from hwds.models.forecast.window_demand import Demand
from hwds.models.forecast.window_source import Origins, Source, Windows
from hwds.recipe import Count, Recipe

__all__ = ["Origins", "Source", "Windowing", "Windows", "span_of"]

USUAL_CHANGE = 0.2
"""The seasonal change as a share of the level where no series of the panel shows one."""


class Windowing(Recipe):
    """What is learned from the history before windows are cut: plain values, so that `Stored` keeps it as it is.

    Attributes:
        season: Rows in a season.
        horizon: Steps of a training window.
        length: Values of the past that a model sees.
        shortest: Known rows that an origin needs to be learned from.
        typical: The panel's usual seasonal change as a share of the level, for series that have none yet.
        nonnegative: Whether the panel was never below 0; its forecasts are then not either.
        known: Standardisation of the known-future columns.
        passed: Standardisation of the past-only columns.
        codes: Texts of the static text columns.
        numbers: Static columns that are numbers.
        usual_demand: The size of a usual demand, where demand comes by chance and the target is a multiple of each series' own
            mean demand; 0 where the target is what the seasonal naive missed.
    """

    season: Count
    horizon: Count
    length: Count
    shortest: Count
    typical: float
    nonnegative: bool
    known: tuple[Standard, ...] = ()
    passed: tuple[Standard, ...] = ()
    codes: tuple[Codes, ...] = ()
    numbers: tuple[str, ...] = ()
    usual_demand: float = 0.0

    @property
    def span(self) -> int:
        """Rows that normalise a window."""
        return span_of(self.season)

    @property
    def trends(self) -> tuple[int, ...]:
        """Over how many rows the seasonal change is averaged, as an input."""
        longest = self.span - self.season
        return tuple(sorted({1, min(max(longest // 4, 2), longest), min(max(longest // 2, 3), longest), longest}))

    @classmethod
    def learn(cls, history: Panel, *, season: int, horizon: int, length: int = 48, of_demand: bool = False) -> Windowing:
        """Take the statistics of a history; `length` is capped at the span."""
        target, roles = history.target, history.roles
        static = dict.fromkeys((*roles.static, *roles.level))
        rows = history.offsets[1:] - first_known(target, history.offsets)
        return cls(
            season=season,
            horizon=horizon,
            length=min(length, span_of(season)),
            shortest=int(np.clip(rows[rows > 0].min(initial=len(target)) - 2 * horizon, 1, span_of(season))),
            typical=_typical_change(history, season),
            nonnegative=not bool((target < 0).any()),
            known=tuple(learn_standard(history, name) for name in roles.known_future),
            passed=tuple(learn_standard(history, name) for name in roles.past_only),
            codes=tuple(learn_codes(history, name) for name in static if not is_number(history, name)),
            numbers=tuple(name for name in static if is_number(history, name)),
            usual_demand=_usual_demand(history) if of_demand else 0.0,
        )

    def source(self, panel: Panel, features: Features | None = None) -> Source:
        """Make a panel ready for cutting, its features computed."""
        plan = features.columns(panel.roles, self.horizon).features if features else ()
        computed = features.compute(panel) if features and plan else panel
        starts, whole = panel.offsets[:-1], filled(panel, panel.target, self.season)
        first = first_known(panel.target, panel.offsets)
        usual, foreseen = self.usual_demand, panel.vintages.columns if panel.vintages else ()
        return Source(
            windowing=self,
            panel=panel,
            target=panel.target,
            whole=whole,
            first=first,
            known={s.name: s.apply(panel.values(s.name)) for s in self.known},
            foreseen={s.name: Foreseen.of(panel, s) for s in self.known if s.name in foreseen},
            passed={s.name: filled(panel, s.apply(panel.values(s.name)), 1) for s in self.passed},
            codes={c.name: c.apply(panel) for c in self.codes},
            numbers={name: panel.table[name].gather(starts).cast(pl.Float64).to_numpy() for name in self.numbers},
            features={feature: computed.values(feature.name) for feature in plan},
            demand=Demand.of(whole, panel.offsets, first, self.season, self.span, usual) if usual else None,
        )


def span_of(season: int) -> int:
    """Rows that normalise a window: two seasons, at least 8."""
    return max(2 * season, 8)


def _usual_demand(panel: Panel) -> float:
    """The median over series of the mean of their demands above zero; 1 where there were none."""
    demand, starts = np.maximum(np.nan_to_num(panel.target), 0.0), panel.offsets[:-1]
    times = np.add.reduceat((demand > 0).astype(np.int64), starts)
    some = times > 0
    return float(np.median(np.add.reduceat(demand, starts)[some] / times[some])) if some.any() else 1.0


def _typical_change(panel: Panel, season: int) -> float:
    """The median over series of mean seasonal change / mean size; of changes from row to row where no series has a season."""
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
