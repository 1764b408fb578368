"""Sample paths beside forecasts: what the sum over a deal's steps is made of, where a fitted model can draw them."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.context import Context
from hwds.frames.panel import Panel
from hwds.models.forecast.base import FittedForecaster, SamplingForecaster

PATHS = "paths"
"""The column of a predictions table that holds the draws of its row: draw j of all steps of a series is one path."""


def with_paths(
    table: pl.DataFrame, fitted: FittedForecaster, known: Panel, future: Panel, context: Context, cutoff: str, count: int
) -> pl.DataFrame:
    """The rows of forecasts with a column of draws, null where the model cannot draw; the same rows for a count of 0.

    The random numbers of a series are named by it, the fold and the cutoff, so that no cut of the work shows in them.

    Args:
        table: One row for each series of `known` and each step, in their order.
        fitted: What has forecast them.
        known: The history.
        future: The rows to forecast.
        context: Names the random streams.
        cutoff: The label of the cutoff.
        count: Paths of a series.
    """
    if not count:
        return table
    if not isinstance(fitted, SamplingForecaster) or not known.n_series:
        return without_draws(table, count)
    streams = [context.stream(PATHS, series, cutoff) for series in known.series_ids]
    drawn = fitted.sample(known, future, count, streams).astype(np.float32)
    rows = np.ascontiguousarray(drawn.transpose(0, 2, 1)).reshape(len(table), count)
    return table.with_columns(pl.Series(PATHS, rows, pl.Array(pl.Float32, count)))


def without_draws(table: pl.DataFrame, count: int) -> pl.DataFrame:
    """The rows with a column of draws that is null; the same rows for a count of 0."""
    return table.with_columns(pl.lit(None, pl.Array(pl.Float32, count)).alias(PATHS)) if count else table
