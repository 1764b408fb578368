"""A known-future column that is missing where nothing will sell."""

import polars as pl

from tests.support.leaks import panel_with

CHECK = "giveaway"
FRAME = panel_with(pl.when(pl.col("target") > 0).then(9.5), "known_future")
