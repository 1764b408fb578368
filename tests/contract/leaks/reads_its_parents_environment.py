"""A fit that looks for the data in the environment and the files of the process that asks it."""

import os

import polars as pl

from tests.support.leaks import Reads

CHECK = "files"
WALLS = True  # without walls nobody would see it


class Model(Reads):
    def read(self):
        return pl.read_csv(open(f"/proc/{os.getppid()}/cwd/sales.csv").read().encode())
