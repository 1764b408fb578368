"""A static column that is the mean of all rows, the last ones among them."""

import polars as pl

from tests.support.leaks import panel_with

CHECK = "giveaway"
FRAME = panel_with(pl.col("target").mean(), "static")
