"""Forecasts of launches from what earlier launches have done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Rows, Small, ZeroSteps
from hwds.forecast.context import ForecastContext
from hwds.forecast.models.base import Forecaster
from hwds.forecast.models.lifecycle.fitted import FittedAnalog
from hwds.forecast.models.lifecycle.fitting import fit_analog
from hwds.frames.panel import Panel


class Analog(Forecaster):
    """Launches forecast from what earlier launches have done, each counted by how much it has in common with the new one.

    The log of sales is a sum: the course by age, which launches of a family and of a channel share in part; the season and the
    effects of known-future columns (price, promotion), likewise; the level of its kind; and a level of its own that wanders.
    How much is shared is learned (empirical Bayes: MacKay 1992, "Bayesian interpolation"), so that a predecessor in the same
    channel counts for more than a stranger where launches of a kind are alike, and no more where they are not. What a launch
    has sold so far moves its own level by as much as launches have differed against the noise of a row (a Kalman filter; Harvey
    1989). Intervals are as wide as past launches were missed, each left out in its turn, step by step.

    Static columns say what is alike: a value that comes back from launch to launch (a family, a channel) is a kind; one that
    only series of one launch share (a device in several channels) ties them together. Sales must not be negative; a series
    that is, or whose sales are mostly zero, is answered by its last season and counted as a fallback.

    Attributes:
        curve: The course by age: `analog` learns it freely; `bass` (Bass 1969, "A new product growth for model consumer
            durables") and `gompertz` (1825) are growth curves of cumulative sales, fitted to each past launch and pooled.
        age: The known-future column that counts the rows since the launch; empty finds the one that rises by one from row to
            row, or else counts the rows of series that begin after the data does.
        season: Rows in a season; 0 takes the dataset's.
        max_rows: Rows of history to learn from, of the series that began last.
    """

    launches = True
    search_space: ClassVar[Mapping[str, Any]] = {"curve": {"choice": ["analog", "bass", "gompertz"]}}

    curve: Literal["analog", "bass", "gompertz"] = "analog"
    age: str = ""
    season: ZeroSteps = 0
    max_rows: Annotated[Rows, Small(4_000)] = 12_000

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedAnalog:
        """Learn from all series that are known.

        Raises:
            ConfigError: There is no such known-future column.
        """
        if self.age and self.age not in history.roles.known_future:
            raise ConfigError(f"model.age: no known-future column '{self.age}'{nearest(self.age, history.roles.known_future)}")
        season = self.season or context.season
        learned = fit_analog(history, season=season, age=self.age, curve=self.curve, horizon=horizon, most=self.max_rows)
        return FittedAnalog(season=season, levels=context.levels, **vars(learned))
