"""A rolling mean that looks both ways."""

from dataclasses import replace

import polars as pl

from hwds.frames.features.base import Feature, PanelFeatures, Plan

CHECK = "future"


class Features(PanelFeatures):
    def columns(self, roles, horizon):
        return Plan((Feature("made", "origin", "level"),))

    def compute(self, panel):
        made = pl.col("target").rolling_mean(5, center=True, min_samples=1)
        return replace(panel, table=panel.table.with_columns(made.over("series_id").alias("made")))
