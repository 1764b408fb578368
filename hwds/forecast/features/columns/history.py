"""Columns made of rows before: lags, sliding windows, seasons, weighted means and differences."""

from __future__ import annotations

from functools import partial

import polars as pl

from hwds.forecast.features.columns.source import Column, FeatureSource, before
from hwds.frames.feature_plan import At, Feature, Scale
from hwds.frames.roles import TARGET

Rows = tuple[int, ...]


def lags(rows: Rows, prefix: str = "lag", column: str = TARGET, at: At = "origin", scale: Scale = "level") -> list[Column]:
    """Return the value `k` rows before, for each k in `rows`."""
    return [Column(Feature(f"{prefix}_{k}", at, scale), partial(_lag, column=column, rows=k)) for k in rows]


def windows(sizes: Rows) -> list[Column]:
    """Return mean and standard deviation of the last rows before this one; 0 stands for a season."""
    made = []
    for size in sizes:
        make = partial(_window, sizes=sizes, size=size)
        made += _mean_and_deviation(f"mean_{size or 'season'}", f"std_{size or 'season'}", "origin", make)
    return made


def season_lags(years: Rows, season: int, horizon: int) -> list[Column]:
    """Return the value of the same season `k` seasons before; at the step where it is known for the whole horizon.

    Args:
        years: Seasons back.
        season: Rows in a season where the recipe says it, 0 where it is the panel's.
        horizon: Steps to forecast.
    """
    return [
        Column(Feature(f"season_lag_{k}", readable_at(k * season, horizon), "level"), partial(_season_lag, years=k))
        for k in years
    ]


def season_windows(years: Rows, season: int, horizon: int) -> list[Column]:
    """Return mean and standard deviation over the same season of the last `k` years, arguments as in `season_lags`."""
    made, at = [], readable_at(season, horizon)
    for k in years:
        made += _mean_and_deviation(f"season_mean_{k}", f"season_std_{k}", at, partial(_season_window, sizes=years, size=k))
    return made


def weighted_means(alphas: tuple[float, ...]) -> list[Column]:
    """Return exponentially weighted means of all rows before: weights (1 - alpha)^age over their sum over the known rows.

    As pandas' `ewm(alpha=alpha, adjust=True, ignore_na=False).mean()` of each series, one row later.
    """
    return [Column(Feature(f"ewm_{alpha:g}", "origin", "level"), partial(_weighted_mean, alpha=alpha)) for alpha in alphas]


def differences(rows: Rows) -> list[Column]:
    """Return the last value less the one `d` rows before it; 0 stands for a season."""
    return [Column(Feature(f"diff_{d or 'season'}", "origin", "spread"), partial(_difference, rows=d)) for d in rows]


def readable_at(lag: int, horizon: int) -> At:
    """Return where a lag may be read: at every step if it is no shorter than the horizon."""
    return "step" if lag >= horizon else "origin"


def _mean_and_deviation(mean: str, deviation: str, at: At, make: partial[pl.Expr]) -> list[Column]:
    return [
        Column(Feature(mean, at, "level"), partial(make, part=0)),
        Column(Feature(deviation, at, "spread"), partial(make, part=1)),
    ]


def _lag(source: FeatureSource, column: str, rows: int) -> pl.Expr:
    return before(pl.col(column), rows)


def _window(source: FeatureSource, sizes: Rows, size: int, part: int) -> pl.Expr:
    moments = source.moments(tuple(k or source.season for k in sizes))
    rows = size or source.season
    return before(moments[rows][part], 1, needs=rows)


def _season_lag(source: FeatureSource, years: int) -> pl.Expr:
    return before(pl.col(TARGET), years * source.season)


def _season_window(source: FeatureSource, sizes: Rows, size: int, part: int) -> pl.Expr:
    return before(source.moments(sizes, source.season)[size][part], source.season, needs=size * source.season)


def _weighted_mean(source: FeatureSource, alpha: float) -> pl.Expr:
    # A hole keeps the mean before it: all weights shrink alike.
    means = pl.col(TARGET).ewm_mean(alpha=alpha, adjust=True, ignore_nulls=False).forward_fill()
    return before(means.over(source.codes), 1)


def _difference(source: FeatureSource, rows: int) -> pl.Expr:
    return before(pl.col(TARGET), 1) - before(pl.col(TARGET), 1 + (rows or source.season))
