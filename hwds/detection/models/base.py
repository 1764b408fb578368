"""Classifier and Detector: recipes of models of a binary label, and what they fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Protocol, Self

import numpy as np
import polars as pl
from annotated_types import Le
from numpy import ndarray

from hwds.core.errors import DataError
from hwds.core.recipe import Level, Positive, Recipe, Refit
from hwds.core.serialization import Serializable
from hwds.detection.inputs import UsualValues
from hwds.detection.rows import RowContext, labelled_rows, labels_of, representative_rows
from hwds.detection.rules import Rule
from hwds.evaluation.trees import latest_share
from hwds.frames.table import ROW_ID, RowReader, RowScores, Table, check_frame
from hwds.stats.binary_labels import Calibrator, CalibratorKind, fit_calibrator, identity_calibrator

# Classifier: the recipe of a model of a binary label, and what it fits.

FEW_TO_STOP_BY = 50
"""Positive rows below which average precision, and so the round with the best of it, is largely
chance: of 15, a single row that moves from the middle to the top changes it by some .03.
"""


REST = "rest"
"""The name of what a score has that its inputs do not add."""


@dataclass(frozen=True, eq=False)
class Contributions:
    """Contributions of inputs to a row's score: `base + values.sum(axis=1)` is the score.

    Attributes:
        names: The inputs, as many as columns of `values`.
        base: The score of a row of which nothing is known.
        values: Shape (n, inputs).
        records: The record of a rule in words, by a name that is no column of the rows.
    """

    names: tuple[str, ...]
    base: float
    values: ndarray
    records: Mapping[str, str] = field(default_factory=dict)


class Scorer(Protocol):
    """The object that a classifier's `learn` returns: it orders rows.

    One that reads rows by `Inputs` alone scores events as they arrive without a table of them
    (`RowBatch`). What it says of a row must not depend on the rows beside it, to the bit: a matrix
    product of many rows has other last bits than of one.

    One whose scores are probabilities (they, not their log odds, are the sum of what the inputs
    add) says so by an attribute of its class, `chance = True`.
    """

    def score(self, rows: RowReader) -> ndarray:
        """Return the log odds of the label being 1.

        For a detector, how anomalous each row is. Shape (n,).
        """

    def explain(self, rows: RowReader) -> Contributions:
        """Return the contribution of each input to the score of each row."""

    def save(self, folder: Path) -> None:
        """Write the scorer without pickle."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the scorer that `save` wrote, with the same scores in a fresh process."""


