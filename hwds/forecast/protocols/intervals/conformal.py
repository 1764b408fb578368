"""Conformal intervals of forecasts: learned from the rows of inner windows, pooled over all series of a fold."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.forecast.protocols.rows.predictions import NONNEGATIVE, RAW, WINDOW, quantile_name
from hwds.results.tables import TRUTH
from hwds.statistics.conformal import Bands, Calibration

CALIBRATED = "calibrated"
"""The column that says which rows have corrected quantiles; the others have the model's own."""


def without_raw(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the real cutoffs, as the model gave them."""
    real = rows.filter(pl.col(WINDOW).is_null() | (pl.col(WINDOW) >= 0)) if WINDOW in rows.columns else rows
    return real.drop(RAW, strict=False)


def conformal(rows: pl.DataFrame, levels: tuple[float, ...]) -> pl.DataFrame:
    """Return the rows of the real cutoffs, with quantiles corrected by what each fold's inner windows say of its model.

    Args:
        rows: All rows of one model with their `fold`, inner windows among them.
        levels: Quantile levels, rising.
    """
    folds = rows.partition_by("fold", maintain_order=True)
    settled = [
        corrected(real, learned(fold.filter(pl.col(WINDOW) < 0), levels), levels)
        for fold in folds
        if not (real := fold.filter(pl.col(WINDOW) >= 0)).is_empty()
    ]
    return without_raw(pl.concat(settled)) if settled else unsettled(rows)


def unsettled(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the real cutoffs with the model's own quantiles, marked so."""
    return without_raw(rows).with_columns(pl.lit(False).alias(CALIBRATED))


def learned(inner: pl.DataFrame, levels: tuple[float, ...]) -> Calibration:
    """Learn the calibration of a model's quantiles from the rows of inner windows, by step.

    Rows that something simpler has answered say nothing of the model, and count only where there are no others.
    """
    if inner.is_empty():
        return Calibration.nothing(levels)
    rows = informative(inner)
    return Calibration.learn(bands_of(rows, levels), actuals(rows), inner["step"].unique().sort().to_numpy())


def informative(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that the model itself has answered, or all where there are none."""
    by_model = rows.filter(~pl.col("fallback"))
    return rows if by_model.is_empty() else by_model


def corrected(rows: pl.DataFrame, calibration: Calibration, levels: tuple[float, ...]) -> pl.DataFrame:
    """Return rows with the quantiles that a calibration gives them, and `calibrated`."""
    quantiles, done = calibration.correct(bands_of(rows, levels))
    return with_quantiles(rows, quantiles, done, levels)


def with_quantiles(rows: pl.DataFrame, quantiles: np.ndarray, done: np.ndarray, levels: tuple[float, ...]) -> pl.DataFrame:
    """Return rows with other quantiles, in the place of the old ones."""
    columns = [pl.Series(quantile_name(level), quantiles[:, i], nan_to_null=True) for i, level in enumerate(levels)]
    return rows.with_columns(*columns, pl.Series(CALIBRATED, done))


def bands_of(rows: pl.DataFrame, levels: tuple[float, ...]) -> Bands:
    """Return the quantile forecasts of rows as arrays."""
    names = [quantile_name(level) for level in levels]
    return Bands(
        np.array(levels),
        _floats(rows, names),
        _floats(rows, [quantile_name(0.5)])[:, 0],
        _floats(rows, ["scale_abs"])[:, 0],
        rows["step"].to_numpy(),
        rows[NONNEGATIVE].to_numpy(),
    )


def actuals(rows: pl.DataFrame) -> np.ndarray:
    """Return the actuals, NaN where unknown, shape (rows,)."""
    return _floats(rows, ["actual"])[:, 0]


def uncalibrated(predictions: pl.DataFrame) -> list[str]:
    """Return a sentence where intervals that were to be calibrated are the model's own."""
    if CALIBRATED not in predictions.columns:
        return []
    forecasts = predictions.filter(pl.col("model") != TRUTH) if "model" in predictions.columns else predictions
    left = forecasts.filter(~pl.col(CALIBRATED)).height
    why = "no inner window before the cutoff, or neither width nor scale to measure by"
    return [f"{left} of {forecasts.height} forecasts have the model's own intervals: {why}."] if left else []


def _floats(rows: pl.DataFrame, names: list[str]) -> np.ndarray:
    return np.column_stack([rows[name].cast(pl.Float64).to_numpy() for name in names])
