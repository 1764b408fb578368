"""A fit that reads a copy of the data's own file, which a setting names as if it were a
calendar.
"""

import polars as pl

from tests.support.leaks import Reads

CHECK = "files"
MODEL = {"calendar": "copy.csv"}


class Model(Reads):
    calendar: str = ""

    def read(self):
        return pl.read_csv(self.calendar)
