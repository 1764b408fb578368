"""A known-future column that is the target."""

import polars as pl

from tests.support.leaks import panel_with

CHECK = "giveaway"
FRAME = panel_with(pl.col("target"), "known_future")
