"""Forecaster: the recipe of a forecasting model, and what it fits."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Protocol, Self

from hwds.context import Context
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.recipe import Recipe


class FittedForecaster(Protocol):
    """What `fit` returns: a new object, which can be saved and asked at many cutoffs."""

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast the rows of `future` (the same series as `history`, h rows each, null target)."""

    def save(self, folder: Path) -> None:
        """Write it without pickle."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote, with the same predictions in a fresh process."""


class Forecaster(Recipe):
    """What `model=forecast/...` chooses.

    Class attributes say how it may be worked on: `local` (each series is fitted alone, so that a fold may be cut into
    blocks of series) and `uses_features` (it reads `context.features`).
    """

    local: ClassVar[bool] = False
    uses_features: ClassVar[bool] = False

    def fit(self, history: Panel, *, horizon: int, context: Context) -> FittedForecaster:
        """A new fitted model; the recipe is not changed.

        Args:
            history: All that may be known: rows up to the cutoff.
            horizon: The number of steps that will be asked.
            context: Streams, quantile levels, season, features, threads.
        """
        raise NotImplementedError(f"{type(self).__name__}.fit")
