"""How many of the day's rows are bad."""

import polars as pl

from hwds.frames.features.base import RowFeatures

CHECK = "future"


class Features(RowFeatures):
    def compute(self, table):
        day = pl.col("time").dt.truncate("1d")
        return table.data.select(pl.col("bad").sum().over(day).alias("today"))
