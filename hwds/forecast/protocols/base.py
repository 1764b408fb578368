"""PanelEvaluation: what all protocols of forecasts share, and the toy cells of a user's own
code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from polars import DataFrame, col

from hwds.core.errors import ConfigError, nearest, with_article
from hwds.core.recipe import Folds, Names, Small, ZeroDraws
from hwds.evaluation.decisions.base import VolumeEvidence
from hwds.evaluation.panel_folds import (
    Cutoff,
    PanelSplitting,
    corrupt_panel,
    future_of,
    panel_known_at,
    select_series,
    series_at,
)
from hwds.evaluation.protocol import (
    CLUSTER_COLUMN,
    Cell,
    Deployable,
    Evaluation,
    Fold,
    Foreseeable,
    LeakTestable,
    RunContext,
    Score,
    Segmentable,
    SkillTested,
    Trying,
    Tunable,
    WrongAnswerError,
    check_headline,
)
from hwds.forecast.family import FORECAST
from hwds.forecast.metrics import (
    Levels,
    Metrics,
    check_metrics,
    forecast_measures,
    forecast_metrics,
    named_metrics,
    score_forecasts,
)
from hwds.forecast.models.base import Features, ForecastContext, Forecaster
from hwds.forecast.predictions import (
    EXISTS,
    LEVELS,
    NONNEGATIVE,
    WINDOW,
    InnerBacktests,
    fit_and_forecast,
    forecast_beyond,
    forecasts_at,
)
from hwds.forecast.rows import (
    SkillBlocks,
    break_remarks,
    calibration_remark,
    cluster_remarks,
    count_from_last,
    fallback_remarks,
    few_remarks,
    fill_young_scales,
    joined_column_remarks,
    numbering_remarks,
    panel_labels,
    panel_remarks,
    scale_remarks,
    search_stories,
    season_remarks,
    shock_remarks,
    without_raw,
)
from hwds.frames.panel import Forecasts, Panel, with_aggregates, without_aggregates
from hwds.frames.roles import SERIES
from hwds.results.formatting import counted
from hwds.results.tables import Measure
from hwds.stats.estimates import Estimate

# A forecaster and a feature set of a user's own, run on two toy cells: two series of a panel,
# then one of them.

MOST_TOY_ROWS = 200
"""The last rows of each series that a toy cell has."""


def try_forecaster(
    model: Forecaster, panel: Panel, cutoff: Cutoff, context: ForecastContext, horizon: int
) -> None:
    """Fit a model on toys and ask it for their next steps.

    Raises:
        WrongAnswerError: The answer is no `Forecasts`, an array of it has another shape, or
            quantiles cross.
    """
    for most in (2, 1):
        block = panel.block(0, min(most, panel.n_series))
        series, ends = series_at(block, cutoff), cutoff.ends(block)
        if not len(series):
            return
        history = panel_known_at(select_series(block, series), cutoff, MOST_TOY_ROWS)
        if history.n_series != len(series):
            return  # launches, of which nothing is known
        answer = model.learn(history, horizon=horizon, context=context)
        forecasts = answer.predict(history, future_of(block, series, ends, horizon))
        check_forecasts(forecasts, len(series), context, horizon)


def check_forecasts(answer: Any, series: int, context: ForecastContext, horizon: int) -> None:
    """Refuse an answer for so many series and steps that is not what `predict` must return.

    Raises:
        WrongAnswerError: It is no `Forecasts`, an array has another shape, or quantiles cross.
    """
    asked = f"predict was asked for {counted(series, 'series')} and {counted(horizon, 'steps')}"
    if not isinstance(answer, Forecasts):
        shape = f" of shape {answer.shape}" if isinstance(answer, np.ndarray) else ""
        raise WrongAnswerError(
            f"{asked} and must return hwds.Forecasts, got "
            f"{with_article(type(answer).__name__)}{shape}"
        )
    shapes = {
        "mean": (series, horizon),
        "quantiles": (series, horizon, len(context.levels)),
        "fallback": (series,),
    }
    for name, wanted in shapes.items():
        got = getattr(answer, name)
        if not isinstance(got, np.ndarray):
            raise WrongAnswerError(
                f"{asked}: '{name}' must be an array, got {with_article(type(got).__name__)}"
            )
        if got.shape != wanted or got.dtype.kind not in "biuf":
            raise WrongAnswerError(
                f"{asked}: '{name}' must be numbers of shape {wanted}, got {got.dtype} of shape "
                f"{got.shape}"
            )
    if (np.diff(answer.quantiles, axis=-1) < 0).any():
        raise WrongAnswerError(
            f"{asked}: 'quantiles' must not decrease along their last axis; Forecasts.of sorts them"
        )


def try_panel_features(features: Any, panel: Panel, horizon: int) -> None:
    """Compute a feature set of two series.

    Raises:
        WrongAnswerError: The answer is no panel of these rows, or lacks a column of the plan as
            floats.
    """
    toy = panel.block(0, min(2, panel.n_series)).last(MOST_TOY_ROWS)
    names = [feature.name for feature in features.columns(toy.roles, horizon).features]
    answer = features.compute(toy)
    rows = counted(len(toy.table), "rows")
    if not isinstance(answer, Panel):
        raise WrongAnswerError(
            f"compute of {rows} must return a Panel, got {with_article(type(answer).__name__)}"
        )
    if len(answer.table) != len(toy.table):
        raise WrongAnswerError(f"compute of {rows} must return as many, got {len(answer.table):,}")
    for name in names:
        dtype = answer.table.schema.get(name)
        if dtype is None or not dtype.is_float():
            raise WrongAnswerError(
                f"compute of {rows} must add '{name}', which its plan names, as floats, got "
                f"{dtype or 'no such'}"
            )


# The base of the protocols of panels: all but where they cut.


class PanelEvaluation(
    PanelSplitting,
    Evaluation[Forecaster, Panel],
    Tunable,
    Deployable,
    Segmentable,
    LeakTestable,
    Foreseeable,
    SkillTested,
    Trying,
    VolumeEvidence,
):
    """Ask a forecaster at cutoffs of a panel; a splitting says which.

    Attributes:
        horizon: Steps to forecast; None takes the dataset's own.
        levels: Quantile levels, rising, with 0.5 among them.
        headline: The metric that orders the leaderboard.
        metrics: Your own metrics, in addition to the built-in ones (`my_pkg.metrics:my_metric`, or
            a `Metric`).
        segments: Segments with scores of their own: the values of a static or level column; rows
            where a known-future or past-only one is 0, and the others (`promotion`); classes known
            at the cutoff: `age`, `volume`, `intermittent`.
        cluster: Static columns whose values are families of similar series. The series of one
            family count as one in every interval and test.
        paths: Sample paths to keep of each forecast, where a model can draw them, for decisions on
            sums over steps.
        intervals: Whose quantiles are shown: the `model`'s own; `conformal`, corrected by its
            errors on windows before the cutoff, pooled over series; `adaptive`, corrected at each
            cutoff by the errors of earlier forecasts.
        calibration: Those windows, each of one horizon; one more fit serves them all (a model that
            fits each series alone is fitted before each). `reconcile` learns from them too.
        reconcile: Ask for the sums at every level of the hierarchy (`roles.level`) too, as series
            of their own, and make all forecasts add up: `bottom_up`; `top_down`, by the proportions
            of the parts' own forecasts; `mint`, minimum trace, by the covariance of errors on the
            windows of `calibration`. Models learn of sums as of any other series.
        grouped: Sum by each level alone too, where levels cross (state and industry) and do not
            nest.
    """

    accepts = Forecaster
    frame_type = FORECAST.frame
    task = FORECAST.name
    keys = ("cutoff", "series_id", "step")
    unit = SERIES
    block = 250
    fields_not_in_key = (
        *Evaluation.fields_not_in_key,
        "cluster",
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
    cluster: Names = ()
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
                "protocol.reconcile: needs a hierarchy, and the dataset has no level column "
                "(dataset.roles.level)."
            )
        return with_aggregates(frame, grouped=self.grouped)

    def split(self, frame: Panel) -> Sequence[Fold]:
        """Return the folds of the splitting."""
        return self.make_folds(frame)

    def evaluate_cell(
        self, model: Forecaster, frame: Panel, cell: Cell, context: RunContext
    ) -> DataFrame:
        """Fit at the fold's first cutoff and forecast from each that it serves; see
        `shares_fits`.
        """
        full, parts = self._context(context, frame), self._fits_of(model, cell)
        inner, asked = self.inner_windows(cell.fold), list[DataFrame]()
        for number, part in enumerate(parts):
            rows = fit_and_forecast(
                model,
                frame,
                part,
                full if len(parts) == 1 else replace(full, fold=part.fold.name),
                horizon=self.steps(frame),
                gap=self.scored_after(),
                sliding=self.rows_kept(),
                paths=self.paths,
                whole=self.reconciles,
                inner=0 if number else inner,
                first=number,
            )
            asked += [] if rows.is_empty() else [rows]
        rows = pl.concat(asked) if asked else DataFrame()
        if not self.reconciles:
            return rows
        from hwds.forecast.postprocessing import with_groups

        return with_groups(rows, frame, grouped=self.grouped)

    def _fits_of(self, model: Forecaster, cell: Cell) -> list[Cell]:
        """Return the cell as one fit or, where a model of each series alone is fitted at every
        cutoff, as a fit for each.
        """
        fold = cell.fold
        if not (self.shares_fits and model.local):
            return [cell]
        return [
            replace(cell, fold=replace(fold, name=cutoff.label, cutoffs=(cutoff,)))
            for cutoff in fold.cutoffs
        ]

    def try_model(self, model: Forecaster, frame: Panel, fold: Fold, context: RunContext) -> None:
        """Fit a model on two series and on one, and check its forecasts."""
        try_forecaster(
            model, frame, fold.cutoffs[0], self._context(context, frame), self.steps(frame)
        )

    def try_features(self, features: Any, frame: Panel) -> None:
        """Compute a feature set of two series."""
        try_panel_features(features, frame, self.steps(frame))

    def work(self, model: Forecaster, frame: Panel, cell: Cell) -> float | None:
        """Return the work of a cell from the rows that are known at its first cutoff."""
        from hwds.forecast.work import PanelSize, cell_work

        block, cutoffs = frame.block(cell.start, cell.stop), cell.fold.cutoffs
        ends = cutoffs[0].ends(block)
        known = ends[ends > 0]
        if not len(known):
            return 0.0
        columns = len(frame.roles.known_future) + len(frame.roles.past_only)
        rows = np.minimum(known, self.rows_kept() or known.max())
        length, levels = float(rows.mean()), len(self.levels)
        size = PanelSize(len(known), length, frame.season, self.steps(frame), columns, levels)
        fits = len(self._fits_of(model, cell))
        return cell_work(model, size, len(cutoffs), self.inner_windows(cell.fold), fits)

    def budget_words(self, seconds: float) -> str:
        """Return the words of the model that keeps to a budget."""
        return f"model=forecast/auto model.budget={seconds:.0f}s"

    def fold_settings(self, fold: Fold) -> Any:
        """Return the number of inner windows, and whether a model of each series alone is fitted at
        later cutoffs, too.
        """
        inner = self.inner_windows(fold)
        return [inner, "local fits"] if self.shares_fits and len(fold.cutoffs) > 1 else inner

    def inner_windows(self, fold: Fold) -> int:
        """Return how many windows before the first cutoff are forecast beside a fold's own, for
        `postprocess` to learn from.

        Intervals that go on learning need those of the first fold alone.
        """
        carries = {"model": False, "conformal": True, "adaptive": fold.index == 0}[self.intervals]
        return self.calibration if carries or self.reconciles else 0

    @property
    def postprocess_needs_earlier_folds(self) -> bool:
        """Adaptive intervals learn from earlier folds."""
        return self.intervals == "adaptive"

    def postprocess(self, rows: DataFrame) -> DataFrame:
        """Calibrate quantiles as `intervals` says, marked by `calibrated`.

        Then make all forecasts add up.
        """
        scored = fill_young_scales(self._calibrate_and_reconcile(rows))
        return count_from_last(scored) if self.alignment() == "end" else scored

    def _calibrate_and_reconcile(self, rows: DataFrame) -> DataFrame:
        if not self.reconciles:
            return self._calibrate(rows)
        from hwds.forecast.postprocessing import (
            learn_error_vectors,
            reconcile_rows,
            with_summed_actuals,
        )

        summed = with_summed_actuals(rows)
        first = summed.filter((col(WINDOW) >= 0) | (col("fold") == col("fold").min()))
        calibrated = self._calibrate(first if self.intervals == "adaptive" else summed)
        signs = summed.filter(col(WINDOW) >= 0)[NONNEGATIVE]
        past = {
            fold: learn_error_vectors(part)
            for (fold,), part in summed.partition_by("fold", as_dict=True).items()
        }
        return reconcile_rows(calibrated.with_columns(signs), past, self.reconcile, self.levels)  # type: ignore[arg-type]

    def _calibrate(self, rows: DataFrame) -> DataFrame:
        if self.intervals == "model":
            return without_raw(rows)
        from hwds.forecast.postprocessing import adaptive_rows, conformal_rows, uncalibrated_rows

        if rows[WINDOW].null_count():  # of the truth
            return uncalibrated_rows(rows)
        if self.intervals == "conformal":
            return conformal_rows(rows, self.levels)
        return adaptive_rows(rows, self.levels, self.calibration)

    def score(self, rows: DataFrame) -> list[Score]:
        """Return all metrics of the task."""
        return score_forecasts(rows, self.levels, named_metrics(self.metrics))

    def warnings_after(self, folds: Sequence[Fold], predictions: DataFrame) -> list[str]:
        """Return sentences on series that were not forecast, and on intervals that could not be
        calibrated.
        """
        units = max(fold.units for fold in folds)
        n_forecast = predictions[SERIES].n_unique() if SERIES in predictions.columns else units
        left = "no history at a cutoff, or no rows after it"
        asked = [f"{units - n_forecast} of {units} series are left out: {left}."]
        messages = asked if n_forecast < units else []
        remarks = (fallback_remarks, scale_remarks, season_remarks)
        seen = [remark for each in remarks for remark in each(predictions)]
        calibrated = calibration_remark(predictions)
        return [*messages, *seen, *calibrated, *search_stories(predictions)]

    def _skill(self, predictions: DataFrame) -> SkillBlocks | None:
        """Return the skill of the run's own model in the headline."""
        if "season" not in predictions.columns or predictions.is_empty():
            return None
        metrics = forecast_metrics(int(predictions["season"][0]), self.levels).values()
        known = (*metrics, *named_metrics(self.metrics))
        metric = next(each for each in known if self.headline in (each.name, each.short))
        return SkillBlocks.of(predictions, metric, self.levels)

    def skill_at_all_looks(
        self, predictions: DataFrame
    ) -> tuple[Estimate, tuple[float, int, int]] | None:
        """Return the skill of the run's own model; see `SkillBlocks.at_all_looks`."""
        skill = self._skill(predictions)
        return None if skill is None else skill.at_all_looks()

    def clusters(self, frame: Panel) -> DataFrame | None:
        """Return the cluster of each series, by the columns of `cluster`.

        Raises:
            ConfigError: There is no such static column, with the nearest one.
        """
        if not self.cluster:
            return None
        static = (*frame.roles.static, *frame.roles.level)
        for column in self.cluster:
            if column not in static:
                raise ConfigError(
                    f"protocol.cluster: no static column '{column}'{nearest(column, static)}"
                )
        texts = [col(column).cast(pl.String).fill_null("") for column in self.cluster]
        together = pl.concat_str(texts, separator=" / ").alias(CLUSTER_COLUMN)
        return frame.table.select(SERIES, together)[frame.offsets[:-1]]

    def doubts(self, frame: Panel, predictions: DataFrame, *, sure: bool) -> Iterator[str]:
        """Yield sentences on few that decide, breaks, series that differ alike, and shocks that
        last.
        """
        skill = self._skill(predictions)
        if skill is not None:
            yield from few_remarks(skill) if sure else ()
            yield from break_remarks(skill)
            yield from cluster_remarks(frame, skill, self.cluster)
            yield from shock_remarks(skill)

    def warnings_before(self, frame: Panel, models: Mapping[str, Forecaster]) -> list[str]:
        """Return sentences on joined columns, numbered rows, and sums: how scores count them, and
        where they are unknown.
        """
        sums: list[str] = []
        if self.reconciles:
            sums = panel_remarks(frame, self.split(frame)[0].cutoffs[0], self.steps(frame))
        return [*joined_column_remarks(frame), *numbering_remarks(frame, self.alignment()), *sums]

    def measures(self, frame: Panel) -> tuple[Measure, ...]:
        """Return all metrics of the task."""
        return forecast_measures(frame.season, self.levels, named_metrics(self.metrics))

    def labels(self, frame: Panel, column: str) -> DataFrame:
        """Return segments by series, by row, or by series and cutoff: see
        `segments.panel_labels`.
        """
        return panel_labels(frame, column, self.split)

    def corrupt_after(self, frame: Panel, cutoff: Cutoff, rng: np.random.Generator) -> Panel:
        """Return random values after the cutoff; aggregates are made of them anew."""
        series = without_aggregates(frame) if self.reconciles else frame
        return self.prepare_frame(corrupt_panel(series, cutoff, rng))

    def predictions_at(self, rows: DataFrame, cutoff: Cutoff, frame: Panel) -> DataFrame:
        """Return the forecasts made at the cutoff."""
        return forecasts_at(rows, frame, cutoff)

    def fit_all(self, model: Forecaster, frame: Panel, context: RunContext) -> Any:
        """Fit on all rows, or the last ones of a sliding window.

        With what its errors on inner windows have taught.
        """
        from hwds.forecast.postprocessing import (
            CalibratedModel,
            ReconciledModel,
            learn_calibration,
            learn_error_vectors,
            with_groups,
            with_summed_actuals,
        )

        full, steps, sliding = self._context(context, frame), self.steps(frame), self.rows_kept()
        fitted = model.learn(frame.last(sliding) if sliding else frame, horizon=steps, context=full)
        if self.intervals == "model" and not self.reconciles:
            return fitted
        past, inside = replace(frame, plan=None), replace(full, sliding=sliding)
        inner = model.backtest(past, self.calibration, horizon=steps, context=inside)
        if self.reconciles and inner.width:
            marked = inner.with_columns(pl.lit(True).alias(EXISTS), fold=pl.lit(0))
            inner = with_summed_actuals(with_groups(marked, frame, grouped=self.grouped))
        final: Any = fitted
        if self.intervals != "model":
            final = CalibratedModel(fitted, learn_calibration(inner, self.levels))
        return ReconciledModel(final, learn_error_vectors(inner)) if self.reconciles else final

    def predict_new(self, fitted: Any, frame: Panel, context: RunContext) -> DataFrame:
        """Forecast after the last rows."""
        from hwds.forecast.postprocessing import (
            CalibratedModel,
            ReconciledModel,
            correct_quantiles,
            reconcile_rows,
            with_groups,
        )

        calibrated = fitted.model if isinstance(fitted, ReconciledModel) else fitted
        model = calibrated.model if isinstance(calibrated, CalibratedModel) else calibrated

        def postprocess(rows: DataFrame) -> DataFrame:
            if isinstance(calibrated, CalibratedModel):
                rows = correct_quantiles(rows, calibrated.calibration, self.levels)
            if not isinstance(fitted, ReconciledModel):
                return rows
            grouped = with_groups(rows, frame, grouped=self.grouped).with_columns(fold=pl.lit(0))
            method: Any = self.reconcile  # it reconciles: not `none`
            return reconcile_rows(grouped, {0: fitted.errors}, method, self.levels).drop("fold")

        full, steps = self._context(context, frame), self.steps(frame)
        return forecast_beyond(model, frame, self.end(frame), full, steps, self.paths, postprocess)

    def check_features(self, features: Features, frame: Panel) -> None:
        """Refuse a feature that is not known at the steps where it is read."""
        features.columns(frame.roles, self.steps(frame))

    def check_names(self) -> None:
        """Refuse an unknown headline, a metric of one's own that cannot be computed, and settings
        that do not go with sums.
        """
        if self.reconciles and self.paths:
            raise ConfigError(
                f"protocol.paths: must be 0 with reconcile={self.reconcile}, got {self.paths}."
            )
        if self.reconcile == "top_down" and self.grouped:
            raise ConfigError(
                "protocol.grouped: must be false with reconcile=top_down, which splits along one "
                "tree, got true."
            )
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
            raise ConfigError(
                "protocol.levels: must have a level below and one above 0.5 for a decision on "
                "volumes."
            )
        if paths and not self.paths:
            raise ConfigError(
                f"protocol.paths: must be at least 1 for decision '{decision}' with "
                f"coupling=paths, got 0."
            )

    def check_volume_data(self, frame: Panel) -> None:
        """Refuse data that becomes available later, where cutoffs are counted from each series'
        end.

        Raises:
            ConfigError: With the field and its value.
        """
        if frame.roles.available_at and self.alignment() == "end":
            raise ConfigError(
                "protocol.align: must be calendar for a decision on volumes of data that becomes "
                "available later, got end."
            )

    def volume_steps(self, frame: Panel) -> tuple[int, int]:
        """Return the first and the last step that are scored."""
        return self.scored_after() + 1, self.steps(frame)

    def volume_evidence(self, forecasts: DataFrame, frame: Panel) -> DataFrame:
        """Return the forecasts of the series themselves, without those of their sums.

        See `VolumeEvidence`.
        """
        from hwds.supply.volumes import with_clock

        if self.reconciles:
            frame = without_aggregates(frame)
            forecasts = forecasts.join(
                frame.series_ids.to_frame(), on=SERIES, how="semi", maintain_order="left"
            )
        return with_clock(forecasts, frame, calendar=self.alignment() == "calendar")

    def _context(self, run: RunContext, panel: Panel) -> ForecastContext:
        backtests = None if run.cache is None else InnerBacktests(run.cache)
        return ForecastContext(
            **run.shared_fields(),
            levels=self.levels,
            season=panel.season,
            align=self.alignment(),
            backtests=backtests,
        )


# The data before the windows of a protocol, and the stride of windows that fit into it.


def earlier_panel(protocol: PanelEvaluation, frame: Panel) -> Panel:
    """Return the panel as known at the first cutoff of a protocol; sums are not made of it yet."""
    first = protocol.split(protocol.prepare_frame(frame))[0].cutoffs[0]
    return panel_known_at(frame, first)


def fitting_stride(earlier: Panel, steps: int, stride: int, windows: int) -> int:
    """Return the protocol's own stride, or less where so many windows would reach beyond the later
    half of the longest series.

    Args:
        earlier: The panel as far as it may be known.
        steps: The steps of each window.
        stride: The stride of the experiment's own windows.
        windows: The number of windows.
    """
    room = int(earlier.lengths.max(initial=0)) // 2 - steps
    return stride if windows == 1 else min(stride, max(room // (windows - 1), 1))
