"""The scale of the errors of young series: the one that the other series have on average."""

from __future__ import annotations

import polars as pl

from hwds.frames.roles import SERIES

SCALES = {"scale_abs": "short_scale_abs", "scale_sq": "short_scale_sq"}
"""The seasonal scales of rows, and those of series without one."""


def with_scales_of_others(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows in which a series without a seasonal scale has the mean one of the other series at its cutoff.

    Divided by its own few changes, a young series that grows fast would outweigh all others in a mean over series. Where no
    series has a seasonal scale at that cutoff, each keeps its own; so do series whose cutoffs are counted from their own ends.

    Args:
        rows: Of one model at the cutoffs that are scored, with the series, the cutoff and the columns of `SCALES`.
    """
    if not set(SCALES.values()) <= set(rows.columns):
        return rows
    others = rows.unique(["cutoff", SERIES], maintain_order=True).group_by("cutoff", maintain_order=True)
    means = others.agg(pl.col(scale).filter(_is_scale(scale)).mean().alias(f"_{scale}") for scale in SCALES)
    joined = rows.join(means, on="cutoff", how="left", maintain_order="left")
    young = [
        pl.when(~_is_scale(scale) & _is_scale(own)).then(pl.coalesce(f"_{scale}", own)).otherwise(pl.col(own)).alias(own)
        for scale, own in SCALES.items()
    ]
    return joined.with_columns(young).select(rows.columns)


def _is_scale(name: str) -> pl.Expr:
    return (pl.col(name).fill_nan(None) > 0).fill_null(value=False)
