"""Columns made of the past, beside those that are known ahead."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import polars as pl
from polars import col

from hwds.core.recipe import Level, Once
from hwds.forecast.columns import (
    FeatureColumn,
    FeatureSource,
    Rows,
    RowsOrSeason,
    check_step_lags,
    earlier_value,
)
from hwds.forecast.features.calendar import Calendar
from hwds.frames.features.base import At, Feature, FeatureScale
from hwds.frames.roles import TARGET, Roles

# Columns made of rows before: lags, sliding windows, seasons, weighted means and differences.

RowCounts = tuple[int, ...]


def lag_columns(
    rows: RowCounts,
    prefix: str = "lag",
    column: str = TARGET,
    at: At = "origin",
    scale: FeatureScale = "level",
) -> list[FeatureColumn]:
    """Return the value `k` rows before, for each k in `rows`."""

    def lag(k: int) -> FeatureColumn:
        return FeatureColumn(
            Feature(f"{prefix}_{k}", at, scale), lambda source: earlier_value(col(column), k)
        )

    return [lag(k) for k in rows]


def window_columns(sizes: RowCounts) -> list[FeatureColumn]:
    """Return mean and standard deviation of the last rows before this one.

    0 stands for a season.
    """
    made = []
    for size in sizes:
        name, make = size or "season", partial(_window, sizes=sizes, size=size)
        made += _mean_and_deviation(f"mean_{name}", f"std_{name}", "origin", make)
    return made


def season_lag_columns(years: RowCounts, season: int, horizon: int) -> list[FeatureColumn]:
    """Return the value of the same season `k` seasons before.

    At the step where it is known for the whole horizon.

    Args:
        years: Seasons back.
        season: Rows in a season where the recipe says it, 0 where it is the panel's.
        horizon: Steps to forecast.
    """

    def lag(k: int) -> FeatureColumn:
        return FeatureColumn(
            Feature(f"season_lag_{k}", readable_steps(k * season, horizon), "level"),
            lambda source: earlier_value(col(TARGET), k * source.season),
        )

    return [lag(k) for k in years]


def season_window_columns(years: RowCounts, season: int, horizon: int) -> list[FeatureColumn]:
    """Return mean and standard deviation over the same season of the last `k` years, arguments as
    in `season_lag_columns`.
    """
    made, at = [], readable_steps(season, horizon)
    for k in years:
        make = partial(_season_window, sizes=years, size=k)
        made += _mean_and_deviation(f"season_mean_{k}", f"season_std_{k}", at, make)
    return made


def weighted_mean_columns(alphas: tuple[float, ...]) -> list[FeatureColumn]:
    """Return exponentially weighted means of all rows before: weights (1 - alpha)^age over their
    sum over the known rows.

    As pandas' `ewm(alpha=alpha, adjust=True, ignore_na=False).mean()` of each series, one row
    later.
    """

    def mean(alpha: float) -> FeatureColumn:
        # A hole keeps the mean before it: all weights shrink alike.
        means = col(TARGET).ewm_mean(alpha=alpha, adjust=True, ignore_nulls=False).forward_fill()
        return FeatureColumn(
            Feature(f"ewm_{alpha:g}", "origin", "level"),
            lambda source: earlier_value(means.over(source.codes), 1),
        )

    return [mean(alpha) for alpha in alphas]


def difference_columns(rows: RowCounts) -> list[FeatureColumn]:
    """Return the last value less the one `d` rows before it; 0 stands for a season."""

    def difference(rows_back: int) -> FeatureColumn:
        def make(source: FeatureSource) -> pl.Expr:
            back = 1 + (rows_back or source.season)
            return earlier_value(col(TARGET), 1) - earlier_value(col(TARGET), back)

        return FeatureColumn(Feature(f"diff_{rows_back or 'season'}", "origin", "spread"), make)

    return [difference(each) for each in rows]


def readable_steps(lag: int, horizon: int) -> At:
    """Return where a lag may be read: at every step if it is no shorter than the horizon."""
    return "step" if lag >= horizon else "origin"


def _mean_and_deviation(
    mean: str, deviation: str, at: At, make: partial[pl.Expr]
) -> list[FeatureColumn]:
    return [
        FeatureColumn(Feature(mean, at, "level"), partial(make, part=0)),
        FeatureColumn(Feature(deviation, at, "spread"), partial(make, part=1)),
    ]


def _window(source: FeatureSource, sizes: RowCounts, size: int, part: int) -> pl.Expr:
    moments = source.moments(tuple(k or source.season for k in sizes))
    rows = size or source.season
    return earlier_value(moments[rows][part], 1, needs=rows)


def _season_window(source: FeatureSource, sizes: RowCounts, size: int, part: int) -> pl.Expr:
    moments = source.moments(sizes, source.season)[size]
    return earlier_value(moments[part], source.season, needs=size * source.season)


# Columns made of the past, beside those that are known ahead.


class Lags(Calendar):
    """Lags, rolling and seasonal statistics, weighted means and differences of the target, with all
    that `calendar` computes.

    Row t has the target and past-only columns of rows before t alone. A lag shorter than the
    horizon is read at the first row after the cutoff; `step_lags` are read at the step that is
    forecast, and are refused where they are shorter than the horizon. A value is null where the
    series is too short for it, or where one of its rows is not known (`ewm` weighs the known ones).

    Attributes:
        lags: The target so many rows before.
        step_lags: The same, at every step: no shorter than the horizon.
        windows: Rows of rolling means and standard deviations (n - 1) that end at the row before; 0
            is one season.
        season_lags: The target of the same season, so many years before.
        season_windows: Mean and standard deviation over the same season of the last so many years.
        alphas: Exponentially weighted means, by the weight of the last row.
        differences: The last row less the row so many before it; 0 is one season.
        past_lags: Every past-only column so many rows before.
        cycles: Sine and cosine of the place in the `year`, the `week` and the `day`, null where the
            frequency has none.
        launch: The static column with the date of launch, for `device_age` and `launch_flag`; ''
            for none.
        planned_end: The static column with the planned end, for `months_to_end`; '' for none.
        price: Known-future columns whose log change is taken, against the row before and against
            the same season a year before.
        events: Known-future columns that are 0 except in an event (a promotion, a successor's
            launch, a competitor's move). The features are their value in the row before, and the
            rows since the event began.
        season: Rows in a season; 0 takes the dataset's. Seasonal features are read at the step only
            where it is given and no shorter than the horizon.

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

    def _from_past(self, roles: Roles, horizon: int) -> list[FeatureColumn]:
        check_step_lags(self.step_lags, horizon)
        return [
            *lag_columns(self.lags),
            *lag_columns(self.step_lags, prefix="step_lag", at="step"),
            *window_columns(self.windows),
            *season_lag_columns(self.season_lags, self.season, horizon),
            *season_window_columns(self.season_windows, self.season, horizon),
            *weighted_mean_columns(self.alphas),
            *difference_columns(self.differences),
            *(
                column
                for name in roles.past_only
                for column in lag_columns(self.past_lags, f"{name}_lag", name, scale="none")
            ),
        ]
