"""A known-future column that is missing here and there."""

import polars as pl

from tests.support.leaks import panel_with

FRAME = panel_with(
    pl.when(pl.int_range(pl.len()) % 7 > 0).then(pl.col("promotion")), "known_future"
)
