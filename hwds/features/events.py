"""Where a row stands to an event that is known ahead: a promotion, a successor's launch, a competitor's move."""

from __future__ import annotations

from functools import partial

import polars as pl

from hwds.features.source import POSITION, Column, Source, before
from hwds.frames.features import Feature


def events(column: str) -> list[Column]:
    """`..._before`, the value of the row before, and `..._since`, rows since the column last rose from 0.

    The dip after a promotion is in the first; the second is 0 in the row where the event begins, and null before there was one.
    A series whose first row is not 0 begins with an event.
    """
    return [
        Column(Feature(f"{column}_before", "step"), partial(_before, column=column)),
        Column(Feature(f"{column}_since", "step"), partial(_since, column=column)),
    ]


def _before(source: Source, column: str) -> pl.Expr:
    return before(pl.col(column), 1)


def _since(source: Source, column: str) -> pl.Expr:
    now = pl.col(column) != 0
    begins = now & ~before(now, 1).fill_null(False)
    return pl.col(POSITION) - pl.when(begins).then(pl.col(POSITION)).forward_fill().over(source.codes)
