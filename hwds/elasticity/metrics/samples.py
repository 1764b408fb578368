"""Scores of one model's answers to different rows: samples against all, and windows against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from hwds.elasticity.metrics.cells import numbers
from hwds.evaluation.score import Score
from hwds.frames.roles import SERIES
from hwds.results.measure import Measure
from hwds.results.tables import TRUTH
from hwds.statistics.aggregate import mean, pooled, share

WHOLE = "all rows"
"""The name of the sample that has all rows."""


def sample_measures() -> tuple[Measure, ...]:
    """Return the metrics of samples."""
    return (
        Measure(
            "sample_rmse",
            meaning="root mean squared distance of a cell's answer to a sample from that to all rows",
            units="cells",
            beside="always",
        ),
        Measure(
            "sample_coverage",
            meaning="share of a sample's intervals that hold the answer to all rows",
            better="none",
            units="cells",
            beside="always",
        ),
        Measure(
            "sample_shift",
            meaning="mean distance of a sample's answers from those to all rows",
            better="none",
            units="cells",
            beside="always",
        ),
    )


def window_measures() -> tuple[Measure, ...]:
    """Return the metrics of windows."""
    return (
        Measure(
            "window_rmse",
            meaning="root mean squared difference of a cell's elasticity from one window to the next",
            units="cells",
            beside="always",
        ),
        Measure(
            "window_z",
            meaning="root mean square of these differences over their standard errors; 1 where nothing but chance moves them",
            better="none",
            units="cells",
            beside="always",
        ),
        Measure(
            "window_shift",
            meaning="mean difference from one window to the next",
            better="none",
            units="cells",
            beside="always",
        ),
    )


def sample_scores(rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
    """Yield the distances of each model's samples from its answer to all rows; the truth has none."""
    for label, own in rows.items():
        whole = own.filter(pl.col("sample") == WHOLE).select(SERIES, whole="elasticity")
        parts = own.filter(pl.col("sample") != WHOLE).join(whole, SERIES, "left", maintain_order="left")
        if label == TRUTH or parts.is_empty():
            continue
        error = numbers(parts, "elasticity") - numbers(parts, "whole")
        known = np.isfinite(error)
        low, high, goal = (numbers(parts, name) for name in ("ci_low", "ci_high", "whole"))
        inside = int(np.sum((low <= goal) & (goal <= high) & known))
        yield label, Score.of("sample_rmse", "mean", pooled(error**2, np.where(known, 1.0, np.nan), root=True))
        yield label, Score.of("sample_coverage", "mean", share(inside, int(known.sum())))
        yield label, Score.of("sample_shift", "mean", mean(error))


def window_scores(rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
    """Yield the differences of each model's answers from one window to the next; the truth has none."""
    for label, own in rows.items():
        if label == TRUTH:
            continue
        ordered = own.sort(SERIES, "window")
        before = ordered.select(
            pl.col("elasticity").shift(1).over(SERIES).alias("before"), pl.col("stderr").shift(1).over(SERIES).alias("error")
        )
        change = numbers(ordered, "elasticity") - numbers(before, "before")
        spread = np.hypot(numbers(ordered, "stderr"), numbers(before, "error"))
        known = np.isfinite(change)
        one = np.where(known, 1.0, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(spread > 0, change / spread, np.nan)
        yield label, Score.of("window_rmse", "mean", pooled(change**2, one, root=True))
        yield label, Score.of("window_z", "mean", pooled(z**2, np.where(np.isfinite(z), 1.0, np.nan), root=True))
        yield label, Score.of("window_shift", "mean", mean(change))
