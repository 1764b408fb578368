"""Demand without the own price: the effects of cells and periods around a model's other slopes."""

from __future__ import annotations

import numpy as np

from hwds.elasticity.design.rows import Design
from hwds.elasticity.fitted import Estimates

ROUNDS, SETTLED = 200, 1e-8
"""Turns of the iteration at most, and the change of log effects at which it ends."""

LEAST = 0.1
"""The units that a cell or a period is taken to have sold at least."""


def base_of(design: Design, known: Estimates, *, by_period: bool) -> np.ndarray:
    """Return the log mean of each row without the own price's part, shape (rows,).

    Effects are those at which the model's expected units add up to the sold ones in every cell, and in every period
    (iterative proportional fitting: the Poisson likelihood's). That of a period without rows to learn from is 0.

    Args:
        design: The rows.
        known: Slopes, of price and of other columns.
        by_period: Whether there are effects of periods.
    """
    used, cells = design.used, len(design)
    other = known.other_effects(np.nan_to_num(design.x), design.cell)
    part = (other + np.nan_to_num(known.slopes)[design.cell] * np.nan_to_num(design.log_price))[used]
    cell, period, units = design.cell[used], design.period[used], design.units[used]
    of_cell, of_period = np.zeros(cells), np.zeros(design.periods)
    for _ in range(ROUNDS):
        before = of_cell
        of_cell = _balanced(part + of_period[period], cell, units, cells)
        if not by_period:
            break
        of_period = _balanced(part + of_cell[cell], period, units, design.periods)
        of_period -= of_period[period].mean()
        if np.abs(of_cell - before).max() < SETTLED:
            break
    here = np.bincount(period, minlength=design.periods) > 0
    return np.asarray(other + of_cell[design.cell] + np.where(here, of_period, 0.0)[design.period])


def _balanced(part: np.ndarray, code: np.ndarray, units: np.ndarray, count: int) -> np.ndarray:
    """Return the effects at which expected units add up to the sold ones in each group, 0 for one without rows."""
    sold, expected = np.bincount(code, units, count), np.bincount(code, np.exp(part), count)
    there = expected > 0
    return np.where(there, np.log(np.maximum(sold, LEAST) / np.where(there, expected, 1.0)), 0.0)
