"""A static column that is the mean of the last rows."""

import polars as pl

from tests.support.leaks import panel_with

CHECK = "giveaway"
FRAME = panel_with(pl.col("target").tail(6).mean(), "static")
