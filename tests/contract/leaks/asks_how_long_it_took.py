"""How long it took until the row was found out."""

import polars as pl

from hwds.frames.features.base import RowFeatures

CHECK = "future"
LABEL_TIME = True


class Features(RowFeatures):
    def compute(self, table):
        waited = (pl.col("found_at") - pl.col("time")).dt.total_hours()
        return table.data.select(waited.cast(pl.Float64).alias("waited"))
