"""A fit that reads the actuals beside the predictions of an earlier run."""

from pathlib import Path

import polars as pl

from tests.support.leaks import Reads

CHECK = "files"


class Model(Reads):
    def read(self):
        earlier = pl.read_parquet(next(Path("outputs/runs").glob("*/*/predictions.parquet")))
        return earlier.rename({"actual": "target"})
