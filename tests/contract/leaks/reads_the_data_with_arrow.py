"""A fit that reads the data's own file with a library that no audit event sees."""

import polars as pl
from pyarrow import csv

from tests.support.leaks import Reads

CHECK = "files"
WALLS = True  # without walls nobody would see it


class Model(Reads):
    def read(self):
        return pl.from_arrow(csv.read_csv("sales.csv"))
