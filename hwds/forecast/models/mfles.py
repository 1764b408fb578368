"""MFLES: boosted decomposition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from numpy import ndarray

from hwds.core.recipe import Folds, UnitInterval, ZeroFolds
from hwds.forecast.statistical import Banded, Statistical, backtest_bands


class MFLES(Statistical):
    """Boosted decomposition: median, Fourier season, piecewise trend and smoothing in turns, each
    series alone.

    statsforecast's MFLES and AutoMFLES, by T. Blume. It has no intervals of its own: quantiles are
    normal, as wide as its errors from origins inside the history. Seasonal naive as a counted
    fallback.

    Attributes:
        windows: Windows inside the history, a horizon long, on which its settings are chosen by
            squared error; 0 takes those below, as does a history that is too short.
        changepoints: Knots of the trend as a share of the rows; 0 for a straight line.
        rounds: The most rounds of boosting.
        origins: Origins inside the history whose errors make the intervals.
    """

    imports = ("statsforecast",)
    search_space: ClassVar[Mapping[str, Any]] = {
        "changepoints": {"choice": [0.1, 0.25, 0.5]},
        "rounds": {"choice": [25, 50, 100]},
    }

    windows: ZeroFolds = 0
    changepoints: UnitInterval = 0.25
    rounds: Folds = 50
    origins: Folds = 12

    def forecast(
        self, values: ndarray, season: int, steps: int, levels: tuple[float, ...]
    ) -> Banded:
        """Boost, forecast, and do so from earlier origins for the spread."""

        def point(past: ndarray, ahead: int) -> ndarray:
            return self._library_mean(past, season if 1 < season <= len(past) // 2 else None, ahead)

        return backtest_bands(point, values, steps, levels, self.origins, self.least)

    def _library_mean(self, values: ndarray, season: int | None, steps: int) -> ndarray:
        from statsforecast.models import MFLES as Library
        from statsforecast.models import AutoMFLES

        if self.windows and len(values) >= steps * self.windows + 2 * (season or 1):
            model: Any = AutoMFLES(
                test_size=steps, season_length=season, n_windows=self.windows, metric="mse"
            )
        else:
            model = Library(
                season_length=season,
                changepoints=self.changepoints > 0,
                n_changepoints=self.changepoints,
                max_rounds=self.rounds,
            )
        return model.forecast(y=values, h=steps)["mean"]
