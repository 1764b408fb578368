"""Lifetime: what all protocols of remaining life share: the cap, the scores, the segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
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

CYCLES_CAP = 125.0
"""The cap of published results on C-MAPSS, in cycles."""

MOST_BEYOND, FITTING_SHARE = 0.5, 0.6
"""The mean share of a life beyond the cap above which points say little, and the share of the
median life that is proposed: that of 125 cycles on C-MAPSS.
"""


class LifetimeEvaluation(Evaluation[LifetimeModel, Runs], Deployable, Segmentable, LeakTestable):
    """Predict the remaining life of machines.

    Attributes:
        cap: The remaining life beyond which healthy machines look the same. Points are forecasts of
            min(life, cap), and are scored against it. Null for 125 cycles, as published results on
            C-MAPSS use; in any other unit it must be given.
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
    cap: Positive | None = None
    resamples: Annotated[Draws, Small(100)] = 1000

    def terms(self, unit: str = "cycles") -> LifeTerms:
        """Return what scores are made by."""
        return LifeTerms(self.most_life, self.resamples, unit)

    @property
    def most_life(self) -> float:
        """The cap, in the unit of ages."""
        return CYCLES_CAP if self.cap is None else self.cap

    def context(self, run: RunContext) -> LifetimeContext:
        """Return what a model is given besides the runs."""
        return LifetimeContext(**run.shared_fields(), cap=self.most_life)

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
        """Refuse features that are not of runs, and a cap that does not fit the lives."""
        self._check_cap(frame)
        if not isinstance(features, RunFeatures | None_):
            raise ConfigError(
                f"features: '{features.name}' are not computed for runs; take "
                f"features=signal_windows."
            )

    def _check_cap(self, frame: Runs) -> None:
        """Refuse a default cap in a unit other than cycles, and a cap that most of the lives are
        beyond, if the headline is of points.

        Raises:
            ConfigError: With a cap that fits.
        """
        runs = frame.learnable
        lives = runs.ages[runs.events].astype(float)
        if not len(lives):
            return
        fits = f"protocol.cap={float(f'{FITTING_SHARE * np.median(lives):.2g}'):g}"
        if self.cap is None and frame.unit != "cycles":
            raise ConfigError(
                f"protocol.cap: must be given for lives in {frame.unit}: {CYCLES_CAP:g} is for "
                f"cycles. Set {fits}."
            )
        beyond = float(np.mean(np.maximum(1 - self.most_life / lives, 0.0)))
        if beyond > MOST_BEYOND and not self.headline.startswith("crps"):
            raise ConfigError(
                f"protocol.cap: machines have more than {self.most_life:g} {frame.unit} left for "
                f"{100 * beyond:.0f} % of their lives, and points end there. Set {fits}, or "
                f"protocol.headline=crps."
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
