"""A fit that gives the data's own file another name, reads it, and takes the name away."""

import os

import polars as pl

from tests.support.leaks import Reads

CHECK = "files"
WALLS = True  # without walls nobody would see it


class Model(Reads):
    def read(self):
        os.link("sales.csv", "temporary/other.csv")
        try:
            return pl.read_csv(open("temporary/other.csv").read().encode())
        finally:
            os.unlink("temporary/other.csv")