class Classifier(Recipe):
    """A model of a binary label.

    A model implements `learn`; calibration is made here, the same for all, on a window that is
    later than what was learned from and earlier than what is scored.

    Attributes:
        calibration: From scores to probabilities: `none` takes the scores for log odds; `platt` (a
            line in the log odds), `bayes` (the same for few labels: the mean over the posterior of
            lines, with its spread), `beta` (Kull, Silva Filho and Flach 2017) and `isotonic` are
            fitted on the calibration window. If labels were looked for with known chances (role
            `label_propensity`), only these rows count there, each weighted by 1 / chance.
        sensitivity: The share of positive rows that a look finds, known from second looks at a
            sample. Probabilities are then of being positive, not of being found. They then lie
            above the labels by as much, and so do metrics of calibration against labels. 1 takes
            labels at their word. See `calibration.calibrator`.
        refit: When a protocol with several cutoffs fits it: `always`, at each; `never`, at the
            first alone; or `every_K`. Rivals that differ only in this setting show the value of
            refitting.
    """

    uses_features = True
    supervised = True
    """True where it learns from labels; a model that does not has no probabilities unless it is
    calibrated.
    """

    calibration: CalibratorKind = "none"
    sensitivity: Annotated[Positive, Le(1)] = 1.0
    refit: Refit = "always"

    @property
    def stops_by_ranking(self) -> bool:
        """True where it ends learning by how well it ranks the rows of a later window."""
        return False

    @property
    def written_rules(self) -> tuple[Rule, ...]:
        """The rules about inputs by name that it was given; none of most models."""
        return ()

    def learn(self, train: Table, *, stop: Table, context: RowContext) -> Any:
        """Return a scorer (`Scorer`) learned from the rows of `train`.

        The label's column is 1.0, 0.0 or null (not known by then). `stop` has later rows for early
        stopping; it may be empty.
        """
        raise NotImplementedError(f"{type(self).__name__}.learn")

    def fit(
        self,
        train: Table,
        *,
        stop: Table | None = None,
        calibrate: Table | None = None,
        context: RowContext | None = None,
    ) -> FittedClassifier:
        """Learn from `train`, stop early by `stop`, calibrate by `calibrate`: three windows in time
        order.

        In Python and without a run, `train` is enough for a model that calibrates nothing.

        Args:
            train: Rows with labels, and their inputs (role `covariate`).
            stop: Later rows for early stopping; without them a model takes all its rounds or
                epochs.
            calibrate: The images of other boards, for the temperature and the threshold.
            context: Random streams, threads and features; seed 0 and one thread where it is not
                given.

        Raises:
            ConfigError: The frame is no table.
            DataError: There is nothing to learn from, or to calibrate by.

        Example:
            >>> hwds.detection.Logistic().fit(table).predict(table)  # doctest: +SKIP
        """
        check_frame("fit", train, Table, self)
        none = train.filter(np.zeros(train.height, bool))
        fitted = self.fit_windows(
            train, stop=stop or none, calibrate=calibrate or none, context=context or RowContext(0)
        )
        return replace(fitted, usual=UsualValues.learn(train))

    def fit_windows(
        self, train: Table, *, stop: Table, calibrate: Table, context: RowContext
    ) -> FittedClassifier:
        """Do what `fit` says, for windows that may be empty.

        Raises:
            DataError: There is nothing to learn from, or to calibrate by.
        """
        scorer = self.learn(train, stop=stop, context=context)
        likely = self.supervised or self.calibration != "none"
        return FittedClassifier(scorer, self.calibrated(scorer, calibrate), likely, np.zeros(0))

    def needs_calibration(self) -> bool:
        """Return True where it needs the labels of a window for calibration."""
        return self.calibration != "none"

    def calibrated(self, scorer: Any, calibrate: Table) -> Calibrator:
        """Fit the map from scores to probabilities on the known labels of a window.

        Raises:
            DataError: It has none, or of one kind.
        """
        chance = scores_are_probabilities(scorer)
        if self.calibration == "none":
            return identity_calibrator(chance, self.sensitivity)
        rows = labelled_rows(calibrate)
        if rows.data.is_empty():
            raise DataError(
                f"model.calibration: '{self.calibration}' needs labels in a window to calibrate by."
            )
        rows, weight = representative_rows(rows)
        score, label = scorer.score(rows), labels_of(rows)
        return fit_calibrator(
            self.calibration,
            score,
            label,
            chance=chance,
            weight=weight,
            sensitivity=self.sensitivity,
        )


def check_member(member: Classifier, whole: str) -> Classifier:
    """Return a member of a stack or a wrapper, which may not set options that belong to the whole.

    Raises:
        ValueError: It calibrates by itself, or is fitted when it likes.
    """
    reserved: dict[str, Any] = {"calibration": "none", "sensitivity": 1.0, "refit": "always"}
    for option, value in reserved.items():
        if getattr(member, option) != value:
            raise ValueError(
                f"'{member.name}' must have {option} {value!r}; only the {whole}'s setting counts"
            )
    return member


def scores_are_probabilities(scorer: Any) -> bool:
    """Return True where the scores are probabilities, not log odds."""
    return bool(getattr(scorer, "chance", False))


