"""A known-future column that is the target of a row before the horizon."""

import polars as pl

from tests.support.leaks import panel_with

FRAME = panel_with(pl.col("target").shift(6), "known_future")
