"""A past-only column that is missing where the target will rise next."""

import polars as pl

from tests.support.leaks import panel_with

CHECK = "giveaway"
FRAME = panel_with(
    pl.when(pl.col("target").shift(-1) <= pl.col("target")).then(pl.col("target") * 0 + 1),
    "past_only",
)
