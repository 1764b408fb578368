"""LastWindow: k folds of machines, cut at several ages; the official test for the model that the
folds chose, and no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from polars import DataFrame, col

from hwds.core.errors import ConfigError, DataError
from hwds.evaluation.protocol import (
    Cell,
    Contrasting,
    Fold,
    RunContext,
    Score,
    Tunable,
    TuningSplit,
    headline_score,
)
from hwds.evaluation.run_folds import HeldOutCut, LastRow, RunKFold, corrupt_runs
from hwds.frames.runs import Runs
from hwds.lifetime.metrics import life_measures, life_scores, official_scores, prediction_rows
from hwds.lifetime.models.base import LifetimeContext, LifetimeModel
from hwds.lifetime.protocols.base import LifetimeEvaluation
from hwds.results.tables import TRUTH, Measure

OUTCOMES = ("actual", "seen", "failed")


class LastWindow(RunKFold, LifetimeEvaluation, Tunable, Contrasting):
    """Divide machines into folds, and predict the life of held-out ones from their last window, as
    it was at several ages.

    All rows of a machine are on one side. With `official_test=once` the machines that the data set
    keeps for its test are predicted too, each from its last row, by models of all others. How they
    ended is read for one model of the run: the one that the folds put first. No headline, rival,
    sweep or stopping can be chosen by it.

    Attributes:
        official_test: Whether the official test is read: `none`, or `once`, for the model that the
            folds put first.
    """

    fields_not_in_key: ClassVar[tuple[str, ...]] = (
        *LifetimeEvaluation.fields_not_in_key,
        "repeats",
        "official_test",
    )

    official_test: Literal["none", "once"] = "none"

    def split(self, frame: Runs) -> Sequence[Fold]:
        """Return the folds, and where the official test is read one more for its machines.

        Raises:
            DataError: The runs do not suffice, or there is no official test to read.
        """
        folds = self.split_runs(frame)
        tests = int((frame.ends["split"] == "test").sum())
        if self.official_test == "none":
            return folds
        if not tests:
            raise DataError(
                "protocol.official_test: must be none, for the data keeps no machines for a test, "
                "got once."
            )
        return [*folds, Fold(len(folds), "test", tests, (LastRow(),))]

    def context(self, run: RunContext) -> LifetimeContext:
        """Return what a model is given besides the runs."""
        return LifetimeContext(
            **run.shared_fields(), cap=self.most_life, least=self.least, by_share=not self.every
        )

    def check_names(self) -> None:
        """Refuse a headline that is none of the task's metrics, and inspected machines that are
        divided more than once.
        """
        super().check_names()
        if self.every and self.repeats > 1:
            raise ConfigError(
                f"protocol.repeats: must be 1 with every={self.every}, got {self.repeats}."
            )

    def evaluate_cell(
        self, model: LifetimeModel, frame: Runs, cell: Cell, context: RunContext
    ) -> DataFrame:
        """Learn from the machines of the other folds; predict those of this one at each cut."""
        first = cell.fold.cutoffs[0]
        runs = frame.learnable
        if isinstance(first, LastRow):
            asked = _test_machines(frame).until(_test_machines(frame).lengths)
            return prediction_rows(
                self.fitted(model, runs, context).predict(asked),
                asked,
                _test_machines(frame),
                "test",
                0,
            )
        mine = self.fold_of_runs(runs, first.repeat) == first.fold
        fitted, held = self.fitted(model, runs.take(~mine), context), runs.take(mine)
        number = first.repeat * self.cuts
        parts = []
        for cutoff in cell.fold.cutoffs:
            asked = held.until(np.array(cutoff.rows))
            parts.append(
                prediction_rows(fitted.predict(asked), asked, held, "kfold", number + cutoff.cut)
            )
        return pl.concat(parts)

    def score(self, rows: DataFrame) -> list[Score]:
        """Return all metrics of the folds; the official test is not among them."""
        return life_scores(rows.filter(part="kfold"), self.terms())

    def contrasts(self, rows: Mapping[str, DataFrame]) -> Iterator[tuple[str, Score]]:
        """Yield the scores of the official test for the one model that the folds put first."""
        label = self.chosen(rows)
        if label:
            yield from (
                (label, score)
                for score in official_scores(rows[label].filter(part="test"), self.terms())
            )

    def chosen(self, rows: Mapping[str, DataFrame]) -> str:
        """Return the label of the model whose headline is best over the folds.

        Empty where none is scored.
        """
        low = (
            next(each for each in life_measures(self.terms()) if each.short == self.headline).better
            == "low"
        )
        known = {
            label: score.value
            for label, part in rows.items()
            if label != TRUTH
            and (score := headline_score(self.score(part), self.headline))
            and score.value is not None
        }
        return min(known, key=lambda label: known[label] if low else -known[label]) if known else ""

    def rows_to_keep(self, rows: DataFrame) -> DataFrame:
        """Return all rows; those of the official test without what came of them."""
        tests = col("part") == "test"
        return rows.with_columns(
            pl.when(tests).then(None).otherwise(col(name)).alias(name) for name in OUTCOMES
        )

    def measures(self, frame: Runs) -> Sequence[Measure]:
        """Return the metrics with their meanings."""
        return life_measures(self.terms(frame.unit), test=self.official_test == "once")

    def why_not_tunable(self) -> str:
        """Return why trials have no machines to choose on, where none are set apart; else empty."""
        return (
            ""
            if self.apart
            else "tests every machine, of which protocol.apart=0.3 would keep some to choose on"
        )

    def tuning_split(self, frame: Runs, windows: int) -> TuningSplit:
        """Return folds of the machines that are set apart.

        No others are there, and none of the official test.

        Raises:
            DataError: They do not suffice.
        """
        inner = replace(
            self, folds=max(windows, 2), repeats=1, apart=0.0, official_test="none", segments=()
        )
        known = frame.learnable
        rows = known.take(self.is_apart(known))
        return TuningSplit(inner, rows, inner.split(rows)[:windows])

    def corrupt_after(
        self, frame: Runs, cutoff: HeldOutCut | LastRow, rng: np.random.Generator
    ) -> Runs:
        """Return the runs with random values for what held-out machines measured after a cut, and
        for how they ended.
        """
        known = np.full(frame.n, -1)
        if isinstance(cutoff, LastRow):
            tests = (frame.ends["split"] == "test").to_numpy()
            known[tests] = frame.lengths[tests]
            return corrupt_runs(frame, known, rng)
        runs = frame.learnable
        held = self.fold_of_runs(runs, cutoff.repeat) == cutoff.fold
        mine = [name for name, is_held in zip(runs.names, held, strict=True) if is_held]
        rows = dict(zip(mine, cutoff.rows, strict=True))
        known = np.array([rows.get(name, -1) for name in frame.names])
        return corrupt_runs(frame, known, rng)

    def predictions_at(
        self, rows: DataFrame, cutoff: HeldOutCut | LastRow, frame: Runs
    ) -> DataFrame:
        """Return the predictions at a cut."""
        if isinstance(cutoff, LastRow):
            return self.without_outcomes(rows.filter(part="test"))
        return self.without_outcomes(
            rows.filter(part="kfold", cut=cutoff.repeat * self.cuts + cutoff.cut)
        )


def _test_machines(frame: Runs) -> Runs:
    """Return the machines that the data set keeps for its test."""
    return frame.take((frame.ends["split"] == "test").to_numpy())
