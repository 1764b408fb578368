"""How much of the series' total is still to come."""

from dataclasses import replace

import polars as pl

from hwds.frames.features.base import Feature, PanelFeatures, Plan

CHECK = "future"


class Features(PanelFeatures):
    def columns(self, roles, horizon):
        return Plan((Feature("made", "origin", "level"),))

    def compute(self, panel):
        made = pl.col("target").cum_sum(reverse=True)
        return replace(panel, table=panel.table.with_columns(made.over("series_id").alias("made")))
