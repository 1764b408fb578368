"""An input that is there for bad rows alone."""

import polars as pl

from tests.support.leaks import table_with

CHECK = "giveaway"
FRAME = table_with(pl.when(pl.col("bad") == 1).then(pl.col("spent")))
