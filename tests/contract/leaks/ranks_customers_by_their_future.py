"""How many rows a customer will have in the end."""

import polars as pl

from hwds.frames.features.base import RowFeatures

CHECK = "future"


class Features(RowFeatures):
    def compute(self, table):
        return table.data.select(pl.len().over("customer").cast(pl.Float64).alias("rows"))
