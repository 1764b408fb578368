"""A fit that opens the data's own file by the number of an open folder."""

import os

import polars as pl

from tests.support.leaks import Reads

CHECK = "files"
WALLS = True  # without walls nobody would see it


class Model(Reads):
    def read(self):
        folder = os.open("/proc/self/cwd", os.O_PATH)
        file = os.open("sales.csv", os.O_RDONLY, dir_fd=folder)
        return pl.read_csv(os.read(file, 1 << 20))
