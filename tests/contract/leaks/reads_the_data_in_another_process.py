"""A fit that lets another process read the data's own file."""

import subprocess

import polars as pl

from tests.support.leaks import Reads

CHECK = "files"


class Model(Reads):
    def read(self):
        return pl.read_csv(
            subprocess.run(["cat", "sales.csv"], capture_output=True, check=True).stdout
        )
