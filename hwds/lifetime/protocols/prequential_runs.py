"""PrequentialRuns: a fleet on one clock, reviewed again and again: learn from all that is known,
predict what is running.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, Le
from polars import DataFrame, Series, col

from hwds.core.errors import DataError
from hwds.core.recipe import Small
from hwds.evaluation.protocol import Cell, Fold, RunContext
from hwds.evaluation.run_folds import FleetInstant, corrupt_runs, review_instants
from hwds.frames.runs import Runs
from hwds.lifetime.metrics import prediction_rows
from hwds.lifetime.models.base import LifetimeContext, LifetimeModel
from hwds.lifetime.protocols.base import LifetimeEvaluation


class PrequentialRuns(LifetimeEvaluation):
    """Review a fleet at several instants of its clock: learn from all that is known by then,
    predict each machine that runs.

    By an instant some machines have failed, and others are still running: censored there, they are
    learned from too. Later rows show their end. Runs need the role `start`.

    Attributes:
        reviews: Instants, evenly spread from the first at which a quarter of the failures has
            happened.
        least: Rows of a machine that are known at least for its life to be asked for.
    """

    reviews: Annotated[int, Ge(1), Le(1_000), Small(2)] = 6
    least: Annotated[int, Ge(1), Le(100_000)] = 10

    def split(self, frame: Runs) -> Sequence[Fold]:
        """Return a fold for each review.

        Raises:
            DataError: The runs have no clock in common, or too few failed.
        """
        runs = frame.learnable
        instants = review_instants(runs, self.reviews)
        folds = [
            Fold(place, at.label, int(self._running(runs, at).sum()), (at,))
            for place, at in enumerate(instants)
        ]
        empty = next((fold for fold in folds if not fold.units), None)
        if empty:
            raise DataError(
                f"protocol.reviews: no machine has run for {self.least} cycles at {empty.name}; "
                f"take fewer reviews."
            )
        return folds

    def context(self, run: RunContext) -> LifetimeContext:
        """Return what a model is given besides the runs."""
        return LifetimeContext(**run.shared_fields(), cap=self.most_life, least=self.least)

    def evaluate_cell(
        self, model: LifetimeModel, frame: Runs, cell: Cell, context: RunContext
    ) -> DataFrame:
        """Learn from what is known at the review; predict the machines that run then."""
        instant = cell.fold.cutoffs[0]
        runs = frame.learnable
        fitted = self.fitted(model, runs_known_at(runs, instant), context)
        running = self._running(runs, instant)
        asked = runs.until(np.where(running, instant.known_rows(runs), 0))
        return prediction_rows(fitted.predict(asked), asked, runs, "review", cell.fold.index)

    def corrupt_after(self, frame: Runs, cutoff: FleetInstant, rng: np.random.Generator) -> Runs:
        """Return the runs with random values for all that happened after the instant."""
        return corrupt_runs(
            frame, np.where(cutoff.have_ended(frame), -1, cutoff.known_rows(frame)), rng
        )

    def predictions_at(self, rows: DataFrame, cutoff: FleetInstant, frame: Runs) -> DataFrame:
        """Return the predictions at the review."""
        return self.without_outcomes(rows)

    def _running(self, runs: Runs, instant: FleetInstant) -> np.ndarray:
        """Return which machines run at an instant, and have for long enough; shape (n,)."""
        return ~instant.have_ended(runs) & (instant.known_rows(runs) >= self.least)


def runs_known_at(runs: Runs, instant: FleetInstant) -> Runs:
    """Return what is known of runs at an instant: those that ended by then with their ends, others
    censored there.
    """
    ended = instant.have_ended(runs)
    cut = runs.until(instant.known_rows(runs))
    whole = set(runs.ends.filter(ended)["entity"])
    failed = runs.ends.select("entity", __event__="event", __remaining__="remaining")
    ends = cut.ends.join(failed, "entity", "left", maintain_order="left")
    seen = Series([name in whole for name in ends["entity"]])
    ends = ends.with_columns(
        event=pl.when(seen).then(col("__event__")).otherwise(False),
        remaining=pl.when(seen).then(col("__remaining__")).otherwise(None),
    )
    return Runs(cut.data, ends.drop("__event__", "__remaining__"), cut.roles, cut.regimes, cut.unit)
