"""A device's place in its life: months since its launch, the row of the launch, months to its planned end."""

from __future__ import annotations

from functools import partial

import polars as pl

from hwds.core.errors import ConfigError
from hwds.forecast.features.columns.cycles import in_months
from hwds.forecast.features.columns.source import Column, FeatureSource
from hwds.frames.feature_plan import Feature
from hwds.frames.panel import Panel
from hwds.frames.roles import TIME


def since_launch(launch: str) -> list[Column]:
    """Return `device_age`, in months (negative before the launch), and `launch_flag`, 1 in the row whose period has the launch.

    Time that is whole numbers is counted in its own unit.
    """
    return [
        Column(Feature("device_age", "step"), partial(_age, column=launch)),
        Column(Feature("launch_flag", "step"), partial(_flag, column=launch)),
    ]


def to_the_end(planned_end: str) -> list[Column]:
    """Return `months_to_end`, negative once the planned end has passed."""
    return [Column(Feature("months_to_end", "step"), partial(_left, column=planned_end))]


def _age(source: FeatureSource, column: str) -> pl.Expr:
    return _months(pl.col(TIME), source.panel) - _months(_instant(source.panel, "launch", column), source.panel)


def _left(source: FeatureSource, column: str) -> pl.Expr:
    return _months(_instant(source.panel, "planned_end", column), source.panel) - _months(pl.col(TIME), source.panel)


def _flag(source: FeatureSource, column: str) -> pl.Expr:
    """Return a row's period ends at its time where dates stand on the last day of a month; elsewhere it begins there."""
    panel, launch = source.panel, _instant(source.panel, "launch", column)
    time = panel.table[TIME]
    if panel.frequency.month_end:
        return (launch > _plain(pl.lit(panel.frequency.after(time, -1)), panel)) & (launch <= _plain(pl.col(TIME), panel))
    return (launch >= _plain(pl.col(TIME), panel)) & (launch < _plain(pl.lit(panel.frequency.after(time, 1)), panel))


def _months(instant: pl.Expr, panel: Panel) -> pl.Expr:
    if not panel.table.schema[TIME].is_temporal():
        return instant.cast(pl.Float64)
    whole = instant.dt.year().cast(pl.Int32) * 12 + instant.dt.month()
    return whole if in_months(panel.frequency.every) else whole + (instant.dt.day() - 1) / instant.dt.days_in_month()


def _plain(instant: pl.Expr, panel: Panel) -> pl.Expr:
    """Return dates and times of any type as comparable instants; whole numbers as they are."""
    if not panel.table.schema[TIME].is_temporal():
        return instant
    return instant.cast(pl.Datetime("us")).dt.replace_time_zone(None)


def _instant(panel: Panel, field: str, column: str) -> pl.Expr:
    """Return a static column as instants like the panel's time; text is read as ISO dates."""
    calendar, kind = panel.table.schema[TIME].is_temporal(), panel.table.schema[column]
    if kind == pl.Null:
        return pl.lit(None, pl.Datetime("us") if calendar else pl.Float64)
    if not calendar and kind.is_numeric():
        return pl.col(column)
    if calendar and kind in (pl.Date, pl.Datetime):
        return _plain(pl.col(column), panel)
    if calendar and kind == pl.String:
        texts = panel.table[column]
        dates = texts.str.to_date("%Y-%m-%d", strict=False)
        if dates.null_count() == texts.null_count():
            return _plain(pl.lit(dates), panel)
    wanted = "dates" if calendar else "whole numbers like time"
    raise ConfigError(
        f"features.{field}: column '{column}' holds {kind}, must hold {wanted}; features.{field}='' leaves it out."
    )
