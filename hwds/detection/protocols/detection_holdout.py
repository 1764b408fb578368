"""DetectionHoldout: a classifier learns from some rows, and others that were held out are scored
once.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from polars import DataFrame, Series

from hwds.detection.models.base import Classifier, FittedClassifier
from hwds.detection.predictions import row_predictions
from hwds.detection.protocols.base import (
    Detection,
    days_since,
    parts_in_time,
    parts_of_groups,
    rows_arrived_by,
    with_labels_turned,
    without_truth,
)
from hwds.detection.rows import RowContext
from hwds.evaluation.protocol import Cell, RunContext
from hwds.evaluation.row_folds import (
    INSTANT,
    HeldOut,
    Moment,
    RowHoldout,
    as_known,
    corrupt_rows,
    groups_of_rows,
    row_arrivals,
)
from hwds.frames.table import Table


class DetectionHoldout(RowHoldout, Detection):
    """Hold out the last rows, or a share of the groups where rows have no time, and score a
    classifier on them.

    Learners see a label only if it had arrived by the cutoff (role `label_time`; without it, the
    end of the row's day plus the delay). `prequential` scores many windows, and `grouped_kfold`
    each group once: they say more of chance than one cut.
    """

    def evaluate_cell(
        self, model: Classifier, frame: Table, cell: Cell, context: RunContext
    ) -> DataFrame:
        """Learn from the rows before the cutoff, or from other groups.

        Score those that are held out.
        """
        row_context = RowContext.of(context)
        parts = self.parts(frame, row_context)
        rows = self.fit_and_score(model, parts, parts, frame, row_context)
        cutoff = pl.lit(cell.fold.name).alias("cutoff")
        return pl.concat(
            part.with_columns(self._days(parts[name], frame), cutoff) for name, part in rows.items()
        )

    def parts(self, frame: Table, context: RowContext, *, tests: bool = True) -> dict[str, Table]:
        """Return the rows of each part with their inputs.

        Args:
            frame: All rows.
            context: The context, which computes the inputs.
            tests: Whether rows are held out; else all are learned from.
        """
        if not frame.roles.get("time"):
            part = self.part_of_rows(frame, tests=tests)
            return parts_of_groups(without_truth(frame, self.delay_days), part, context)
        edges = self.edges(frame, tests=tests)
        cutoff, end = edges["test"]
        return parts_in_time(
            as_known(frame, end - INSTANT, self.delay_days), edges, cutoff, context
        )

    def _days(self, rows: Table, frame: Table) -> pl.Expr | Series:
        timed = frame.roles.get("time")
        return (
            days_since(rows, self.edges(frame)["test"][0])
            if timed
            else pl.lit(0, pl.Int32).alias("day")
        )

    def check_models(self, models: Mapping[str, Classifier], frame: Table) -> None:
        """Refuse labels of one class, and a model whose calibration has no rows."""
        super().check_models(models, frame)
        self.require_calibration(models, "calibrate_share")

    def corrupt_after(
        self, frame: Table, cutoff: Moment | HeldOut, rng: np.random.Generator
    ) -> Table:
        """Return the table with random values in all that arrives after an instant, or with flipped
        labels in the held-out groups.
        """
        if isinstance(cutoff, Moment):
            return corrupt_rows(frame, cutoff.at, self.delay_days, rng)
        return with_labels_turned(frame, groups_of_rows(frame), self.part_of_rows(frame) == "test")

    def predictions_at(self, rows: DataFrame, cutoff: Moment | HeldOut, frame: Table) -> DataFrame:
        """Return the predictions of rows that had arrived by an instant, or of all, without their
        outcomes.
        """
        early = rows_arrived_by(rows, frame, cutoff.at) if isinstance(cutoff, Moment) else rows
        return self.predictions_only(early, reasons=self.explained >= len(frame.data))

    def fit_all(self, model: Classifier, frame: Table, context: RunContext) -> FittedClassifier:
        """Return the model fitted on all rows whose labels had time to arrive."""
        row_context = RowContext.of(context)
        return self.fit_model(model, self.parts(frame, row_context, tests=False), row_context)

    def predict_new(self, fitted: FittedClassifier, frame: Table, context: RunContext) -> DataFrame:
        """Return a saved model's predictions of rows that it cannot have learned from: the
        youngest, or unlabelled ones.
        """
        known = without_truth(frame, self.delay_days)
        if frame.roles.get("time"):
            begin = (
                self.edges(frame, tests=False)["decide"][1]
                if self.delay_days
                else self.edges(frame)["test"][0]
            )
            new = row_arrivals(known) >= begin
        else:
            new = known.column("label").is_null()
        new_rows = known.with_inputs(RowContext.of(context).columns_of(known)).filter(new)
        return row_predictions(fitted, new_rows, frame, "new", self.explained)
