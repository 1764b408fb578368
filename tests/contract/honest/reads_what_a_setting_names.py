"""A fit that reads a table that a setting of its own names."""

import polars as pl

from tests.support.leaks import Reads

MODEL = {"holidays": "extra.csv"}


class Model(Reads):
    holidays: str = ""

    def read(self):
        return pl.read_csv(self.holidays).head(0)
