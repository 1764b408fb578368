"""Walk-forward: many cutoffs, each forecast with what was known then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import AfterValidator

from hwds.context import Context, Features
from hwds.errors import DataError
from hwds.frames.panel import Panel
from hwds.frames.roles import TIME
from hwds.models.forecast.base import FittedForecaster, Forecaster
from hwds.protocols.base import Cell, Evaluation, Fold, Score
from hwds.protocols.cutting import AtTime, Cutoff, FromEnd
from hwds.protocols.forecast_scores import score_forecasts
from hwds.protocols.forecasting import LEVELS, answers_at, ask_forecasts, forecast_beyond, poison, with_panel
from hwds.protocols.metric_names import Headline, Levels, MetricNames, headline_name, named_metrics
from hwds.recipe import Count, Small, Whole


def _refit(value: str) -> str:
    every, _, count = value.partition("_")
    if value not in ("always", "never") and not (every == "every" and count.isdigit() and int(count) > 0):
        raise ValueError("must be always, never or every_K, such as every_3")
    return value


Refit = Annotated[str, AfterValidator(_refit)]


class WalkForward(Evaluation[Forecaster, Panel]):
    """Walk through time: forecast from each of several cutoffs with what was known then.

    Attributes:
        windows: The number of cutoffs.
        stride: Rows from one cutoff to the next; None takes the horizon, so that windows do not overlap.
        horizon: Steps to forecast; None takes the dataset's own.
        gap: Rows after the cutoff that are not scored (the delay until a forecast can be acted on).
        sliding: Rows of history that a fit sees at most; None lets the history expand.
        refit: `always`, `never` (one fit at the first cutoff serves all) or `every_K`.
        align: `calendar`, the same instants for all series, or `end`, counted back from each series' own end, for
            records in which the calendar means nothing.
        levels: Quantile levels, rising, with 0.5 among them.
        headline: The metric that orders the leaderboard.
        metrics: Metrics of your own beside the built-in ones (`my_pkg.metrics:my_metric`).

    Example:
        python -m hwds model=forecast/seasonal_naive protocol=walk_forward protocol.windows=4 protocol.refit=every_2
    """

    accepts: ClassVar[type] = Forecaster
    cuts: ClassVar[type] = Panel
    task: ClassVar[str] = "forecast"
    keys: ClassVar[tuple[str, ...]] = ("cutoff", "series_id", "step")
    outside_cells: ClassVar[tuple[str, ...]] = ("windows", "stride", "refit", "align", "headline", "metrics")

    windows: Annotated[Count, Small(2)] = 3
    stride: Count | None = None
    horizon: Count | None = None
    gap: Whole = 0
    sliding: Count | None = None
    refit: Refit = "always"
    align: Literal["calendar", "end"] = "calendar"
    levels: Levels = LEVELS
    headline: Headline = "mase"
    metrics: MetricNames = ()

    def steps(self, panel: Panel) -> int:
        """The number of steps that a model is asked for on this panel, the gap included."""
        return self.gap + (self.horizon or panel.horizon)

    def split(self, frame: Panel) -> Sequence[Fold]:
        """One fold for each fit, oldest first; each serves the cutoffs until the next fit."""
        cutoffs = self.cutoffs(frame)
        if not (cutoffs[0].ends(frame) > 0).any():
            raise DataError(
                f"protocol: {self.windows} windows of {self.steps(frame)} steps, {self._stride(frame)} apart, leave no history;"
                f" the longest series has {int(frame.lengths.max())} rows."
            )
        size = {"always": 1, "never": self.windows}.get(self.refit) or int(self.refit.partition("_")[2])
        served = [tuple(cutoffs[i : i + size]) for i in range(0, len(cutoffs), size)]
        return [Fold(i, group[0].label, frame.n_series, group) for i, group in enumerate(served)]

    def cutoffs(self, panel: Panel) -> list[Cutoff]:
        """All cutoffs, oldest first; after the last one lie exactly the steps that are asked."""
        back = [self.steps(panel) + i * self._stride(panel) for i in reversed(range(self.windows))]
        if self.align == "end":
            return [FromEnd(rows) for rows in back]
        last = panel.table[TIME].max()
        end = pl.Series([last], dtype=panel.table.schema[TIME])
        return [AtTime(panel.frequency.after(end, -rows)[0]) for rows in back]

    def _stride(self, panel: Panel) -> int:
        return self.stride or self.horizon or panel.horizon

    def ask(self, model: Forecaster, frame: Panel, cell: Cell, context: Context) -> pl.DataFrame:
        """Fit at the fold's first cutoff and forecast from each that it serves."""
        full = with_panel(context, frame, self.levels, self.steps(frame))
        return ask_forecasts(model, frame, cell, full, gap=self.gap, sliding=self.sliding)

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
        """Fit on all rows, or the last ones of a sliding window."""
        full = with_panel(context, frame, self.levels, self.steps(frame))
        return model.fit(frame.last(self.sliding) if self.sliding else frame, horizon=full.horizon, context=full)

    def foresee(self, fitted: FittedForecaster, frame: Panel, context: Context) -> pl.DataFrame:
        """Forecast after the last rows."""
        last: Any = frame.table[TIME].max()
        cutoff = AtTime(last) if self.align == "calendar" else FromEnd(0)
        return forecast_beyond(fitted, frame, cutoff, with_panel(context, frame, self.levels, self.steps(frame)))

    def check_features(self, features: Features, frame: Panel) -> None:
        """Every feature must be known at the steps where it is read."""
        features.columns(frame.roles, self.steps(frame))

    def check_names(self) -> None:
        """The headline and the user's own metrics."""
        headline_name(self.headline, self.levels)
        named_metrics(self.metrics)
