"""Columns made of the past, beside those that are known ahead."""

from __future__ import annotations

from typing import Annotated

from hwds.core.recipe import Level, Once
from hwds.forecast.features.calendar import Calendar
from hwds.forecast.features.columns.feature_checks import Rows, RowsOrSeason, known_for
from hwds.forecast.features.columns.history import differences, lags, season_lags, season_windows, weighted_means, windows
from hwds.forecast.features.columns.source import Column
from hwds.frames.roles import Roles


class Lags(Calendar):
    """Lags, rolling and seasonal statistics, weighted means and differences of the target, with all that `calendar` computes.

    Row t has the target and past-only columns of rows before t alone. What the horizon outlives is read at the first row after
    the cutoff; `step_lags` are read at the step that is forecast, and are refused where they are shorter than the horizon. A
    value is null where the series is too short for it, or where one of its rows is not known (`ewm` weighs the known ones).

    Attributes:
        lags: The target so many rows before.
        step_lags: The same, at every step: no shorter than the horizon.
        windows: Rows of rolling means and standard deviations (n - 1) that end at the row before; 0 is one season.
        season_lags: The target of the same season, so many years before.
        season_windows: Mean and standard deviation over the same season of the last so many years.
        alphas: Exponentially weighted means, by the weight of the last row.
        differences: The last row less the row so many before it; 0 is one season.
        past_lags: Every past-only column so many rows before.
        cycles: Sine and cosine of the place in the `year`, the `week` and the `day`, null where the frequency has none.
        launch: The static column with the date of launch, for `device_age` and `launch_flag`; '' for none.
        planned_end: The static column with the planned end, for `months_to_end`; '' for none.
        price: Known-future columns whose log change is taken, against the row before and against the same season a year before.
        events: Known-future columns that are 0 but in an event (a promotion, a successor's launch, a competitor's move): their
            value in the row before, and the rows since the event began.
        season: Rows in a season; 0 takes the dataset's. Seasonal features are read at the step only where it is given and no
            shorter than the horizon.

    Example:
        python -m hwds model=forecast/xgboost features=lags features.lags=[1,2,12]
    """

    lags: Rows = (1, 2, 3)
    step_lags: Rows = ()
    windows: RowsOrSeason = (3, 0)
    season_lags: Rows = (1,)
    season_windows: Rows = (2,)
    alphas: Annotated[tuple[Level, ...], Once] = (0.3,)
    differences: RowsOrSeason = (1, 0)
    past_lags: Rows = (1,)

    def _from_past(self, roles: Roles, horizon: int) -> list[Column]:
        known_for("step_lags", self.step_lags, horizon)
        return [
            *lags(self.lags),
            *lags(self.step_lags, prefix="step_lag", at="step"),
            *windows(self.windows),
            *season_lags(self.season_lags, self.season, horizon),
            *season_windows(self.season_windows, self.season, horizon),
            *weighted_means(self.alphas),
            *differences(self.differences),
            *(column for name in roles.past_only for column in lags(self.past_lags, f"{name}_lag", name, scale="none")),
        ]
