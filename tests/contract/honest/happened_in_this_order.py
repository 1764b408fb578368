"""Rows of a day in the order of their customers."""

import polars as pl

from hwds.frames.table import Table
from tests.support.rows import toy_rows

ROWS = toy_rows(400)
DAYS = ROWS.data.drop("row_id").with_columns(pl.col("time").dt.truncate("1d"))
FRAME = Table.build(DAYS.sort("time", "customer"), ROWS.roles)
