"""A known-future column that is the target of the row before, which lies within the horizon."""

import polars as pl

from tests.support.leaks import panel_with

CHECK = "giveaway"
FRAME = panel_with(pl.col("target").shift(1), "known_future")
