"""Windows: a panel cut at many origins into normalised inputs and targets, for models that learn over all series.

Every window is centred on its last season and divided by its mean seasonal change; the target is what the seasonal
naive forecast missed, in the same unit. So a window of large units and one of small ones say the same to a model.

    windowing = Windowing.learn(history, season=12, horizon=18)         # statistics of the history, plain values
    source = WindowSource.of(windowing, history, features)              # the features are computed here, once
    windows = source.cut(source.origins())                              # fit: inputs and targets of every origin
    source = WindowSource.of(windowing, history.followed_by(future), features)
    windows = source.cut(source.at(history.lengths), steps)             # predict; or source.parts(...), so many at a time
    forecast = windows.restore(residuals)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hwds.core.recipe import PositiveInt, Recipe
from hwds.forecast.models.windows.covariates import Codes, Standard, first_known, is_number, learn_codes, learn_standard
from hwds.frames.panel import Panel

USUAL_CHANGE = 0.2
"""The seasonal change as a share of the level where no series of the panel shows one."""


class OriginForecasts(Recipe):
    """Two forecasts from each origin, the mean of which a model corrects: one without them does not depend on their code."""

    def forecasts(self, histories: Iterable[np.ndarray], season: int, base: np.ndarray) -> np.ndarray:
        """Return both, shape (2, n, steps), `base` where one of them has none.

        Args:
            histories: The rows of the series before each origin, without holes; n of them.
            season: Rows in a season.
            base: The seasonal naive forecasts, shape (n, steps).
        """
        raise NotImplementedError(f"{type(self).__name__}.forecasts")


class Windowing(Recipe):
    """The settings and statistics that windows are cut by: plain values, so that `Serializable` keeps it as it is.

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
        lines: Where they are given, the target is what their mean missed instead, and they are inputs.
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
        return tuple(sorted({1, min(max(longest // 4, 2), longest), min(max(longest // 2, 3), longest), longest}))

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
            lines=lines,
        )


def span_of(season: int) -> int:
    """Return rows that normalise a window: two seasons, at least 8."""
    return max(2 * season, 8)


def _usual_demand(panel: Panel) -> float:
    """Return the median over series of the mean of their demands above zero; 1 where there were none."""
    demand, starts = np.maximum(np.nan_to_num(panel.target), 0.0), panel.offsets[:-1]
    times = np.add.reduceat((demand > 0).astype(np.int64), starts)
    some = times > 0
    return float(np.median(np.add.reduceat(demand, starts)[some] / times[some])) if some.any() else 1.0


def _typical_change(panel: Panel, season: int) -> float:
    """Return the median over series of mean seasonal change / mean size; of changes by row where no series has a season."""
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
        ends: How many rows of that series are known there, shape (n,); step h is row `ends + h - 1` of the series.
    """

    series: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.series)

    def take(self, index: np.ndarray | slice) -> Origins:
        """Keep some of the origins."""
        return Origins(self.series[index], self.ends[index])


@dataclass(frozen=True, eq=False)
class Windows:
    """The inputs at n origins, and the targets: float32 by default, NaN where unknown.

    Attributes:
        past: The last `length` values, (y - level) / scale, holes and short series filled, shape (n, length).
        origin: Inputs that hold for all steps, shape (n, a), in the order of `WindowSource.origin_names`.
        codes: Codes of the static text columns, -1 for a text that fit has not seen, shape (n, c), int32.
        steps: Inputs of each step, shape (n, h, b), in the order of `WindowSource.step_names`.
        target: (y - base) / scale, clipped, shape (n, h).
        base: The seasonal naive forecast, or the mean of the lines, in the target's unit, shape (n, h), float64.
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
        """Turn residuals of shape (n, h) or (n, h, levels) into forecasts in the target's unit, float64."""
        scale, base = self.scale[:, None], self.base
        if residual.ndim == 3:
            scale, base = scale[..., None], base[..., None]
        forecast: np.ndarray = base + scale * residual.astype(np.float64)
        return forecast
