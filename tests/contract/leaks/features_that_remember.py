"""Features that count how many rows they have ever been given."""

import polars as pl

from hwds.frames.features.base import RowFeatures

CHECK = "state"
GIVEN = []


class Features(RowFeatures):
    def compute(self, table):
        GIVEN.append(len(table.data))
        return table.data.select(pl.lit(float(sum(GIVEN))).alias("given"))
