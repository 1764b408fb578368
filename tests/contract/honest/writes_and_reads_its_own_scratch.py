"""A fit that writes a temporary file, reads it and deletes it; and logs, warns and looks at
signatures meanwhile.
"""

import inspect
import logging
import tempfile
from collections import namedtuple
from pathlib import Path

import polars as pl

from tests.support.leaks import PANEL, Reads


class Model(Reads):
    def read(self):
        logging.getLogger(__name__).info("fitted with %s", namedtuple("Found", "rows")(1))
        inspect.signature(self.read)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "scratch.csv")
            PANEL.table.head(0).write_csv(file)
            return pl.read_csv(file).head(0)
