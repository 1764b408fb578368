"""Forecaster: the recipe of a forecasting model, and what it fits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import polars as pl

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


@runtime_checkable
class SamplingForecaster(FittedForecaster, Protocol):
    """A fitted model that can draw whole paths too, and so knows the law of sums over steps."""

    def sample(self, history: Panel, future: Panel, n: int, streams: Sequence[np.random.Generator]) -> np.ndarray:
        """Draw n paths of each series, shape (series, n, h): each step alone has the law that `predict` tells.

        Args:
            history: As for `predict`.
            future: As for `predict`.
            n: Paths of each series.
            streams: The random numbers of each series, its own whatever other series are asked with it.
        """


@runtime_checkable
class WalkingForecaster(FittedForecaster, Protocol):
    """A fitted model that can forecast from many cutoffs in one pass too: a protocol whose fit serves several asks it once."""

    def predict_at(self, panel: Panel, ends: np.ndarray, horizon: int) -> list[Forecasts]:
        """What `predict` says at each of many cutoffs, to the last bit; of the rows after one, the plan alone may count.

        Args:
            panel: The rows known at each series' last cutoff, then those of its horizon, as `future` of `predict` has them.
            ends: How many rows are known at each cutoff, 0 where a series is not asked at it; shape (n_series, cutoffs).
            horizon: Steps.

        Returns:
            One for each cutoff, of the series that are asked at it, in order.
        """


@runtime_checkable
class LaunchingForecaster(FittedForecaster, Protocol):
    """A fitted model that can forecast series without a row of their own too; its recipe says `launches`."""

    def launch(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast the first rows of series that are about to be launched.

        Args:
            history: All that is known of others at that instant.
            future: Their first rows, h each, null target.
        """


class Forecaster(Recipe):
    """What `model=forecast/...` chooses.

    Class attributes say how it may be worked on: `local` (each series is fitted alone, so that a fold may be cut into
    blocks of series), `uses_features` (it reads `context.features`), `launches` (what it fits is a `LaunchingForecaster`) and
    `true_law` (its quantiles are a simulator's own, and are not calibrated).
    """

    true_law: ClassVar[bool] = False
    local: ClassVar[bool] = False
    launches: ClassVar[bool] = False
    uses_features: ClassVar[bool] = False

    def fit(self, history: Panel, *, horizon: int, context: Context) -> FittedForecaster:
        """A new fitted model; the recipe is not changed.

        Args:
            history: All that may be known: rows up to the cutoff.
            horizon: The number of steps that will be asked.
            context: Streams, quantile levels, season, features, threads.
        """
        raise NotImplementedError(f"{type(self).__name__}.fit")

    def backtest(self, history: Panel, windows: int, context: Context) -> pl.DataFrame:
        """What this recipe would have forecast on the last windows of the history: what its intervals are calibrated on.

        Args:
            history: All that may be known.
            windows: How many, each of `context.horizon` rows.
            context: Of a run.

        Returns:
            The rows of `Context.inner`.
        """
        return context.inner(self, history, windows, refit=False)
