"""The mean label of the customer's earlier rows, whether or not it had arrived."""

import polars as pl

from hwds.frames.features.base import RowFeatures

CHECK = "future"


class Features(RowFeatures):
    def compute(self, table):
        before = pl.col("bad").shift(1).cum_sum() / pl.col("row_id").cum_count()
        return table.data.select(before.over("customer").alias("mean"))
