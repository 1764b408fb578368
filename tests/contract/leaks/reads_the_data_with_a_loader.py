"""A fit that reads the data's own file with an importer's function, which opens it as if it were code."""

from importlib.machinery import SourceFileLoader

import polars as pl

from tests.support.leaks import Reads

CHECK = "files"
WALLS = True  # without walls nobody would see it


class Model(Reads):
    def read(self):
        return pl.read_csv(SourceFileLoader("sales", "sales.csv").get_data("sales.csv"))
