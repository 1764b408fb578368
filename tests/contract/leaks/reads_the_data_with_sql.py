"""A fit that reads the data's own file in a query."""

import polars as pl

from tests.support.leaks import Reads

CHECK = "files"
WALLS = True  # without walls nobody would see it


class Model(Reads):
    def read(self):
        return pl.sql("SELECT * FROM read_csv('sales.csv')").collect()
