"""A known-future column that moves the target, as a price does."""

import polars as pl

from tests.support.leaks import panel_with

FRAME = panel_with(pl.col("promotion") * -2 + 10, "known_future")
