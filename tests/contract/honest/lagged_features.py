"""The mean of the three rows before."""

from dataclasses import replace

import polars as pl

from hwds.frames.features.base import Feature, PanelFeatures, Plan


class Features(PanelFeatures):
    def columns(self, roles, horizon):
        return Plan((Feature("made", "origin", "level"),))

    def compute(self, panel):
        made = pl.col("target").shift(1).rolling_mean(3)
        return replace(panel, table=panel.table.with_columns(made.over("series_id").alias("made")))
