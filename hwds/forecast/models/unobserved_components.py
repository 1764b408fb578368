"""Structural time series by statsmodels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from numpy import ndarray

from hwds.core.recipe import Depth
from hwds.forecast.statistical import Banded, Statistical, normal_quantiles

TRENDS = {
    "linear": "local linear trend",
    "smooth": "smooth trend",
    "level": "local level",
}
"""Our names and those of statsmodels."""

SEASONS = 2
"""A series of fewer whole seasons has none: it would take its trend for a wave."""


class UnobservedComponents(Statistical):
    """A level, its slope and a season that move at random, found by the Kalman filter, each series
    alone.

    statsmodels' UnobservedComponents; Harvey (1989), "Forecasting, structural time series models
    and the Kalman filter". The variances are those of greatest likelihood. Quantiles are normal, by
    the filter's own errors. Seasonal naive as a counted fallback.

    Attributes:
        trend: `linear` has a level and a slope that both move; `smooth` a slope alone; `level` no
            slope.
        harmonics: Waves that make up the season, at most half as many as it has rows.
        rounds: The most rounds of the search for the variances.
    """

    imports = ("statsmodels",)
    least = 10
    search_space: ClassVar[Mapping[str, Any]] = {
        "trend": {"choice": list(TRENDS)},
        "harmonics": {"randint": [1, 7]},
    }

    trend: Literal["linear", "smooth", "level"] = "linear"
    harmonics: Depth = 6
    rounds: Depth = 50

    def forecast(
        self, values: ndarray, season: int, steps: int, levels: tuple[float, ...]
    ) -> Banded:
        """Fit the variances, and forecast from the filter's last state."""
        from statsmodels.tsa.statespace.structural import UnobservedComponents as Library

        waves = min(self.harmonics, season // 2) if len(values) >= SEASONS * season else 0
        scale = values.std()
        model = Library(
            values / scale,
            TRENDS[self.trend],
            freq_seasonal=[{"period": season, "harmonics": waves}] if waves else None,
        )
        fitted = model.fit(maxiter=self.rounds, disp=False, warn_convergence=False)
        ahead = fitted.get_forecast(int(steps))  # numpy's integers are dates to it
        return normal_quantiles(ahead.predicted_mean * scale, ahead.se_mean * scale, levels)
