"""The row's own label as an input of a model, where entities that were found leave the test."""

import polars as pl

from hwds.detection.models.classify.logistic import Logistic as Model  # noqa: F401
from hwds.frames.features.base import RowFeatures
from tests.support.leaks import LABELLED_AT_ONCE

CHECK = "own label"
FRAME = LABELLED_AT_ONCE
SETTINGS = {"known": "removed"}


class Features(RowFeatures):
    def compute(self, table):
        return table.data.select(pl.col("bad").fill_null(0.5).alias("told"))
