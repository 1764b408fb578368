"""A fit that reads the data under a name that ends as code does."""

import os

import polars as pl

from tests.support.leaks import Reads

CHECK = "files"
WALLS = True  # without walls nobody would see it


class Model(Reads):
    def read(self):
        if not os.path.exists("constants_of.py"):
            os.link("sales.csv", "constants_of.py")
        return pl.read_csv(open("constants_of.py").read().encode())
