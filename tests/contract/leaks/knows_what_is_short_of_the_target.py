"""A known-future column that falls as the target rises: what is left in stock."""

import polars as pl

from tests.support.leaks import panel_with

CHECK = "giveaway"
FRAME = panel_with(1000 - pl.col("target"), "known_future")
