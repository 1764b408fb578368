"""A static column that is the mean of the first rows."""

import polars as pl

from tests.support.leaks import panel_with

FRAME = panel_with(pl.col("target").head(30).mean(), "static")
