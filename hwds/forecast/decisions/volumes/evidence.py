"""The evidence that a decision on volumes reads: forecasts on the clock of what was known when."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import polars as pl

from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME

NEVER = np.iinfo(np.int64).max
"""When an actual is known that never becomes available."""


class VolumeEvidence(ABC):
    """A protocol whose forecasts volumes can be decided from (`decision=volume_bands`)."""

    @property
    @abstractmethod
    def calibrated(self) -> bool:
        """True where the quantiles are others than the model's own, whose law its sample paths have."""

    def check_volumes(self, decision: str, *, paths: bool) -> None:
        """Refuse settings under which it has no evidence; called before the data is loaded.

        Args:
            decision: The name of the decision.
            paths: Whether sample paths are needed.

        Raises:
            ConfigError: With the field and its value.
        """
        return

    def check_volume_data(self, frame: Panel) -> None:
        """Refuse data of which it cannot say what was known when.

        Raises:
            ConfigError: With the field and its value.
        """
        return

    @abstractmethod
    def volume_steps(self, frame: Panel) -> tuple[int, int]:
        """Return the first and the last step that are forecast."""

    @abstractmethod
    def volume_evidence(self, forecasts: pl.DataFrame, frame: Panel) -> pl.DataFrame:
        """Return the forecasts of one model that deals are summed of, one row a series, cutoff and step.

        Columns: `series_id, cutoff, time, step`, quantiles (`q_0.5`), where there are `actual`, `seasonal_naive` and `paths`;
        `moment`, the cutoff, and `known`, when the actual is known, both as whole numbers on one clock. A sum over series is
        not among them.

        Args:
            forecasts: Of a back-test, or of the steps after the data.
            frame: The data.
        """


def with_clock(rows: pl.DataFrame, panel: Panel, *, calendar: bool) -> pl.DataFrame:
    """Return the rows with `moment` and `known`; rows of a cutoff that the data no longer has are left out.

    Args:
        rows: Forecasts of a model: `series_id, cutoff, time, step`.
        panel: The data.
        calendar: Whether cutoffs are instants that series share, or places counted back from each series' own end.
    """
    if not calendar:
        back = pl.int_range(pl.len()).over(SERIES) - pl.len().over(SERIES)
        places = panel.table.select(SERIES, pl.col(TIME).alias("cutoff"), back.cast(pl.Int64).alias("moment"))
        rows = rows.join(places, on=[SERIES, "cutoff"], how="inner")
        return rows.with_columns((pl.col("moment") + pl.col("step")).alias("known"))
    rows = rows.with_columns(_tick(rows, "cutoff").alias("moment"), _tick(rows, TIME).alias("known"))
    column = panel.roles.available_at
    if column is None:
        return rows
    published = panel.table.select(SERIES, TIME, _tick(panel.table, column).alias("published"))
    rows = rows.join(published, on=[SERIES, TIME], how="left")
    return rows.with_columns(pl.max_horizontal("known", pl.col("published").fill_null(NEVER)))


def _tick(table: pl.DataFrame, column: str) -> pl.Expr:
    """Return a time as a whole number; dates and datetimes on one clock."""
    temporal = table.schema[column].is_temporal()
    return pl.col(column).dt.epoch("us") if temporal else pl.col(column).cast(pl.Int64)
