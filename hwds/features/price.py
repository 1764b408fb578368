"""How a price, or another column that is known ahead, has changed."""

from __future__ import annotations

from functools import partial

import polars as pl

from hwds.features.source import Column, Source, before
from hwds.frames.features import Feature


def changes(column: str) -> list[Column]:
    """The log of the ratio to the row before, and to the same season a year before; null unless both are above 0."""
    return [
        Column(Feature(f"{column}_change", "step"), partial(_change, column=column, seasonal=False)),
        Column(Feature(f"{column}_change_season", "step"), partial(_change, column=column, seasonal=True)),
    ]


def _change(source: Source, column: str, seasonal: bool) -> pl.Expr:
    now, then = pl.col(column), before(pl.col(column), source.season if seasonal else 1)
    return pl.when((now > 0) & (then > 0)).then((now / then).log())
