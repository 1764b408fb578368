"""K folds of groups: rows of one customer, or of one beneficial owner, never lie on both sides of a
cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl
from polars import DataFrame

from hwds.core.errors import ConfigError
from hwds.detection.models.base import Classifier, FittedClassifier
from hwds.detection.predictions import row_predictions
from hwds.detection.protocols.base import (
    Detection,
    parts_of_groups,
    with_labels_turned,
    without_truth,
)
from hwds.detection.rows import RowContext
from hwds.evaluation.protocol import Cell, RunContext, Tunable, TuningSplit
from hwds.evaluation.row_folds import APART, GroupKFold, HeldOut, groups_of_rows
from hwds.frames.table import Table


class GroupedKFold(GroupKFold, Detection, Tunable):
    """Cut the groups of a table into folds, and score each by models that have seen none of its
    groups.

    Rows of one group stay together: the role `group` (a beneficial owner), or `entity` (a
    customer). The fold of a group follows from its name alone, so that more rows move none.
    Training, early stopping, calibration, a decision's thresholds and the test have different
    groups, and features see labels of training groups only. Data with times is refused unless
    `ignore_time` says that later rows may predict earlier ones: `prequential` is for such data.

    Example:
        python -m hwds dataset=fraud_handbook model=classify/logistic protocol=grouped_kfold \
            protocol.ignore_time=true
    """

    def why_not_tunable(self) -> str:
        """Return why trials have no groups to choose on, where none are set apart; else empty."""
        return (
            ""
            if self.apart
            else "tests every group, of which protocol.apart=0.3 would keep some to choose on"
        )

    def tuning_split(self, frame: Table, windows: int) -> TuningSplit:
        """Return the groups that are set apart, in folds of their own; without the truth."""
        few = self.stop_folds + self.calibrate_folds + self.decide_folds + 2
        cut = replace(
            self, apart=0.0, folds=max(windows, few), segments=(), explained=0, importance_rows=0
        )
        rows = without_truth(frame, self.delay_days).filter(self.fold_of_rows(frame) == APART)
        return TuningSplit(cut, rows, cut.split(rows)[:windows])

    def evaluate_cell(
        self, model: Classifier, frame: Table, cell: Cell, context: RunContext
    ) -> DataFrame:
        """Learn from the groups of the other folds; score those of the decision and the test."""
        row_context = RowContext.of(context)
        parts = self.parts(frame, cell.fold.index, row_context)
        rows = list(self.fit_and_score(model, parts, parts, frame, row_context).values())
        columns = (pl.lit(0, pl.Int32).alias("day"), pl.lit(cell.fold.name).alias("cutoff"))
        return pl.concat(rows).with_columns(columns) if rows else DataFrame()

    def parts(self, frame: Table, fold: int | None, context: RowContext) -> dict[str, Table]:
        """Return the rows of each part with their inputs, which were made of labels of training
        groups alone.

        Args:
            frame: All rows.
            fold: The one that is tested; None tests no group, for the fit on all of them.
            context: The context, which computes the inputs.
        """
        return parts_of_groups(
            without_truth(frame, self.delay_days), self.part_of_rows(frame, fold), context
        )

    def check_models(self, models: Mapping[str, Classifier], frame: Table) -> None:
        """Refuse labels of one class, and a model whose calibration has no fold."""
        super().check_models(models, frame)
        for model in models.values():
            if model.refit != "always":
                raise ConfigError(
                    f"model.refit: must be always for protocol '{self.name}', whose folds have no "
                    f"order, got {model.refit}."
                )
            if model.needs_calibration() and not self.calibrate_folds:
                raise ConfigError(
                    f"protocol.calibrate_folds: must be > 0 for '{model.name}' "
                    f"(calibration={model.calibration}), got 0."
                )

    def corrupt_after(self, frame: Table, cutoff: HeldOut, rng: np.random.Generator) -> Table:
        """Return the table with flipped labels in all rows of the groups that a fold tests,
        wherever a cut puts the others.
        """
        return with_labels_turned(
            frame, groups_of_rows(frame), self.fold_of_rows(frame) == cutoff.fold
        )

    def predictions_at(self, rows: DataFrame, cutoff: HeldOut, frame: Table) -> DataFrame:
        """Return the predictions of the rows without their outcomes."""
        return self.predictions_only(rows)

    def fit_all(self, model: Classifier, frame: Table, context: RunContext) -> FittedClassifier:
        """Return the model fitted on all groups but those that stop and calibrate it."""
        row_context = RowContext.of(context)
        return self.fit_model(model, self.parts(frame, None, row_context), row_context)

    def predict_new(self, fitted: FittedClassifier, frame: Table, context: RunContext) -> DataFrame:
        """Return a saved model's predictions of the rows without a label."""
        known = without_truth(frame, self.delay_days)
        new_rows = known.with_inputs(RowContext.of(context).columns_of(known)).filter(
            known.column("label").is_null()
        )
        return row_predictions(fitted, new_rows, frame, "new", self.explained)
