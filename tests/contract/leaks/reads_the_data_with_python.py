"""A fit that reads the data's own file."""

from io import StringIO
from pathlib import Path

import polars as pl

from tests.support.leaks import Reads

CHECK = "files"


class Model(Reads):
    def read(self):
        return pl.read_csv(StringIO(Path("sales.csv").read_text()))
