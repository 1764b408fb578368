"""A fit that reads the data's own file by compiled code, of which Python tells nothing."""

import polars as pl

from tests.support.leaks import Reads

CHECK = "files"


class Model(Reads):
    def read(self):
        return pl.scan_csv("sales.csv").collect()
