"""A past-only column filled from the rows that follow."""

from dataclasses import replace

import polars as pl

from hwds.frames.features.base import Feature, PanelFeatures, Plan

CHECK = "future"


class Features(PanelFeatures):
    def columns(self, roles, horizon):
        return Plan((Feature("made", "origin", "level"),))

    def compute(self, panel):
        made = pl.col("visits").shift(-1).backward_fill()
        return replace(panel, table=panel.table.with_columns(made.over("series_id").alias("made")))
