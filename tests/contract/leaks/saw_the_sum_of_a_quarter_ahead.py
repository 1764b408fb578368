"""A past-only column that is the sum of the target in the next three rows."""

import polars as pl

from tests.support.leaks import panel_with

CHECK = "giveaway"
FRAME = panel_with(
    (pl.col("target").shift(-1) + pl.col("target").shift(-2) + pl.col("target").shift(-3)),
    "past_only",
)
