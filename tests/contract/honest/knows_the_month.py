"""A known-future column that is the calendar."""

import polars as pl

from tests.support.leaks import panel_with

FRAME = panel_with(pl.col("time").dt.month(), "known_future")
