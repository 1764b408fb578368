"""The row's own label, where a column says that it is known at once."""

import polars as pl

from hwds.frames.features.base import RowFeatures
from tests.support.leaks import LABELLED_AT_ONCE

CHECK = "own label"
FRAME = LABELLED_AT_ONCE


class Features(RowFeatures):
    def compute(self, table):
        return table.data.select(pl.col("bad").fill_null(0.5).alias("told"))
