"""A fit that reads the data's own file with pandas."""

import pandas as pd
import polars as pl

from tests.support.leaks import Reads

CHECK = "files"


class Model(Reads):
    def read(self):
        return pl.from_pandas(pd.read_csv("sales.csv"))
