"""A mean of labels of earlier rows, where each is known at once; a row's own label does not
count.
"""

import polars as pl

from hwds.detection.models.classify.logistic import Logistic as Model  # noqa: F401
from hwds.frames.features.base import RowFeatures
from tests.support.leaks import LABELLED_AT_ONCE

FRAME = LABELLED_AT_ONCE
SETTINGS = {"known": "kept"}


class Features(RowFeatures):
    def compute(self, table):
        before = pl.col("bad").shift(1).over("customer").fill_null(0.0)
        return table.data.select(before.alias("before"))
