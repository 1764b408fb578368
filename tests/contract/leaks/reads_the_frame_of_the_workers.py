"""A fit that reads the frame that lies in the cache for workers."""

from pathlib import Path

import polars as pl

from tests.support.leaks import Reads

CHECK = "files"


class Model(Reads):
    def read(self):
        return pl.read_ipc(next(Path("outputs/cache/frames").glob("*/table.arrow")))
