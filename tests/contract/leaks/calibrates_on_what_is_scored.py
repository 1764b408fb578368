"""Intervals that are corrected by the errors of the window that is scored."""

import polars as pl

from hwds.forecast.protocols.walk_forward import WalkForward

CHECK = "future"
SETTINGS = {"intervals": "conformal"}


class Protocol(WalkForward):
    def postprocess(self, rows):
        marked = rows.with_columns(pl.lit(-1, pl.Int32).alias("window"))
        return super().postprocess(pl.concat([rows, marked]))
