"""A past-only column that is the target a season later."""

import polars as pl

from tests.support.leaks import panel_with

CHECK = "giveaway"
FRAME = panel_with(pl.col("target").shift(-12), "past_only")
