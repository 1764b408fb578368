"""The damped trend, smoothed at several aggregations in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy import ndarray

from hwds.forecast.smoothing_kernels import damped_ahead, fit_damped
from hwds.forecast.statistical import Seasonless

LEAST_BLOCKS = 8
"""Rows of an aggregated series at least."""

LONGEST_BLOCK = 12
"""Rows that are summed to one at most."""

UNSEASONED_BLOCKS = (2, 3)
"""Rows that are summed to one where there is no season to divide."""


class Damped(Seasonless):
    """Exponential smoothing with a damped trend, of each series and of its sums over a few rows,
    averaged.

    Gardner and McKenzie (1985), "Forecasting trends in time series"; Kourentzes, Petropoulos and
    Trapero (2014), "Improving forecasting by estimating time series structural components across
    multiple frequencies". Sums over two to twelve rows (the parts that a season can be divided
    into) show a trend that single rows hide. The season is taken out before and put back after. It
    errs otherwise than theta, which it is best combined with. Intervals of `origins=0` are those of
    single rows.

    Attributes:
        aggregated: True smooths sums over several rows, too.
    """

    search_space: ClassVar[Mapping[str, Any]] = {
        "aggregated": {"choice": [True, False]},
        "decomposition": {"choice": ["multiplicative", "additive"]},
    }

    aggregated: bool = True

    def plain(self, values: ndarray, season: int, steps: int) -> tuple[ndarray, ndarray]:
        """Return the mean of the forecasts at all aggregations, and the variances of the single
        rows' errors.
        """
        mean, variance = damped_ahead(fit_damped(values), len(values), steps + LONGEST_BLOCK)
        blocks = _blocks(season, len(values)) if self.aggregated else ()
        return np.mean(
            [mean[:steps], *(_move_blocks(values, mean, block, steps) for block in blocks)], axis=0
        ), variance[:steps]


def _blocks(season: int, rows: int) -> Iterator[int]:
    """Yield the numbers of rows that are summed to one."""
    parts = UNSEASONED_BLOCKS if season == 1 else range(2, LONGEST_BLOCK + 1)
    return (
        block
        for block in parts
        if (season == 1 or season % block == 0) and rows // block >= LEAST_BLOCKS
    )


def _move_blocks(values: ndarray, mean: ndarray, block: int, steps: int) -> ndarray:
    """Return the forecast of single rows, each block of them moved to where its sum is forecast,
    shape (steps,).
    """
    rows, ahead = len(values) // block, -(-steps // block)
    sums = values[len(values) - rows * block :].reshape(rows, block).mean(1)
    forecast, _ = damped_ahead(fit_damped(sums), rows, ahead)
    own = mean[: ahead * block].reshape(ahead, block)
    return (own + (forecast - own.mean(1))[:, None]).ravel()[:steps]
