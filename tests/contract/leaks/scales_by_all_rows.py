"""Values standardised by the mean and the spread of the whole series."""

from dataclasses import replace

import polars as pl

from hwds.frames.features.base import Feature, PanelFeatures, Plan

CHECK = "future"


class Features(PanelFeatures):
    def columns(self, roles, horizon):
        return Plan((Feature("made", "origin", "level"),))

    def compute(self, panel):
        made = (pl.col("target").shift(1) - pl.col("target").mean()) / pl.col("target").std()
        return replace(panel, table=panel.table.with_columns(made.over("series_id").alias("made")))
