"""What the protocols of panels share: all but where they cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl

from hwds.context import Align, Context, Features
from hwds.errors import ConfigError
from hwds.frames.hierarchy import with_aggregates, without_aggregates
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES
from hwds.metrics.base import Measure
from hwds.metrics.forecast import forecast_metrics
from hwds.models.forecast.base import Forecaster
from hwds.protocols.adaptive import adaptive
from hwds.protocols.base import Cell, Evaluation, Fold, Score
from hwds.protocols.calibrated import Calibrated, Coherent
from hwds.protocols.calibration import conformal, corrected, learned, uncalibrated, unsettled, without_raw
from hwds.protocols.cutting import Cutoff, FromEnd
from hwds.protocols.forecast_scores import forecast_measures, score_forecasts
from hwds.protocols.forecasting import (
    EXISTS,
    LEVELS,
    NONNEGATIVE,
    WINDOW,
    answers_at,
    ask_forecasts,
    forecast_beyond,
    with_panel,
)
from hwds.protocols.joined_words import remarks_on_joined
from hwds.protocols.metric_names import Levels, MetricNames, check_headline, named_metrics
from hwds.protocols.panel_segments import panel_labels
from hwds.protocols.poisoning import poison
from hwds.protocols.reconciling import asked_actuals, error_vectors, reconciled, with_groups
from hwds.protocols.reconciling_words import remarks_on
from hwds.recipe import Count, Small, Whole


class PanelEvaluation(Evaluation[Forecaster, Panel]):
    """Ask a forecaster at cutoffs of a panel; a protocol says which (`split`, `steps`).

    Attributes:
        horizon: Steps to forecast; None takes the dataset's own.
        levels: Quantile levels, rising, with 0.5 among them.
        headline: The metric that orders the leaderboard.
        metrics: Metrics of your own beside the built-in ones (`my_pkg.metrics:my_metric`).
        segments: What is scored apart too: the values of a static or level column; rows where a known-future or past-only one
            is 0, and the others (`promotion`); classes known at the cutoff: `age`, `volume`, `intermittent`.
        paths: Sample paths to keep of each forecast, where a model can draw them, for decisions on sums over steps.
        intervals: Whose quantiles are shown: the `model`'s own; `conformal`, corrected by its errors on windows before the
            cutoff, pooled over series; `adaptive`, anew at each cutoff by what earlier forecasts have turned out to be.
        calibration: Those windows, each of one horizon; one more fit serves them all (a model that fits
            each series alone is fitted before each). `reconcile` learns from them too.
        reconcile: Ask for the sums at every level of the hierarchy (`roles.level`) too, as series of their own, and make all
            forecasts add up: `bottom_up`; `top_down`, by the proportions of the parts' own forecasts; `mint`, minimum trace,
            by the covariance of errors on the windows of `calibration`. Models learn of sums as of any other series.
        grouped: Sum by each level alone too, where levels cross (state and industry) and do not nest.
    """

    accepts: ClassVar[type] = Forecaster
    cuts: ClassVar[type] = Panel
    task: ClassVar[str] = "forecast"
    keys: ClassVar[tuple[str, ...]] = ("cutoff", "series_id", "step")
    unit: ClassVar[str] = SERIES
    fits_all: ClassVar[bool] = True
    block: ClassVar[int] = 250
    outside_cells: ClassVar[tuple[str, ...]] = (
        *Evaluation.outside_cells,
        "metrics",
        "intervals",
        "calibration",
        "reconcile",
        "grouped",
    )

    horizon: Count | None = None
    levels: Levels = LEVELS
    headline: str = "mase"
    metrics: MetricNames = ()
    paths: Annotated[Whole, Small(200)] = 0
    intervals: Literal["model", "conformal", "adaptive"] = "model"
    calibration: Annotated[Count, Small(2)] = 3
    reconcile: Literal["none", "bottom_up", "top_down", "mint"] = "none"
    grouped: bool = False

    @property
    def reconciles(self) -> bool:
        """Whether there are sums, and forecasts that add up to them."""
        return self.reconcile != "none"

    def framed(self, frame: Panel) -> Panel:
        """The panel, with its aggregates where forecasts are to add up."""
        if not self.reconciles:
            return frame
        if not frame.roles.level:
            raise ConfigError(
                "protocol.reconcile: needs a hierarchy, and the dataset has no level column (dataset.roles.level)."
            )
        return with_aggregates(frame, grouped=self.grouped)

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
        full, gap, kept, whole = self._context(context, frame), self.scored_after(), self.rows_kept(), self.reconciles
        rows = ask_forecasts(model, frame, cell, full, gap=gap, sliding=kept, paths=self.paths, whole=whole)
        return with_groups(rows, frame, grouped=self.grouped) if whole else rows

    def inner(self, fold: int) -> int:
        """The inner windows that the cells of a fold carry; of the first alone, if for intervals that go on learning only."""
        carries = {"model": False, "conformal": True, "adaptive": fold == 0}[self.intervals]
        return self.calibration if carries or self.reconciles else 0

    @property
    def settles_across(self) -> bool:
        """Adaptive intervals learn from earlier folds."""
        return self.intervals == "adaptive"

    def settle(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Quantiles as `intervals` says, and `calibrated` where they are not the model's own by wish; then all adds up."""
        if not self.reconciles:
            return self._calibrated(rows)
        told = asked_actuals(rows)
        first = told.filter((pl.col(WINDOW) >= 0) | (pl.col("fold") == pl.col("fold").min()))
        own = self._calibrated(first if self.intervals == "adaptive" else told)
        signs = told.filter(pl.col(WINDOW) >= 0)[NONNEGATIVE]
        past = {fold: error_vectors(part) for (fold,), part in told.partition_by("fold", as_dict=True).items()}
        return reconciled(own.with_columns(signs), past, self.reconcile, self.levels)  # type: ignore[arg-type]

    def _calibrated(self, rows: pl.DataFrame) -> pl.DataFrame:
        if self.intervals != "model" and rows[WINDOW].null_count():  # of the truth
            return unsettled(rows)
        if self.intervals == "conformal":
            return conformal(rows, self.levels)
        return adaptive(rows, self.levels, self.calibration) if self.intervals == "adaptive" else without_raw(rows)

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """All metrics of the task."""
        return score_forecasts(rows, self.levels, named_metrics(self.metrics))

    def notes(self, folds: Sequence[Fold], predictions: pl.DataFrame) -> list[str]:
        """Series that were not asked, and intervals that could not be calibrated."""
        units = max(fold.units for fold in folds)
        asked = predictions[SERIES].n_unique() if SERIES in predictions.columns else units
        left = "the others had no history at a cutoff or no rows after it"
        told = [f"{asked} of {units} series were asked; {left}."] if asked < units else []
        return told + uncalibrated(predictions)

    def remarks(self, frame: Panel) -> list[str]:
        """What is joined; what the scores count where there are sums, and what is not known of them."""
        sums = remarks_on(frame, self.split(frame)[0].cutoffs[0], self.steps(frame)) if self.reconciles else []
        return [*remarks_on_joined(frame), *sums]

    def measures(self, frame: Panel) -> tuple[Measure, ...]:
        """All metrics of the task."""
        return forecast_measures(frame.season, self.levels, named_metrics(self.metrics))

    def labels(self, frame: Panel, column: str) -> pl.DataFrame:
        """By series, by row, or by series and cutoff: see `panel_segments.panel_labels`."""
        return panel_labels(frame, column, self.split)

    def poisoned(self, frame: Panel, cutoff: Cutoff, luck: np.random.Generator) -> Panel:
        """Rubbish after the cutoff; aggregates are made of it anew."""
        return self.framed(poison(without_aggregates(frame) if self.reconciles else frame, cutoff, luck))

    def answers(self, rows: pl.DataFrame, cutoff: Cutoff, frame: Panel) -> pl.DataFrame:
        """The forecasts made at the cutoff."""
        return answers_at(rows, frame, cutoff)

    def fit_all(self, model: Forecaster, frame: Panel, context: Context) -> Any:
        """Fit on all rows, or the last ones of a sliding window; with what its errors on inner windows have taught."""
        full, kept = self._context(context, frame), self.rows_kept()
        fitted = model.fit(frame.last(kept) if kept else frame, horizon=full.horizon, context=full)
        if self.intervals == "model" and not self.reconciles:
            return fitted
        inner = model.backtest(replace(frame, plan=None), self.calibration, replace(full, sliding=kept))
        if self.reconciles and inner.width:
            marked = inner.with_columns(pl.lit(True).alias(EXISTS), pl.lit(0).alias("fold"))
            inner = asked_actuals(with_groups(marked, frame, grouped=self.grouped))
        final = fitted if self.intervals == "model" else Calibrated(fitted, learned(inner, self.levels))
        return Coherent(final, error_vectors(inner)) if self.reconciles else final

    def foresee(self, fitted: Any, frame: Panel, context: Context) -> pl.DataFrame:
        """Forecast after the last rows."""
        kept = fitted.model if isinstance(fitted, Coherent) else fitted
        model = kept.model if isinstance(kept, Calibrated) else kept

        def settle(rows: pl.DataFrame) -> pl.DataFrame:
            told = corrected(rows, kept.calibration, self.levels) if isinstance(kept, Calibrated) else rows
            if not isinstance(fitted, Coherent):
                return told
            grouped = with_groups(told, frame, grouped=self.grouped).with_columns(pl.lit(0).alias("fold"))
            return reconciled(grouped, {0: fitted.errors}, self.reconcile, self.levels).drop("fold")  # type: ignore[arg-type]

        return forecast_beyond(model, frame, self.end(frame), self._context(context, frame), self.paths, settle)

    def check_features(self, features: Features, frame: Panel) -> None:
        """Every feature must be known at the steps where it is read."""
        features.columns(frame.roles, self.steps(frame))

    def check_names(self) -> None:
        """The headline and the user's own metrics; and what does not go with sums."""
        if self.reconciles and self.paths:
            raise ConfigError(f"protocol.paths: must be 0 with reconcile={self.reconcile}, got {self.paths}.")
        if self.reconcile == "top_down" and self.grouped:
            raise ConfigError("protocol.grouped: must be false with reconcile=top_down, which splits along one tree, got true.")
        own = named_metrics(self.metrics)
        check_headline(self.headline, (*forecast_metrics(1, self.levels).values(), *own))

    def _context(self, context: Context, panel: Panel) -> Context:
        return replace(with_panel(context, panel, self.levels, self.steps(panel)), align=self.alignment())
