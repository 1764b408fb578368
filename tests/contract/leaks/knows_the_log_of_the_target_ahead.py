"""A known-future column that is an increasing function of the target."""

import polars as pl

from tests.support.leaks import panel_with

CHECK = "giveaway"
FRAME = panel_with(pl.col("target").log(), "known_future")
