"""Columns that tell nothing: they are a combination of others and of the effects that are taken out."""

from __future__ import annotations

import numpy as np

from hwds.elasticity.estimation.clusters import numbered
from hwds.elasticity.estimation.sweeping import Sweeper

NOTHING_LEFT = 1e-10
"""The sum of squares beside effects and other columns, over that within the first effect, under which nothing is left."""

ROUNDING = 1e-20
"""The sum of squares within effects, over that of the column as it is, under which it is only rounding."""


def independent(base: np.ndarray, columns: np.ndarray, effect: np.ndarray, period: np.ndarray | None) -> np.ndarray:
    """Return which columns still vary once effects, a base and the columns before them are taken out, shape (k,).

    Args:
        base: Columns that are there anyway, shape (n, b).
        columns: Those that are asked, the first ones first, shape (n, k).
        effect: Of each row, that of its cell, shape (n,).
        period: Shape (n,); None for no period effects.
    """
    order = np.argsort(effect, kind="stable")
    code, both = numbered(effect[order]), np.column_stack([base, columns])[order]
    ones, raw = np.ones(len(code)), np.sum(both**2, axis=0)
    within = np.sum(Sweeper.of(code, None).residuals(both, ones) ** 2, axis=0)
    swept = Sweeper.of(code, None if period is None else numbered(period[order])).residuals(both, ones)
    kept, directions = np.zeros(both.shape[1], bool), np.zeros((len(code), 0))
    for place, column in enumerate(swept.T):
        rest = column - directions @ (directions.T @ column)
        size = float(rest @ rest)
        kept[place] = size > max(NOTHING_LEFT * within[place], ROUNDING * raw[place])
        if kept[place]:
            directions = np.column_stack([directions, rest / np.sqrt(size)])
    return kept[base.shape[1] :]
