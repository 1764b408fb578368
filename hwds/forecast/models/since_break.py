"""A forecaster that sees each series as it is since its last break."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import AfterValidator

from hwds.core.recipe import Level, Steps
from hwds.core.serialization import Serializable
from hwds.forecast.context import ForecastContext
from hwds.forecast.models.base import FittedForecaster, Forecaster
from hwds.forecast.models.lifecycle.level_shifts import level_shifts, without_shifts
from hwds.forecast.models.statistical.base import filled
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.frames.roles import TARGET

Earlier = Literal["moved", "dropped"]


def alone(member: Forecaster) -> Forecaster:
    """Return a member that fits each series alone; another is refused."""
    if not member.local:
        raise ValueError("must be a forecaster that fits each series alone")
    return member


class SinceBreak(Forecaster):
    """A forecaster of each series alone, to which a series is shown as if it had always been at its last level.

    Level shifts are found by a test (`level_shifts.level_shift`), anew in the history of every forecast. Moving what came
    before one keeps its season and trend, which a few rows cannot tell: on simulated shifts that did better than dropping it.
    What is dropped leaves at least two seasons.

    Attributes:
        member: Any forecaster that fits each series alone.
        earlier: The treatment of the rows before a shift: `moved` to the new level, or `dropped`.
        alarms: The most that the share of false alarms may be, among series that never shifted.
        longest: The most rows of a series that are searched, from its end.

    Example:
        python -m hwds model=forecast/since_break model.member=forecast/sarima
    """

    local = True
    search_space: ClassVar[Mapping[str, Any]] = {
        "earlier": {"choice": ["moved", "dropped"]},
        "alarms": {"loguniform": [0.005, 0.2]},
    }

    member: Annotated[Forecaster, AfterValidator(alone)]
    earlier: Earlier = "moved"
    alarms: Level = 0.05
    longest: Steps = 500

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedSinceBreak:
        """Fit the member to the series without their shifts."""
        since = Since(context.season, self.earlier, self.alarms, self.longest)
        return FittedSinceBreak(self.member.learn(since.shown(history), horizon=horizon, context=context), since)


@dataclass(frozen=True)
class Since(Serializable):
    """The view of series that the member is shown: rows in a season, and the settings of `SinceBreak`."""

    season: int
    earlier: Earlier
    alarms: float
    longest: int

    def shown(self, history: Panel) -> Panel:
        """Return each series since its last shift."""
        shown = [self._one(history.series(i)) for i in range(history.n_series)]
        first = np.array([row for row, _ in shown], np.int64)
        values = pl.Series(TARGET, np.concatenate([values for _, values in shown]), nan_to_null=True)
        after_shift = pl.Series(history.positions >= np.repeat(first, history.lengths))
        return replace(history, table=history.table.with_columns(values).filter(after_shift))

    def _one(self, values: np.ndarray) -> tuple[int, np.ndarray]:
        """Return the first row that is kept, and the values; a series of which less than half is known stays as it is."""
        known = np.flatnonzero(~np.isnan(values))
        known = known[known >= len(values) - self.longest]
        if not len(known) or 2 * len(known) < known[-1] + 1 - known[0]:
            return 0, values
        start = int(known[0])
        shifts = level_shifts(filled(values[start : known[-1] + 1], self.season), self.season, self.alarms)
        shifts = [shift._replace(row=start + shift.row) for shift in shifts]
        if self.earlier == "moved":
            return 0, without_shifts(values, shifts, self.season)
        return shifts[-1].row if shifts else 0, values


@dataclass(frozen=True, eq=False)
class FittedSinceBreak(Serializable):
    """The member as it was fitted, and how series are shown to it."""

    member: Any
    since: Since

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Return the member's forecasts of the series without their shifts."""
        fitted: FittedForecaster = self.member
        return fitted.predict(self.since.shown(history), future)
