"""What the protocols of panels share: all but where they cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import polars as pl

from hwds.context import Align, Context, Features
from hwds.errors import ConfigError, nearest
from hwds.features.lawful import role_of
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES
from hwds.metrics.base import Measure
from hwds.metrics.forecast import forecast_metrics
from hwds.models.forecast.base import FittedForecaster, Forecaster
from hwds.protocols.base import Cell, Evaluation, Fold, Score
from hwds.protocols.cutting import Cutoff, FromEnd
from hwds.protocols.forecast_scores import forecast_measures, score_forecasts
from hwds.protocols.forecasting import LEVELS, answers_at, ask_forecasts, forecast_beyond, poison, with_panel
from hwds.protocols.metric_names import Levels, MetricNames, check_headline, named_metrics
from hwds.recipe import Count


class PanelEvaluation(Evaluation[Forecaster, Panel]):
    """Ask a forecaster at cutoffs of a panel; a protocol says which (`split`, `steps`).

    Attributes:
        horizon: Steps to forecast; None takes the dataset's own.
        levels: Quantile levels, rising, with 0.5 among them.
        headline: The metric that orders the leaderboard.
        metrics: Metrics of your own beside the built-in ones (`my_pkg.metrics:my_metric`).
        segments: Static or level columns of the panel; the series of each of their values are scored apart too.
    """

    accepts: ClassVar[type] = Forecaster
    cuts: ClassVar[type] = Panel
    task: ClassVar[str] = "forecast"
    keys: ClassVar[tuple[str, ...]] = ("cutoff", "series_id", "step")
    unit: ClassVar[str] = SERIES
    fits_all: ClassVar[bool] = True
    outside_cells: ClassVar[tuple[str, ...]] = (*Evaluation.outside_cells, "metrics")

    horizon: Count | None = None
    levels: Levels = LEVELS
    headline: str = "mase"
    metrics: MetricNames = ()

    def steps(self, panel: Panel) -> int:
        """The number of steps that a model is asked for on this panel."""
        return self.horizon or panel.horizon

    def scored_after(self) -> int:
        """Steps after a cutoff that are forecast and not scored."""
        return 0

    def alignment(self) -> Align:
        """How cutoffs lie: at instants of a calendar, or back from each series' own end."""
        return "end"

    def rows_kept(self) -> int | None:
        """Rows of history that a fit sees at most; None for all."""
        return None

    def end(self, panel: Panel) -> Cutoff:
        """The cutoff after which `foresee` forecasts."""
        return FromEnd(0)

    def ask(self, model: Forecaster, frame: Panel, cell: Cell, context: Context) -> pl.DataFrame:
        """Fit at the fold's first cutoff and forecast from each that it serves."""
        full = self._context(context, frame)
        return ask_forecasts(model, frame, cell, full, gap=self.scored_after(), sliding=self.rows_kept())

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """All metrics of the task."""
        return score_forecasts(rows, self.levels, named_metrics(self.metrics))

    def notes(self, folds: Sequence[Fold], predictions: pl.DataFrame) -> list[str]:
        """Series that were not asked."""
        units = max(fold.units for fold in folds)
        asked = predictions[SERIES].n_unique() if SERIES in predictions.columns else units
        left = "the others had no history at a cutoff or no rows after it"
        return [f"{asked} of {units} series were asked; {left}."] if asked < units else []

    def measures(self, frame: Panel) -> tuple[Measure, ...]:
        """All metrics of the task."""
        return forecast_measures(frame.season, self.levels, named_metrics(self.metrics))

    def labels(self, frame: Panel, column: str) -> pl.DataFrame:
        """A static or level column by series."""
        names = (*frame.roles.static, *frame.roles.level)
        if column not in names:
            played = role_of(column, frame.roles)
            wrong = f"'{column}' is {played}; it must be static or level."
            absent = f"no static or level column '{column}'{nearest(column, names)}"
            raise ConfigError(f"protocol.segments: {wrong if played else absent}")
        return frame.table.select(SERIES, pl.col(column).alias("segment"))[frame.offsets[:-1]]

    def poisoned(self, frame: Panel, cutoff: Cutoff, luck: np.random.Generator) -> Panel:
        """Rubbish after the cutoff."""
        return poison(frame, cutoff, luck)

    def answers(self, rows: pl.DataFrame, cutoff: Cutoff, frame: Panel) -> pl.DataFrame:
        """The forecasts made at the cutoff."""
        return answers_at(rows, frame, cutoff)

    def fit_all(self, model: Forecaster, frame: Panel, context: Context) -> FittedForecaster:
        """Fit on all rows, or the last ones of a sliding window."""
        full, kept = self._context(context, frame), self.rows_kept()
        return model.fit(frame.last(kept) if kept else frame, horizon=full.horizon, context=full)

    def foresee(self, fitted: FittedForecaster, frame: Panel, context: Context) -> pl.DataFrame:
        """Forecast after the last rows."""
        return forecast_beyond(fitted, frame, self.end(frame), self._context(context, frame))

    def check_features(self, features: Features, frame: Panel) -> None:
        """Every feature must be known at the steps where it is read."""
        features.columns(frame.roles, self.steps(frame))

    def check_names(self) -> None:
        """The headline and the user's own metrics."""
        own = named_metrics(self.metrics)
        check_headline(self.headline, (*forecast_metrics(1, self.levels).values(), *own))

    def _context(self, context: Context, panel: Panel) -> Context:
        return replace(with_panel(context, panel, self.levels, self.steps(panel)), align=self.alignment())
