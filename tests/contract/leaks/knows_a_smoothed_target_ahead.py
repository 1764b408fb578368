"""A known-future column that is a centred mean of the target."""

import polars as pl

from tests.support.leaks import panel_with

CHECK = "giveaway"
FRAME = panel_with(pl.col("target").rolling_mean(5, center=True), "known_future")
