"""Columns of rows standardised by all rows, later ones too."""

import polars as pl

from hwds.frames.features.base import RowFeatures

CHECK = "future"


class Features(RowFeatures):
    def compute(self, table):
        spent = pl.col("spent")
        return table.data.select(((spent - spent.mean()) / spent.std()).alias("z"))
