"""A category that says how a row was dealt with."""

import polars as pl

from tests.support.leaks import table_with

CHECK = "giveaway"
FRAME = table_with(pl.when(pl.col("bad") == 1).then(pl.lit("blocked")).otherwise(pl.lit("shipped")))
