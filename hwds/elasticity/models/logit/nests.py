"""The columns that nests add to a regression of log odds: the share within the nest, and its instruments."""

from __future__ import annotations

import numpy as np

from hwds.elasticity.design.redundant import independent
from hwds.elasticity.design.rows import Design
from hwds.elasticity.estimation.clusters import numbered

LARGEST = 0.99
"""The largest nesting parameter for which elasticities are reported."""


def in_nests(design: Design, market: np.ndarray) -> np.ndarray:
    """Return the nest of each row in its market, shape (rows,)."""
    nest = design.codes("nest")[design.cell]
    return numbered(market * (int(nest.max()) + 1) + nest)


def log_share_within(share: np.ndarray, nest: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the log of each row's share of what its nest sold, 0 where there is none, shape (rows,)."""
    total = np.bincount(nest, np.where(rows, share, 0.0))[nest]
    return np.where(rows, np.log(np.where(rows, share, 1.0) / np.where(rows, total, 1.0)), 0.0)


def nest_instruments(nest: np.ndarray, rows: np.ndarray, shifters: np.ndarray, x: np.ndarray, effect: np.ndarray) -> np.ndarray:
    """Return what moves a product's share of its nest and not its own demand: the nest's size, and what moves rivals in it.

    The log of the number of products in the nest, and the sums of the rivals' shifters (Berry 1994; Berry, Levinsohn and Pakes
    1995); those that are combinations of others are left out.

    Args:
        nest: See `in_nests`.
        rows: Which rows are used, shape (rows,).
        shifters: Instruments of the price, or the price itself where it has none, shape (rows, z).
        x: The other columns, shape (rows, m).
        effect: The effect of each row that is swept out, shape (rows,).
    """
    count = np.bincount(nest, rows)[nest]
    sums = [np.bincount(nest, np.where(rows, column, 0.0))[nest] - column for column in shifters.T]
    found = np.column_stack([np.log(np.maximum(count, 1.0)), *sums])
    kept = independent(np.column_stack([x, shifters])[rows], found[rows], effect[rows], None)
    return found[:, kept]
