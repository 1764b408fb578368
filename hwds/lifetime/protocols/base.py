"""Lifetime: what all protocols of remaining life share: the cap, the scores, the segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import polars as pl
from polars import DataFrame

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.recipe import Draws, Positive, Small
from hwds.evaluation.protocol import (
    Deployable,
    Evaluation,
    LeakTestable,
    RunContext,
    Score,
    Segmentable,
    check_headline,
)
from hwds.frames.features.none import None_
from hwds.frames.runs import ENTITY, Runs
from hwds.frames.signals import RunFeatures
from hwds.lifetime.family import REMAINING_LIFE
from hwds.lifetime.metrics import PREDICTED, LifeTerms, life_measures, life_scores, prediction_rows
from hwds.lifetime.models.base import FittedLife, LifetimeContext, LifetimeModel, enough_failures
from hwds.results.tables import Measure


class LifetimeEvaluation(Evaluation[LifetimeModel, Runs], Deployable, Segmentable, LeakTestable):
    """Predict the remaining life of machines.

    Attributes:
        cap: The remaining life beyond which healthy machines look the same. Points are forecasts of
            min(life, cap), and are scored against it; published results on C-MAPSS use 125.
        resamples: The number of resamples of the bootstrap over machines.
        headline: The metric that orders the leaderboard, by its short name.
        segments: Static columns of the runs, whose values are scored apart too.
    """

    accepts: ClassVar[type] = LifetimeModel
    frame_type: ClassVar[type] = REMAINING_LIFE.frame
    task: ClassVar[str] = REMAINING_LIFE.name
    keys: ClassVar[tuple[str, ...]] = ("part", ENTITY, "cut")
    unit: ClassVar[str] = ENTITY
    fields_not_in_key: ClassVar[tuple[str, ...]] = (*Evaluation.fields_not_in_key, "resamples")

    headline: str = REMAINING_LIFE.headline
    cap: Positive = 125.0
    resamples: Annotated[Draws, Small(100)] = 1000

    def terms(self, unit: str = "cycles") -> LifeTerms:
        """Return what scores are made by."""
        return LifeTerms(self.cap, self.resamples, unit)

    def context(self, run: RunContext) -> LifetimeContext:
        """Return what a model is given besides the runs."""
        return LifetimeContext(**run.shared_fields(), cap=self.cap)

    def fitted(self, model: LifetimeModel, runs: Runs, context: RunContext) -> FittedLife:
        """Return a model fitted to runs."""
        return model.learn(enough_failures(runs), self.context(context))

    def score(self, rows: DataFrame) -> list[Score]:
        """Return all metrics."""
        return life_scores(rows, self.terms())

    def measures(self, frame: Runs) -> Sequence[Measure]:
        """Return the metrics with their meanings."""
        return life_measures(self.terms(frame.unit))

    def check_names(self) -> None:
        """Refuse a headline that is none of the task's metrics."""
        check_headline(self.headline, life_measures(self.terms()))

    def check_features(self, features: Any, frame: Runs) -> None:
        """Refuse features that are not of runs."""
        if not isinstance(features, RunFeatures | None_):
            raise ConfigError(
                f"features: '{features.name}' are not computed for runs; take "
                f"features=signal_windows."
            )

    def warnings_before(self, frame: Runs, models: Mapping[str, LifetimeModel]) -> list[str]:
        """Return how many runs are censored."""
        censored = int((~frame.learnable.events).sum())
        said = f"{censored} of {frame.learnable.n} runs to learn from are censored."
        return [said] if censored else []

    def labels(self, frame: Runs, column: str) -> DataFrame:
        """Return a static column by run."""
        known = frame.roles.get("static", ())
        if column not in known:
            raise ConfigError(
                f"protocol.segments: no static column '{column}'{nearest(column, known)}"
            )
        return frame.data.group_by(ENTITY, maintain_order=True).agg(segment=pl.col(column).first())

    def without_outcomes(self, rows: DataFrame) -> DataFrame:
        """Return the predictions of rows without what came of them, for the leak check."""
        return rows.select(*self.keys, *PREDICTED)

    def fit_all(self, model: LifetimeModel, frame: Runs, context: RunContext) -> FittedLife:
        """Return the model fitted to all runs that are not for the test, censored ones too."""
        return self.fitted(model, frame.learnable, context)

    def predict_new(self, fitted: FittedLife, frame: Runs, context: RunContext) -> DataFrame:
        """Return the predictions of the machines that have not failed, at their last row.

        Raises:
            DataError: All of them have failed.
        """
        running = frame.take(~frame.events)
        if not running.n:
            raise DataError(
                "dataset: all machines have failed in their last row, so that there is none to "
                "predict."
            )
        asked = running.until(running.lengths)
        rows = prediction_rows(fitted.predict(asked), asked, asked, "new", 0)
        return rows.drop("actual", "seen", "failed", "cut")
