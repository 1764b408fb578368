"""The base of the protocols of panels: all but where they cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError
from hwds.core.recipe import Folds, Small, ZeroDraws
from hwds.evaluation.abilities import Foreseeable, LeakTestable, Segmentable, Trying
from hwds.evaluation.base import Cell, Deployable, Evaluation, Score, Tunable
from hwds.evaluation.context import RunContext
from hwds.evaluation.corruption.panel import corrupt_panel
from hwds.evaluation.score import check_headline
from hwds.forecast.context import Features, ForecastContext
from hwds.forecast.decisions.volumes.evidence import VolumeEvidence, with_clock
from hwds.forecast.family import FORECAST
from hwds.forecast.inner_backtest import InnerBacktests
from hwds.forecast.metrics.names import Levels, Metrics, check_metrics, named_metrics
from hwds.forecast.metrics.ratios import forecast_metrics
from hwds.forecast.metrics.scores import forecast_measures, score_forecasts
from hwds.forecast.models.base import Forecaster
from hwds.forecast.models.racing.notes import notes
from hwds.forecast.protocols.intervals.adaptive import adaptive
from hwds.forecast.protocols.intervals.calibrated import Calibrated, Coherent
from hwds.forecast.protocols.intervals.conformal import conformal, corrected, learned, uncalibrated, unsettled, without_raw
from hwds.forecast.protocols.reconciliation.coherent import error_vectors, reconciled, with_groups, with_summed_actuals
from hwds.forecast.protocols.rows.numbered import from_last, on_numbered
from hwds.forecast.protocols.rows.predictions import (
    EXISTS,
    LEVELS,
    NONNEGATIVE,
    WINDOW,
    fit_and_forecast,
    forecast_beyond,
    forecasts_at,
)
from hwds.forecast.protocols.rows.remarks import remarks_on, remarks_on_joined, within_a_season, without_scale
from hwds.forecast.protocols.rows.segments import panel_labels
from hwds.forecast.protocols.rows.toys import try_forecaster, try_panel_features
from hwds.forecast.protocols.rows.young_scales import with_scales_of_others
from hwds.forecast.work import Size, cell_work
from hwds.frames.hierarchy import with_aggregates, without_aggregates
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES
from hwds.results.measure import Measure
from hwds.splitting.cutoffs import Cutoff
from hwds.splitting.fold import Fold
from hwds.splitting.panels import PanelSplitting


class PanelEvaluation(
    PanelSplitting,
    Evaluation[Forecaster, Panel],
    Tunable,
    Deployable,
    Segmentable,
    LeakTestable,
    Foreseeable,
    Trying,
    VolumeEvidence,
):
    """Ask a forecaster at cutoffs of a panel; a splitting says which.

    Attributes:
        horizon: Steps to forecast; None takes the dataset's own.
        levels: Quantile levels, rising, with 0.5 among them.
        headline: The metric that orders the leaderboard.
        metrics: Metrics of your own beside the built-in ones (`my_pkg.metrics:my_metric`, or a `Metric`).
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
    frame_type: ClassVar[type] = FORECAST.frame
    task: ClassVar[str] = FORECAST.name
    keys: ClassVar[tuple[str, ...]] = ("cutoff", "series_id", "step")
    unit: ClassVar[str] = SERIES
    block: ClassVar[int] = 250
    fields_not_in_key: ClassVar[tuple[str, ...]] = (
        *Evaluation.fields_not_in_key,
        "metrics",
        "intervals",
        "calibration",
        "reconcile",
        "grouped",
    )

    comparable: ClassVar[tuple[str, ...]] = ("intervals", "calibration")
    levels: Levels = LEVELS
    headline: str = FORECAST.headline
    metrics: Metrics = ()
    paths: Annotated[ZeroDraws, Small(200)] = 0
    intervals: Literal["model", "conformal", "adaptive"] = "model"
    calibration: Annotated[Folds, Small(2)] = 3
    reconcile: Literal["none", "bottom_up", "top_down", "mint"] = "none"
    grouped: bool = False

    @property
    def reconciles(self) -> bool:
        """True where aggregates are forecast, too, and forecasts are made to add up."""
        return self.reconcile != "none"

    def prepare_frame(self, frame: Panel) -> Panel:
        """Return the panel, with its aggregates where forecasts are to add up."""
        if not self.reconciles:
            return frame
        if not frame.roles.level:
            raise ConfigError(
                "protocol.reconcile: needs a hierarchy, and the dataset has no level column (dataset.roles.level)."
            )
        return with_aggregates(frame, grouped=self.grouped)

    def split(self, frame: Panel) -> Sequence[Fold]:
        """Return the folds of the splitting."""
        return self.make_folds(frame)

    def evaluate_cell(self, model: Forecaster, frame: Panel, cell: Cell, context: RunContext) -> pl.DataFrame:
        """Fit at the fold's first cutoff and forecast from each that it serves."""
        full, gap, sliding, whole = self._context(context, frame), self.scored_after(), self.rows_kept(), self.reconciles
        rows = fit_and_forecast(
            model,
            frame,
            cell,
            full,
            horizon=self.steps(frame),
            gap=gap,
            sliding=sliding,
            paths=self.paths,
            whole=whole,
            inner=self.inner_windows(cell.fold),
        )
        return with_groups(rows, frame, grouped=self.grouped) if whole else rows

    def try_model(self, model: Forecaster, frame: Panel, fold: Fold, context: RunContext) -> None:
        """Fit a model on two series and on one, and check its forecasts."""
        try_forecaster(model, frame, fold.cutoffs[0], self._context(context, frame), self.steps(frame))

    def try_features(self, features: Any, frame: Panel) -> None:
        """Compute a feature set of two series."""
        try_panel_features(features, frame, self.steps(frame))

    def work(self, model: Forecaster, frame: Panel, cell: Cell) -> float | None:
        """Return the work of a cell from the rows that are known at its first cutoff."""
        block, cutoffs = frame.block(cell.start, cell.stop), cell.fold.cutoffs
        ends = cutoffs[0].ends(block)
        known = ends[ends > 0]
        if not len(known):
            return 0.0
        columns = len(frame.roles.known_future) + len(frame.roles.past_only)
        rows = np.minimum(known, self.rows_kept() or known.max())
        size = Size(len(known), float(rows.mean()), frame.season, self.steps(frame), columns, len(self.levels))
        return cell_work(model, size, len(cutoffs), self.inner_windows(cell.fold))

    def within(self, seconds: float) -> str:
        """Return the words of the model that keeps to a budget."""
        return f"model=forecast/auto model.budget={seconds:.0f}s"

    def fold_settings(self, fold: Fold) -> int:
        """Return the number of inner windows."""
        return self.inner_windows(fold)

    def inner_windows(self, fold: Fold) -> int:
        """Return how many windows before the first cutoff are forecast beside a fold's own, for `postprocess` to learn from.

        Intervals that go on learning need those of the first fold alone.
        """
        carries = {"model": False, "conformal": True, "adaptive": fold.index == 0}[self.intervals]
        return self.calibration if carries or self.reconciles else 0

    @property
    def postprocess_needs_earlier_folds(self) -> bool:
        """Adaptive intervals learn from earlier folds."""
        return self.intervals == "adaptive"

    def postprocess(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Calibrate quantiles as `intervals` says, marked by `calibrated`; then make all forecasts add up."""
        settled = with_scales_of_others(self._settled(rows))
        return from_last(settled) if self.alignment() == "end" else settled

    def _settled(self, rows: pl.DataFrame) -> pl.DataFrame:
        if not self.reconciles:
            return self._calibrated(rows)
        summed = with_summed_actuals(rows)
        first = summed.filter((pl.col(WINDOW) >= 0) | (pl.col("fold") == pl.col("fold").min()))
        calibrated = self._calibrated(first if self.intervals == "adaptive" else summed)
        signs = summed.filter(pl.col(WINDOW) >= 0)[NONNEGATIVE]
        past = {fold: error_vectors(part) for (fold,), part in summed.partition_by("fold", as_dict=True).items()}
        return reconciled(calibrated.with_columns(signs), past, self.reconcile, self.levels)  # type: ignore[arg-type]

    def _calibrated(self, rows: pl.DataFrame) -> pl.DataFrame:
        if self.intervals != "model" and rows[WINDOW].null_count():  # of the truth
            return unsettled(rows)
        if self.intervals == "conformal":
            return conformal(rows, self.levels)
        return adaptive(rows, self.levels, self.calibration) if self.intervals == "adaptive" else without_raw(rows)

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """Return all metrics of the task."""
        return score_forecasts(rows, self.levels, named_metrics(self.metrics))

    def warnings_after(self, folds: Sequence[Fold], predictions: pl.DataFrame) -> list[str]:
        """Return sentences on series that were not forecast, and on intervals that could not be calibrated."""
        units = max(fold.units for fold in folds)
        n_forecast = predictions[SERIES].n_unique() if SERIES in predictions.columns else units
        left = "the others had no history at a cutoff or no rows after it"
        messages = [f"{n_forecast} of {units} series were asked; {left}."] if n_forecast < units else []
        seen = [*without_scale(predictions), *within_a_season(predictions)]
        return [*messages, *seen, *uncalibrated(predictions), *notes(predictions)]

    def warnings_before(self, frame: Panel, models: Mapping[str, Forecaster]) -> list[str]:
        """Return sentences on joined columns, numbered rows, and sums: how scores count them, and where they are unknown."""
        sums = remarks_on(frame, self.split(frame)[0].cutoffs[0], self.steps(frame)) if self.reconciles else []
        return [*remarks_on_joined(frame), *on_numbered(frame, self.alignment()), *sums]

    def measures(self, frame: Panel) -> tuple[Measure, ...]:
        """Return all metrics of the task."""
        return forecast_measures(frame.season, self.levels, named_metrics(self.metrics))

    def labels(self, frame: Panel, column: str) -> pl.DataFrame:
        """Return segments by series, by row, or by series and cutoff: see `segments.panel_labels`."""
        return panel_labels(frame, column, self.split)

    def corrupt_after(self, frame: Panel, cutoff: Cutoff, rng: np.random.Generator) -> Panel:
        """Return random values after the cutoff; aggregates are made of them anew."""
        return self.prepare_frame(corrupt_panel(without_aggregates(frame) if self.reconciles else frame, cutoff, rng))

    def predictions_at(self, rows: pl.DataFrame, cutoff: Cutoff, frame: Panel) -> pl.DataFrame:
        """Return the forecasts made at the cutoff."""
        return forecasts_at(rows, frame, cutoff)

    def fit_all(self, model: Forecaster, frame: Panel, context: RunContext) -> Any:
        """Fit on all rows, or the last ones of a sliding window; with what its errors on inner windows have taught."""
        full, steps, sliding = self._context(context, frame), self.steps(frame), self.rows_kept()
        fitted = model.learn(frame.last(sliding) if sliding else frame, horizon=steps, context=full)
        if self.intervals == "model" and not self.reconciles:
            return fitted
        past, inside = replace(frame, plan=None), replace(full, sliding=sliding)
        inner = model.backtest(past, self.calibration, horizon=steps, context=inside)
        if self.reconciles and inner.width:
            marked = inner.with_columns(pl.lit(True).alias(EXISTS), pl.lit(0).alias("fold"))
            inner = with_summed_actuals(with_groups(marked, frame, grouped=self.grouped))
        final = fitted if self.intervals == "model" else Calibrated(fitted, learned(inner, self.levels))
        return Coherent(final, error_vectors(inner)) if self.reconciles else final

    def predict_new(self, fitted: Any, frame: Panel, context: RunContext) -> pl.DataFrame:
        """Forecast after the last rows."""
        calibrated = fitted.model if isinstance(fitted, Coherent) else fitted
        model = calibrated.model if isinstance(calibrated, Calibrated) else calibrated

        def postprocess(rows: pl.DataFrame) -> pl.DataFrame:
            shown = corrected(rows, calibrated.calibration, self.levels) if isinstance(calibrated, Calibrated) else rows
            if not isinstance(fitted, Coherent):
                return shown
            grouped = with_groups(shown, frame, grouped=self.grouped).with_columns(pl.lit(0).alias("fold"))
            return reconciled(grouped, {0: fitted.errors}, self.reconcile, self.levels).drop("fold")  # type: ignore[arg-type]

        full, steps = self._context(context, frame), self.steps(frame)
        return forecast_beyond(model, frame, self.end(frame), full, steps, self.paths, postprocess)

    def check_features(self, features: Features, frame: Panel) -> None:
        """Refuse a feature that is not known at the steps where it is read."""
        features.columns(frame.roles, self.steps(frame))

    def check_names(self) -> None:
        """Refuse an unknown headline, a metric of one's own that cannot be computed, and settings that do not go with sums."""
        if self.reconciles and self.paths:
            raise ConfigError(f"protocol.paths: must be 0 with reconcile={self.reconcile}, got {self.paths}.")
        if self.reconcile == "top_down" and self.grouped:
            raise ConfigError("protocol.grouped: must be false with reconcile=top_down, which splits along one tree, got true.")
        extra = check_metrics(self.metrics, self.levels)
        check_headline(self.headline, (*forecast_metrics(1, self.levels).values(), *extra))

    @property
    def calibrated(self) -> bool:
        """True where `intervals` are corrected."""
        return self.intervals != "model"

    def check_volumes(self, decision: str, *, paths: bool) -> None:
        """Refuse levels on one side of the median alone, and no paths where they are needed.

        Raises:
            ConfigError: With the field and its value.
        """
        if not self.levels[0] < 0.5 < self.levels[-1]:
            raise ConfigError("protocol.levels: must have a level below and one above 0.5 for a decision on volumes.")
        if paths and not self.paths:
            raise ConfigError(f"protocol.paths: must be at least 1 for decision '{decision}' with coupling=paths, got 0.")

    def check_volume_data(self, frame: Panel) -> None:
        """Refuse data that becomes available later, where cutoffs are counted from each series' end.

        Raises:
            ConfigError: With the field and its value.
        """
        if frame.roles.available_at and self.alignment() == "end":
            raise ConfigError(
                "protocol.align: must be calendar for a decision on volumes of data that becomes available later, got end."
            )

    def volume_steps(self, frame: Panel) -> tuple[int, int]:
        """Return the first and the last step that are scored."""
        return self.scored_after() + 1, self.steps(frame)

    def volume_evidence(self, forecasts: pl.DataFrame, frame: Panel) -> pl.DataFrame:
        """Return the forecasts of the series themselves, without those of their sums; see `VolumeEvidence`."""
        if self.reconciles:
            frame = without_aggregates(frame)
            forecasts = forecasts.join(frame.series_ids.to_frame(), on=SERIES, how="semi", maintain_order="left")
        return with_clock(forecasts, frame, calendar=self.alignment() == "calendar")

    def _context(self, run: RunContext, panel: Panel) -> ForecastContext:
        backtests = None if run.cache is None else InnerBacktests(run.cache)
        return ForecastContext(
            **run.shared(), levels=self.levels, season=panel.season, align=self.alignment(), backtests=backtests
        )
