"""A forecaster that sees series without their longer season: hours without the week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import polars as pl
from annotated_types import Ge, Le
from numpy import ndarray

from hwds.core.serialization import Serializable
from hwds.forecast.models.base import FittedForecaster, ForecastContext, Forecaster
from hwds.forecast.statistical import Season, fill_holes, season_of
from hwds.frames.panel import Forecasts, Panel
from hwds.frames.roles import TARGET

# A longer season beside a short one: the week of hours whose short season is the day.

AMONG, WITHIN = 2.5, 1.5
"""The caution with which short seasons differ from each other, and their rows beyond that: a level
that wanders looks like a longer season where few are seen. Chosen on simulated hours:
`bench.stacks.hourly`, days of another shape at the weekend, random walks (40 series of seed 3
each).
"""


def longer_season(values: ndarray, season: int, count: int) -> tuple[Season, ...]:
    """Return the longer season of a series, in parts to be taken out one after the other.

    Empty where nothing speaks for it.

    First what distinguishes the short seasons of a longer one, as the days of a week, by their
    means; then what distinguishes its rows beyond that and the short season. Either is a classical
    decomposition with shrunk factors (`season_of`).

    Args:
        values: Without holes, shape (n,).
        season: Rows in the short season.
        count: Short seasons in the longer one.
    """
    blocks = len(values) // season
    first = len(values) - blocks * season
    among = season_of(values[first:].reshape(blocks, season).mean(1), count, caution=AMONG)
    if among is None:
        return ()
    parts = [Season(np.roll(np.repeat(among.factors, season), first), among.additive)]
    rest = take_out_season(parts, values)
    short = season_of(rest, season)
    within = season_of(
        rest if short is None else short.out_of(rest), season * count, caution=WITHIN
    )
    parts += [] if within is None else [within]
    return tuple(part for part in parts if np.ptp(part.factors) > 0)


def take_out_season(parts: Sequence[Season], values: ndarray) -> ndarray:
    """Return a series without the parts of its season, shape (n,)."""
    for part in parts:
        values = part.out_of(values)
    return values


def put_back_season(parts: Sequence[Season], values: ndarray, first: int) -> ndarray:
    """Return rows with the parts of the season again, the first of which stands `first` rows after
    the series' beginning.
    """
    for part in reversed(parts):
        values = part.into(values, first)
    return values


# A forecaster that sees series without their longer season: hours, whose season is the day,
# without the week.

DAYS_A_WEEK = 7
"""Short seasons in a longer one where nothing else is forecasts: days in a week."""


class LongSeason(Forecaster):
    """A forecaster that gets each series without its longer season, which is added back to the
    forecast.

    Hours have a day and a week. Most models know one season, the dataset's: the day. Classical
    decomposition removes the week: first from the means of days, then from the rest of the hours.
    Factors are shrunk by their uncertainty (`statistical.nested_seasons`), and estimated from the
    history of each forecast. A series of fewer than sixteen days is shown as it is, and so is one
    where nothing speaks for a week. If a series has zeros, the week is subtracted, which may leave
    negative values. Models of intermittent demand then take the seasonal naive.

    Attributes:
        member: Any forecaster; it knows the short season alone.
        seasons: Short seasons in the longer one: 7 days in a week.

    Example:
        python -m hwds dataset=file dataset.path=hours.parquet dataset.season=24 \
            model=forecast/long_season
    """

    member: Forecaster
    seasons: Annotated[int, Ge(2), Le(1_000)] = DAYS_A_WEEK

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedLongSeason:
        """Fit the member to the series without their longer season."""
        longer = LongerSeason(context.season, self.seasons)
        shown, _ = longer.without(history)
        return FittedLongSeason(self.member.learn(shown, horizon=horizon, context=context), longer)


@dataclass(frozen=True)
class LongerSeason(Serializable):
    """A longer season: rows in the short one, and how many of these it has."""

    season: int
    count: int

    def without(self, history: Panel) -> tuple[Panel, list[tuple[Season, ...]]]:
        """Return a history without the longer season of each series, and the parts of these, which
        begin at its first row.
        """
        parts = [self.of(history.series(i)) for i in range(history.n_series)]
        values = [take_out_season(part, history.series(i)) for i, part in enumerate(parts)]
        table = history.table.with_columns(
            pl.Series(TARGET, np.concatenate(values), nan_to_null=True)
        )
        return replace(history, table=table), parts

    def of(self, values: ndarray) -> tuple[Season, ...]:
        """Return the parts of a series' longer season.

        None where less than half of its values are known.
        """
        known = np.flatnonzero(~np.isnan(values))
        if self.season < 2 or not len(known) or 2 * len(known) < known[-1] + 1 - known[0]:
            return ()
        first = int(known[0])
        parts = longer_season(
            fill_holes(values[first : known[-1] + 1], self.season), self.season, self.count
        )
        return tuple(replace(part, factors=np.roll(part.factors, first)) for part in parts)


@dataclass(frozen=True, eq=False)
class FittedLongSeason(Serializable):
    """The member as it was fitted, and the longer season that series are shown without."""

    member: Any
    longer: LongerSeason

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Return the member's forecasts with the longer season of each series."""
        fitted: FittedForecaster = self.member
        shown, parts = self.longer.without(history)
        forecasts = fitted.predict(shown, future)
        both = np.concatenate([forecasts.mean[..., None], forecasts.quantiles], axis=-1)
        for i, part in enumerate(parts):
            rows = int(history.lengths[i])
            columns = [put_back_season(part, column, rows) for column in both[i].T]
            least = -np.inf if (history.series(i) < 0).any() else 0.0
            both[i] = np.maximum(np.stack(columns, axis=-1), least)
        answer = Forecasts.of(both[..., 0], both[..., 1:], forecasts.fallback, forecasts.why)
        return replace(answer, diagnostics=forecasts.diagnostics)
