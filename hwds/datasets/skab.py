"""SKAB: a water circuit whose valve is closed, eight sensors a second (Katser and Kozitsin
2020).
"""

from __future__ import annotations

from typing import Annotated

import polars as pl
from polars import col

from hwds.core.recipe import PositiveInt, Small
from hwds.datasets.base import Dataset, PublicFile
from hwds.frames.roles import Roles
from hwds.frames.runs import Runs

SENSORS = (
    "accelerometer1rms",
    "accelerometer2rms",
    "current",
    "pressure",
    "temperature",
    "thermocouple",
    "voltage",
    "volume_flow_raterms",
)
WITHOUT_FAULTS = "anomaly-free"
"""The name of the one run that has no anomaly; its circuit runs at another flow."""

PUBLIC = PublicFile(
    "skab/skab_valve1.parquet",
    "Skoltech Anomaly Benchmark, data/valve1 and data/anomaly-free, github.com/waico/SKAB",
    "GPL-3.0",
    ("datetime", *SENSORS, "group", "file", "anomaly", "changepoint"),
    27_565,
    "3a0147188c1bc47b8986b60bc2146e8cf5dc3f796f71d41a9862f836578c8c3e",
)

ROLES = Roles(
    entity="run",
    cycle="second",
    sensor=SENSORS,
    event="failed",
    start="start",
    label="anomaly",
    changepoint="changepoint",
)


class Skab(Dataset):
    """Sixteen runs of a water circuit of some twenty minutes, in each of which a valve is closed
    for a while.

    A row a second: vibration of pump and motor, current, pressure, temperature of the engine and of
    the water, voltage, flow. The board's models learn from the first 400 rows of each run, before
    anything happens, and are scored on the others. No run ends in a failure.

    Attributes:
        anomaly_free: Whether the run without any anomaly is there too, of two and a half hours.
        runs: At most so many, the first ones.
    """

    public = PUBLIC
    gives = Runs
    anomaly_free: bool = False
    runs: Annotated[PositiveInt, Small(3)] = 100

    def load(self) -> Runs:
        """Return the runs, in the order in which they were made.

        Raises:
            DataError: It does not lie below $HWDS_DATA.
        """
        rows = PUBLIC.read().sort("datetime", maintain_order=True)
        if not self.anomaly_free:
            rows = rows.filter(col("group") != WITHOUT_FAULTS)
        names = rows["file"].unique(maintain_order=True)[: self.runs]
        seconds = rows.select(
            (col("datetime") - col("datetime").min()).dt.total_seconds(fractional=True)
        ).to_series()
        rows = rows.with_columns(second=seconds).with_columns(
            start=col("second").min().over("file")
        )
        table = rows.filter(col("file").is_in(names.implode())).select(
            pl.when(col("group") == WITHOUT_FAULTS)
            .then("file")
            .otherwise(pl.format("{} {}", "group", "file"))
            .alias("run"),
            col("second") - col("start"),
            *SENSORS,
            pl.lit(0.0).alias("failed"),
            "start",
            "anomaly",
            "changepoint",
        )
        return Runs.build(table, ROLES, unit="seconds")
