"""The quantile levels that a model learns, and the mean that they make."""

from __future__ import annotations

import numpy as np


def quantile_grid(levels: tuple[float, ...]) -> tuple[float, ...]:
    """Return the levels to learn: those to forecast, the median, and one on each side of it for the mean to be made of."""
    below = () if any(level < 0.5 for level in levels) else (0.1,)
    above = () if any(level > 0.5 for level in levels) else (0.9,)
    return tuple(sorted({*levels, 0.5, *below, *above}))


def mean_weights(grid: tuple[float, ...]) -> np.ndarray:
    """Return the weights that make a mean of quantiles: the integral of a quantile function that is linear between its levels.

    Beyond the outermost levels it is taken as flat. At 10, 50 and 90 % these are Swanson's .3, .4 and .3, which hold for
    moderately skewed distributions (Hurst, Brown and Swanson 2000, "Swanson's 30-40-30 rule").
    """
    between = (np.array(grid[1:]) + np.array(grid[:-1])) / 2
    return np.diff(np.concatenate([[0.0], between, [1.0]]))
