"""What all protocols share that ask a classifier of rows: their metrics, segments and checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl

from hwds.context import Context
from hwds.errors import ConfigError, DataError, nearest
from hwds.frames.table import ROW_ID, Table
from hwds.metrics.base import Measure
from hwds.models.classify.base import Classifier, FittedClassifier
from hwds.protocols.base import Evaluation, Score
from hwds.protocols.detection_scores import detection_measures, scores_of
from hwds.recipe import Count, Small, Whole

Unlabelled = Literal["exclude", "negative"]


class Detection(Evaluation[Classifier, Table]):
    """Ask how suspicious rows are.

    Attributes:
        headline: The metric that orders the leaderboard.
        unlabelled: What an old row without a label is to learners: left out, or `negative`, an honest one.
        card_k: Entities a day that can be looked at, for `card_precision@k`.
        precision: The precision at which recall is told.
        recall: The recall at which precision is told.
        wrong_block: What it costs to block an honest row, in the unit of `amount`, for `expected_cost`.
        resamples: Of the bootstraps by entity and by day.
        explained: Rows of each window, those of the highest scores, that get reasons.
        segments: Columns whose values are scored apart too.
    """

    accepts: ClassVar[type] = Classifier
    cuts: ClassVar[type] = Table
    task: ClassVar[str] = "detection"
    keys: ClassVar[tuple[str, ...]] = ("part", ROW_ID)
    unit: ClassVar[str] = ROW_ID
    fits_all: ClassVar[bool] = True
    outside_cells: ClassVar[tuple[str, ...]] = (
        *Evaluation.outside_cells,
        "card_k",
        "precision",
        "recall",
        "wrong_block",
        "resamples",
    )

    headline: str = "aucpr"
    unlabelled: Unlabelled = "exclude"
    card_k: Count = 100
    precision: float = 0.9
    recall: float = 0.5
    wrong_block: float = 100.0
    resamples: Annotated[Count, Small(50)] = 200
    explained: Annotated[Whole, Small(20)] = 200

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """All metrics of the test rows, against the labels and, where a simulator tells it, against the truth."""
        return scores_of(rows.filter(pl.col("part") == "test"), self)

    def kept(self, rows: pl.DataFrame) -> pl.DataFrame:
        """All rows, those of the deciding window too, which a decision learns its thresholds from."""
        return rows

    def measures(self, frame: Table) -> Sequence[Measure]:
        """What each metric says of itself."""
        return detection_measures(self, frame.unit)

    def check_names(self) -> None:
        """Refuse a headline that is none of the task's metrics."""
        known = [measure.name for measure in detection_measures(self, "")]
        if self.headline not in known:
            raise ConfigError(f"protocol.headline: no metric '{self.headline}'{nearest(self.headline, known)}")

    def check_features(self, features: Any, frame: Table) -> None:
        """Refuse features that this table has no columns for."""
        features.check(frame)

    def check_models(self, models: Mapping[str, Classifier], frame: Table) -> None:
        """Refuse a table without two kinds of labels.

        Raises:
            DataError: The label is no 0 or 1, or only one of them.
        """
        check_labels(frame)

    def labels(self, frame: Table, column: str) -> pl.DataFrame:
        """Any column of the table by row."""
        if column not in frame.data.columns:
            raise ConfigError(f"protocol.segments: no column '{column}'{nearest(column, frame.data.columns)}")
        return frame.data.select(ROW_ID, pl.col(column).alias("segment"))

    def settled_labels(self, rows: Table) -> Table:
        """The rows that learners are given: those of unknown labels left out of none, or called honest."""
        if self.unlabelled == "exclude":
            return rows
        label = rows.name("label")
        return Table(rows.data.with_columns(pl.col(label).fill_null(0.0)), rows.roles, rows.unit)

    def fitted(self, model: Classifier, parts: Mapping[str, Table], context: Context) -> FittedClassifier:
        """A model fitted on the windows that it may learn from."""
        given = {name: self.settled_labels(parts[name]) for name in ("train", "stop", "calibrate")}
        return model.fit(given["train"], stop=given["stop"], calibrate=given["calibrate"], context=context)


def check_labels(frame: Table) -> None:
    """Refuse labels that are no 0 and 1.

    Raises:
        DataError: With the value and its row, or the one class that is there.
    """
    label = frame.column("label")
    if not (label.dtype.is_numeric() or label.dtype == pl.Boolean):
        raise DataError(f"dataset.roles.label: column '{label.name}' must hold 0 and 1, row 1 has {label[0]!r}.")
    values = label.cast(pl.Float64)
    bad = (~values.is_in([0.0, 1.0])).fill_null(False).arg_true()
    if len(bad):
        raise DataError(f"dataset.roles.label: must be 0 or 1, row {bad[0] + 1} has {label[bad[0]]}.")
    kinds = np.unique(values.drop_nulls().to_numpy())
    if len(kinds) < 2:
        seen = f"only {kinds[0]:g}" if len(kinds) else "no label"
        raise DataError(f"dataset.roles.label: column '{label.name}' needs rows of 0 and of 1, it has {seen}.")
