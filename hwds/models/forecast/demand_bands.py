"""Quantiles of demand from its mean, its chance, and how sizes have lain about what was expected of them."""

from __future__ import annotations

import numpy as np

BINS, LEAST_ROWS, STEPS = 20, 50, 200
"""Bins of expected size, the least rows in one, and steps of the grid of levels."""


def size_table(expected: np.ndarray, actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How actual sizes lie about expected ones: a table of quantiles of their ratio, by bins of the expected size.

    Args:
        expected: The sizes that were forecast, above 0, shape (rows,).
        actual: The demands that came, above 0, shape (rows,).

    Returns:
        The least expected size of each bin but the first, shape (bins - 1,); and the quantiles of the ratio at even levels
        from 0 to 1, shape (bins, STEPS + 1). Without rows sizes are as expected.
    """
    if not len(expected):
        return np.zeros(0), np.ones((1, STEPS + 1))
    order = np.argsort(expected, kind="stable")
    bins = np.array_split(order, max(1, min(BINS, len(order) // LEAST_ROWS)))
    levels = np.linspace(0, 1, STEPS + 1)
    table = [np.quantile(actual[rows] / expected[rows], levels, method="inverted_cdf") for rows in bins]
    return expected[[rows[0] for rows in bins[1:]]], np.stack(table)


def demand_quantiles(
    mean: np.ndarray, chance: np.ndarray, levels: tuple[float, ...], edges: np.ndarray, ratios: np.ndarray, whole: bool
) -> np.ndarray:
    """Quantiles of a demand that comes with a chance, and whose size lies about its mean as the table says.

    The level q of demand is 0 where no demand is likelier than q, else the level 1 - (1 - q) / chance of its size.

    Args:
        mean: The mean of demand, shape (n, h).
        chance: The chance of any, above 0, shape (n, h).
        levels: Quantile levels.
        edges: From `size_table`.
        ratios: From `size_table`.
        whole: Whether demand comes in whole numbers: a size is then rounded, and at least 1.

    Returns:
        Shape (n, h, levels).
    """
    size = expected_size(mean, chance, whole)[..., None]
    inside = 1.0 - (1.0 - np.array(levels)) / chance[..., None]
    level = np.clip(np.ceil(inside * STEPS - 1e-6), 0, STEPS).astype(np.int64)
    quantiles = ratios[np.searchsorted(edges, size, side="right"), level] * size
    return np.where(inside > 0, np.maximum(np.rint(quantiles), 1.0) if whole else quantiles, 0.0)


def expected_size(mean: np.ndarray, chance: np.ndarray, whole: bool) -> np.ndarray:
    """The mean of a demand that comes; of whole numbers at least 1."""
    size = mean / chance
    return np.maximum(size, 1.0) if whole else size
