"""An input that is filled in once the label is known."""

import polars as pl

from tests.support.leaks import table_with

CHECK = "giveaway"
FRAME = table_with(pl.col("bad") * 3 + pl.col("visits").fill_null(0) / 10)
