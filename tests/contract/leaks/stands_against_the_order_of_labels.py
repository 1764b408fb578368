"""Rows of a day that stand in the order of their labels, bad ones first."""

import polars as pl

from hwds.frames.table import Table
from tests.support.rows import toy_rows

CHECK = "giveaway"
ROWS = toy_rows(400)
DAYS = ROWS.data.drop("row_id").with_columns(pl.col("time").dt.truncate("1d"))
FRAME = Table.build(DAYS.sort("time", "bad", descending=[False, True]), ROWS.roles)
