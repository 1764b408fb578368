"""A static column that is the size of the last row, in logs."""

import polars as pl

from tests.support.leaks import panel_with

CHECK = "giveaway"
FRAME = panel_with(pl.col("target").last().log(), "static")
