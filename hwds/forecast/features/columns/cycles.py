"""The calendar as points on circles, so that December stands beside January."""

from __future__ import annotations

from functools import partial
from math import tau
from typing import Literal

import polars as pl

from hwds.forecast.features.columns.source import NEVER, Column, FeatureSource
from hwds.frames.feature_plan import Feature
from hwds.frames.roles import TIME

Cycle = Literal["year", "week", "day"]

DAYS = {"ms": 1 / 86_400e3, "s": 1 / 86_400, "m": 1 / 1440, "h": 1 / 24, "d": 1.0, "w": 7.0}
DAYS |= {"mo": 365.25 / 12, "q": 365.25 / 4, "y": 365.25}
"""Days in each unit of a polars duration."""

LENGTHS: dict[Cycle, float] = {"year": 365.25, "week": 7.0, "day": 1.0}


def cycles(names: tuple[Cycle, ...]) -> list[Column]:
    """Return sine and cosine of the place in each cycle; null with no calendar, or with fewer than two rows in a cycle.

    Place in the `year`: the month (the quarter, for quarterly rows), or for rows more frequent than monthly the day of the
    year; in the `week`: the day of the week; in the `day`: the hour and its minutes.
    """
    return [
        Column(Feature(f"{name}_{part}", "step"), partial(_place, cycle=name, part=part))
        for name in names
        for part in ("sin", "cos")
    ]


def has_cycle(every: str, cycle: Cycle) -> bool:
    """Return whether rows of a frequency (`1mo`, `7d`, `1i`) fall on at least two places of a cycle."""
    count, unit = _split(every)
    return unit in DAYS and 2 * count * DAYS[unit] <= LENGTHS[cycle]


def _place(source: FeatureSource, cycle: Cycle, part: Literal["sin", "cos"]) -> pl.Expr:
    every = source.panel.frequency.every
    if not has_cycle(every, cycle):
        return NEVER
    angle = tau * _share(pl.col(TIME), every, cycle)
    return angle.sin() if part == "sin" else angle.cos()


def _share(time: pl.Expr, every: str, cycle: Cycle) -> pl.Expr:
    """Return how much of the cycle has passed, from 0 to 1."""
    if cycle == "day":
        return (time.dt.hour() + time.dt.minute() / 60) / 24
    if cycle == "week":
        return (time.dt.weekday() - 1) / 7
    if in_months(every):
        return (time.dt.month() - 1) / 12
    return (time.dt.ordinal_day() - 1) / (365 + time.dt.is_leap_year().cast(pl.Int16))


def row_days(every: str) -> float:
    """Return the mean number of days from one row to the next."""
    count, unit = _split(every)
    return count * DAYS[unit]


def in_months(every: str) -> bool:
    """Return whether a frequency counts calendar months: then the day of the month says nothing."""
    return _split(every)[1] in ("mo", "q", "y")


def _split(every: str) -> tuple[int, str]:
    unit = every.lstrip("0123456789")
    return int(every.removesuffix(unit) or 1), unit