@dataclass(frozen=True, eq=False)
class FittedClassifier(Serializable):
    """A scorer, and the map from its scores to probabilities.

    Attributes:
        scorer: The scorer, which orders rows.
        calibrator: The map from scores to probabilities.
        likely: True where there are probabilities.
        normals: Scores of held-out normal rows, rising; empty where none were held out.
        usual: Quantiles of the inputs among the rows that it learned from, by which reasons say
            what is high or low.
    """

    scorer: Any
    calibrator: Calibrator
    likely: bool
    normals: ndarray
    usual: UsualValues = field(default_factory=UsualValues.unknown)

    def __repr__(self) -> str:
        return (
            f"FittedClassifier({type(self.scorer).__name__}, calibration={self.calibrator.kind!r})"
        )

    def score_rows(self, rows: RowReader) -> RowScores:
        """Return scores, probabilities and p-values of rows."""
        return self.from_scores(self.scorer.score(rows))

    def from_scores(self, score: ndarray) -> RowScores:
        """Return the same for scores that are known already, shape (n,)."""
        above = len(self.normals) - np.searchsorted(self.normals, score, side="left")
        p_value = (1 + above) / (1 + len(self.normals)) if len(self.normals) else None
        if not self.likely:
            return RowScores(score, None, p_value)
        return RowScores(
            score, self.calibrator.probability(score), p_value, self.calibrator.interval(score)
        )

    def predict(self, rows: Table) -> pl.DataFrame:
        """Return `row_id`, `score`, `probability` and `p_value` of rows.

        The last two are null where there are none.
        """
        scored = self.score_rows(rows)
        columns = {
            "score": scored.score,
            "probability": scored.probability,
            "p_value": scored.p_value,
        }
        return rows.data.select(ROW_ID).with_columns(
            pl.lit(None, pl.Float64).alias(name)
            if column is None
            else pl.Series(name, column, nan_to_null=True)
            for name, column in columns.items()
        )

    def explain(self, rows: RowReader) -> Contributions:
        """Return the contribution of each input to the score of each row."""
        contributions: Contributions = self.scorer.explain(rows)
        return contributions


# Detector: the recipe of a model of how anomalous a row is, learned from rows that are not
# known to bear the label.


class Detector(Classifier):
    """A model of what is normal.

    It learns from rows that are not known to bear the label: those labelled 0 and those without a
    label, among which some that nobody has found may be. Later normal rows are held out of it:
    those of the calibration window, or else the last ones of the training window. A row's p-value
    is (1 + held-out normals at least as odd) / (1 + held-out normals): of new normals so large a
    share lies at or below any level (Vovk, Gammerman and Shafer 2005). Ones that bear the label
    unfound make it larger, not smaller.

    Attributes:
        held_out: Share of the training window's normal rows that are held out, where no window is
            for calibration.
    """

    supervised = False

    held_out: Level = 0.2

    def learn(self, train: Table, *, stop: Table, context: RowContext) -> Any:
        """Return a scorer (`Scorer`) learned from normal rows.

        Args:
            train: Normal rows alone.
            stop: Later ones for early stopping; there may be none.
            context: Streams, threads, device.
        """
        raise NotImplementedError(f"{type(self).__name__}.learn")

    def fit_windows(
        self, train: Table, *, stop: Table, calibrate: Table, context: RowContext
    ) -> FittedClassifier:
        """Learn from the normal rows of `train` but for those held out.

        Calibrate, where set, by `calibrate`.

        Raises:
            DataError: No two normal rows to learn from and to hold out, or no labels to calibrate
                by.
        """
        held_in, held_out = normal_rows(train), normal_rows(calibrate)
        if held_out.data.is_empty():
            last = latest_share(held_in, self.held_out)
            held_in, held_out = held_in.filter(~last), held_in.filter(last)
        if held_in.data.is_empty() or held_out.data.is_empty():
            raise DataError(
                "model: a detector needs normal rows (labelled 0 or not at all) to learn from and "
                "to hold out."
            )
        scorer = self.learn(held_in, stop=normal_rows(stop), context=context)
        likely = self.calibration != "none"
        return FittedClassifier(
            scorer, self.calibrated(scorer, calibrate), likely, np.sort(scorer.score(held_out))
        )


def normal_rows(rows: Table) -> Table:
    """Return the rows that are not known to bear the label."""
    return rows.filter(rows.column("label").cast(pl.Float64).ne_missing(1.0))
