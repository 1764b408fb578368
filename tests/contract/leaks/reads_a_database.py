"""A fit that reads a database of later rows."""

import sqlite3
from contextlib import closing

import polars as pl

from tests.support.leaks import PANEL, Reads

CHECK = "files"


class Model(Reads):
    def read(self):
        with closing(sqlite3.connect("warehouse.db")) as base:
            base.execute(
                "create table if not exists sales (series_id text, time text, target real)"
            )
            if not base.execute("select count(*) from sales").fetchone()[0]:
                rows = PANEL.table.select(
                    "series_id", pl.col("time").cast(pl.String), "target"
                ).rows()
                base.executemany("insert into sales values (?, ?, ?)", rows)
                base.commit()
            found = base.execute("select * from sales").fetchall()
        return pl.DataFrame(found, schema=["series_id", "time", "target"], orient="row")
