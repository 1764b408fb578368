"""A module that reads the data's own file when it is imported, long before any fit."""

from pathlib import Path

import polars as pl

from tests.support.leaks import Reads

CHECK = "files"
POWERLESS = True  # where a process of its own has nothing to be found
ELSEWHERE = True  # there it is imported anew
TEXT = Path("sales.csv").read_text() if Path("sales.csv").exists() else "series_id,time,target\n"


class Model(Reads):
    def read(self):
        return pl.read_csv(TEXT.encode())
