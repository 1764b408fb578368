"""A forecaster that sees series without their longer season: hours, whose season is the day, without the week."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import polars as pl
from annotated_types import Ge, Le

from hwds.core.serialization import Serializable
from hwds.forecast.context import ForecastContext
from hwds.forecast.models.base import FittedForecaster, Forecaster
from hwds.forecast.models.statistical.base import filled
from hwds.forecast.models.statistical.nested_seasons import longer_season, put_back, taken_out
from hwds.forecast.models.statistical.seasons import Season
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.frames.roles import TARGET

DAYS = 7
"""Short seasons in a longer one where nothing else is said: days in a week."""


class LongSeason(Forecaster):
    """A forecaster that is shown each series without its longer season, which is put back into the answer.

    Hours have a day and a week. Most models know one season, that of the dataset: the day. The week is taken out by classical
    decomposition, of the means of days and then of what is left of the hours, with factors that are shrunk by how sure they
    are (`statistical.nested_seasons`), anew in the history of every forecast. A series of fewer than sixteen days is shown as
    it is, and so is one where nothing speaks for a week. Of a series with zeros the week is subtracted, which may leave
    negative values: models of intermittent demand have no answer to these but the seasonal naive's.

    Attributes:
        member: Any forecaster; it knows the short season alone.
        seasons: Short seasons in the longer one: 7 days in a week.

    Example:
        python -m hwds dataset=file dataset.path=hours.parquet dataset.season=24 model=forecast/long_season
    """

    member: Forecaster
    seasons: Annotated[int, Ge(2), Le(1_000)] = DAYS

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedLongSeason:
        """Fit the member to the series without their longer season."""
        longer = Longer(context.season, self.seasons)
        shown, _ = longer.without(history)
        return FittedLongSeason(self.member.learn(shown, horizon=horizon, context=context), longer)


@dataclass(frozen=True)
class Longer(Serializable):
    """A longer season: rows in the short one, and how many of these it has."""

    season: int
    count: int

    def without(self, history: Panel) -> tuple[Panel, list[tuple[Season, ...]]]:
        """Return a history without the longer season of each series, and the parts of these, which begin at its first row."""
        parts = [self.of(history.series(i)) for i in range(history.n_series)]
        values = [taken_out(part, history.series(i)) for i, part in enumerate(parts)]
        table = history.table.with_columns(pl.Series(TARGET, np.concatenate(values), nan_to_null=True))
        return replace(history, table=table), parts

    def of(self, values: np.ndarray) -> tuple[Season, ...]:
        """Return the parts of a series' longer season; none where less than half of its values are known."""
        known = np.flatnonzero(~np.isnan(values))
        if self.season < 2 or not len(known) or 2 * len(known) < known[-1] + 1 - known[0]:
            return ()
        first = int(known[0])
        parts = longer_season(filled(values[first : known[-1] + 1], self.season), self.season, self.count)
        return tuple(replace(part, factors=np.roll(part.factors, first)) for part in parts)


@dataclass(frozen=True, eq=False)
class FittedLongSeason(Serializable):
    """The member as it was fitted, and the longer season that series are shown without."""

    member: Any
    longer: Longer

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Return the member's forecasts with the longer season of each series."""
        fitted: FittedForecaster = self.member
        shown, parts = self.longer.without(history)
        said = fitted.predict(shown, future)
        both = np.concatenate([said.mean[..., None], said.quantiles], axis=-1)
        for i, part in enumerate(parts):
            columns = [put_back(part, column, int(history.lengths[i])) for column in both[i].T]
            both[i] = np.maximum(np.stack(columns, axis=-1), -np.inf if (history.series(i) < 0).any() else 0.0)
        return replace(Forecasts.of(both[..., 0], both[..., 1:], said.fallback), diagnostics=said.diagnostics)
