"""A fit that reads a table that lies about, which no setting names."""

import polars as pl

from tests.support.leaks import Reads

CHECK = "files"


class Model(Reads):
    def read(self):
        return pl.read_csv("extra.csv")
