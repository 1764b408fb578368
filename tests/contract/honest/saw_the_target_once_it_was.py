"""A past-only column that is the target of its own row, which is known by then."""

import polars as pl

from tests.support.leaks import panel_with

FRAME = panel_with(pl.col("target"), "past_only")
