"""The mean label of the rows that had arrived by then, and a count of the customer's rows so
far.
"""

import numpy as np
import polars as pl

from hwds.detection.models.classify.logistic import Logistic as Model  # noqa: F401
from hwds.frames.features.base import RowFeatures

LABEL_TIME = True


class Features(RowFeatures):
    def compute(self, table):
        data = table.data
        when, label = data[table.name("label_time")].to_numpy(), data["bad"].to_numpy()
        told = [
            float(np.nanmean(label[known])) if (known := when <= at).any() else 0.0
            for at in data["time"].to_numpy()
        ]
        own = data.select(
            pl.col("row_id").cum_count().over("customer").cast(pl.Float64).alias("own")
        )
        return own.with_columns(pl.Series("told", told))
