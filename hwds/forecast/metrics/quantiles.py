"""Quantiles of rows: of each group, and of all rows together with their interval."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np

from hwds.statistics.aggregate import Estimate
from hwds.statistics.shared_periods import Cells, ratio_estimate


def group_quantiles(values: np.ndarray, group: np.ndarray, groups: int, level: float) -> np.ndarray:
    """Return a quantile of the values of each group, linear between them, shape (groups,); NaN where it has none.

    Args:
        values: Shape (rows,); NaN is left out.
        group: The group of each, from 0.
        groups: The number of groups.
        level: Of the quantile.
    """
    known = ~np.isnan(values)
    values, group = values[known], group[known]
    ordered = values[np.lexsort((values, group))]
    counts = np.bincount(group, minlength=groups)
    starts, place = np.cumsum(counts) - counts, level * np.maximum(counts - 1, 0)
    below = np.floor(place).astype(np.int64)
    quantiles = np.full(groups, np.nan)
    some = counts > 0
    first = ordered[(starts + below)[some]]
    second = ordered[(starts + np.minimum(below + 1, counts - 1))[some]]
    quantiles[some] = first + (place - below)[some] * (second - first)
    return quantiles


def pooled_quantile(values: np.ndarray, group: np.ndarray, cells: Cells, level: float, *, root: bool = False) -> Estimate:
    """Return a quantile of all rows, with the interval of the share of rows below it turned into one of values.

    Woodruff (1952), "Confidence intervals for medians and other position measures"; the share is that of units and of the
    periods that they share (`ratio_estimate`).

    Args:
        values: Shape (rows,); NaN is left out.
        group: The cell of each.
        cells: The unit and the period of each cell.
        level: Of the quantile.
        root: Give the square root of it.
    """
    known = ~np.isnan(values)
    if not known.any():
        return Estimate(None, None, None, None, "", 0, len(values))
    rows, n = values[known], len(cells.unit)
    quantile = float(np.quantile(rows, level))
    if root and quantile < 0:
        return Estimate(None, None, None, None, "", 0, len(values))
    counts = np.bincount(group[known], minlength=n)
    below = np.bincount(group[known], rows <= quantile, n)[counts > 0]
    share = ratio_estimate(below, counts[counts > 0].astype(float), cells.where(counts > 0))
    value = sqrt(quantile) if root else quantile
    estimate = replace(share, value=value, stderr=None, low=None, high=None, n=len(rows), n_undefined=int((~known).sum()))
    if share.low is None or share.high is None or share.stderr is None or share.high == share.low:
        return estimate
    half = (share.high - share.low) / 2
    low, high = (float(np.quantile(rows, min(max(level + side * half, 0.0), 1.0))) for side in (-1, 1))
    low, high = (sqrt(max(end, 0.0)) if root else end for end in (low, high))
    return replace(estimate, stderr=(high - low) / 2 * share.stderr / half, low=low, high=high)
