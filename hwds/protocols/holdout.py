"""Holdout: one cutoff, one test part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import polars as pl

from hwds.context import Context, Features
from hwds.errors import DataError
from hwds.frames.panel import Panel
from hwds.models.forecast.base import FittedForecaster, Forecaster
from hwds.protocols.base import Cell, Evaluation, Fold, Score
from hwds.protocols.cutting import BySplit, Cutoff, FromEnd
from hwds.protocols.forecast_scores import score_forecasts
from hwds.protocols.forecasting import LEVELS, answers_at, ask_forecasts, forecast_beyond, poison, with_panel
from hwds.protocols.metric_names import Headline, Levels, MetricNames, headline_name, named_metrics
from hwds.recipe import Count


class Holdout(Evaluation[Forecaster, Panel]):
    """Hold out the dataset's own test part, or else the last rows of every series.

    Attributes:
        horizon: Steps to forecast; None takes the longest test part, or else the dataset's own horizon.
        levels: Quantile levels, rising, with 0.5 among them.
        headline: The metric that orders the leaderboard.
        metrics: Metrics of your own beside the built-in ones (`my_pkg.metrics:my_metric`).

    Example:
        python -m hwds dataset=classics protocol=holdout model=forecast/seasonal_naive
    """

    accepts: ClassVar[type] = Forecaster
    cuts: ClassVar[type] = Panel
    task: ClassVar[str] = "forecast"
    keys: ClassVar[tuple[str, ...]] = ("cutoff", "series_id", "step")
    outside_cells: ClassVar[tuple[str, ...]] = ("headline", "metrics")

    horizon: Count | None = None
    levels: Levels = LEVELS
    headline: Headline = "mase"
    metrics: MetricNames = ()

    def steps(self, panel: Panel) -> int:
        """The horizon on this panel."""
        if self.horizon:
            return self.horizon
        return int((panel.lengths - self.cutoff(panel).ends(panel)).max()) if panel.roles.split else panel.horizon

    def cutoff(self, panel: Panel) -> Cutoff:
        """Where the test part begins."""
        return BySplit(panel.roles.split) if panel.roles.split else FromEnd(self.horizon or panel.horizon)

    def split(self, frame: Panel) -> Sequence[Fold]:
        """One fold."""
        cutoff = self.cutoff(frame)
        if not (cutoff.ends(frame) > 0).any() or self.steps(frame) < 1:
            longest = int(frame.lengths.max())
            raise DataError(
                f"protocol.horizon: {self.steps(frame)} steps leave no history; the longest series has {longest} rows."
            )
        return [Fold(0, cutoff.label, frame.n_series, (cutoff,))]

    def ask(self, model: Forecaster, frame: Panel, cell: Cell, context: Context) -> pl.DataFrame:
        """Fit on the train part and forecast the test part."""
        return ask_forecasts(model, frame, cell, with_panel(context, frame, self.levels, self.steps(frame)))

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """All metrics of the task."""
        return score_forecasts(rows, self.levels, named_metrics(self.metrics))

    def poisoned(self, frame: Panel, cutoff: Cutoff, luck: np.random.Generator) -> Panel:
        """Rubbish after the cutoff."""
        return poison(frame, cutoff, luck)

    def answers(self, rows: pl.DataFrame, cutoff: Cutoff, frame: Panel) -> pl.DataFrame:
        """The forecasts made at the cutoff."""
        return answers_at(rows, frame, cutoff)

    def fit_all(self, model: Forecaster, frame: Panel, context: Context) -> FittedForecaster:
        """Fit on all rows."""
        full = with_panel(context, frame, self.levels, self.steps(frame))
        return model.fit(frame, horizon=full.horizon, context=full)

    def foresee(self, fitted: FittedForecaster, frame: Panel, context: Context) -> pl.DataFrame:
        """Forecast after the last rows."""
        cutoff = FromEnd(0)
        return forecast_beyond(fitted, frame, cutoff, with_panel(context, frame, self.levels, self.steps(frame)))

    def check_features(self, features: Features, frame: Panel) -> None:
        """Every feature must be known at the steps where it is read."""
        features.columns(frame.roles, self.steps(frame))

    def check_names(self) -> None:
        """The headline and the user's own metrics."""
        headline_name(self.headline, self.levels)
        named_metrics(self.metrics)
