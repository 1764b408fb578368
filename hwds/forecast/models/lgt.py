"""Exponential smoothing with a local and a global trend, by its posterior."""

from __future__ import annotations

import numpy as np

from hwds.core.recipe import Steps
from hwds.forecast.statistical import Banded, Statistical, season_of
from hwds.forecast.trend_kernels import LEAST_LEVEL, has_posterior, trend_paths


class LGT(Statistical):
    """A level that grows by a power of itself and by its own last changes, with errors that grow
    with it, each series alone.

    Smyl, Bergmeir, Dokumentov, Long, Wibowo and Schmidt (2025), "Local and global trend Bayesian
    exponential smoothing models": it averages over lines and exponential growth, because few rows
    cannot distinguish them. Parameters are drawn from their posterior (`statistical.global_trend`)
    and the answer is the mean and the quantiles of a path from each draw. The season is taken out
    before, its factors shrunk by how sure they are, and put back after. Seasonal naive as a counted
    fallback where a value is not above a millionth of the largest, and where a series hardly
    changes (`has_posterior`).
    """

    longest: Steps = 500

    def suits(self, values: np.ndarray) -> bool:
        """Return whether the model can be fitted: all values are above 0, none is below its least
        level, and some change.
        """
        return (
            super().suits(values)
            and bool(values.min() > LEAST_LEVEL * values.max())
            and has_posterior(values)
        )

    def forecast(
        self, values: np.ndarray, season: int, steps: int, levels: tuple[float, ...]
    ) -> Banded:
        """Take out the season, draw paths, put the season back."""
        apart = season_of(values, season)
        plain = values if apart is None else apart.out_of(values)
        paths = trend_paths(plain, season, steps)
        both = np.stack([paths.mean(0), *np.quantile(paths, levels, axis=0)], 1)
        if apart is not None:
            both = np.stack([apart.into(column, len(values)) for column in both.T], 1)
        return both[:, 0], both[:, 1:]
