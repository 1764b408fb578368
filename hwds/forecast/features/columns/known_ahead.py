"""Columns made of what is known ahead: how a price has changed, and how long ago an event began."""

from __future__ import annotations

from functools import partial

import polars as pl

from hwds.forecast.features.columns.source import POSITION, Column, FeatureSource, before
from hwds.frames.feature_plan import Feature


def changes(column: str) -> list[Column]:
    """Return the log of the ratio to the row before, and to the same season a year before; null unless both are above 0."""
    return [
        Column(Feature(f"{column}_change", "step"), partial(_change, column=column, seasonal=False)),
        Column(Feature(f"{column}_change_season", "step"), partial(_change, column=column, seasonal=True)),
    ]


def _change(source: FeatureSource, column: str, seasonal: bool) -> pl.Expr:
    now, then = pl.col(column), before(pl.col(column), source.season if seasonal else 1)
    return pl.when((now > 0) & (then > 0)).then((now / then).log())


def events(column: str) -> list[Column]:
    """Return `..._before`, the value of the row before, and `..._since`, rows since the column last rose from 0.

    The dip after a promotion is in the first; the second is 0 in the row where the event begins, and null before there was one.
    A series whose first row is not 0 begins with an event.
    """
    return [
        Column(Feature(f"{column}_before", "step"), partial(_before, column=column)),
        Column(Feature(f"{column}_since", "step"), partial(_since, column=column)),
    ]


def _before(source: FeatureSource, column: str) -> pl.Expr:
    return before(pl.col(column), 1)


def _since(source: FeatureSource, column: str) -> pl.Expr:
    now = pl.col(column) != 0
    begins = now & ~before(now, 1).fill_null(False)
    return pl.col(POSITION) - pl.when(begins).then(pl.col(POSITION)).forward_fill().over(source.codes)
