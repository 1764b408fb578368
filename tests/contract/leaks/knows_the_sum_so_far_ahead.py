"""A known-future column that is the running sum of the target."""

import polars as pl

from tests.support.leaks import panel_with

CHECK = "giveaway"
FRAME = panel_with(pl.col("target").cum_sum(), "known_future")
