"""Classifier: the recipe of a model that says how likely a row is to bear the label, and what it fits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, Self

import numpy as np
from annotated_types import Le

from hwds.context import Context
from hwds.errors import DataError
from hwds.frames.table import Table
from hwds.models.classify.calibration import Calibrator, Kind, calibrator, uncalibrated
from hwds.models.classify.labels import known, labels_of, standing
from hwds.recipe import Positive, Recipe, Refit
from hwds.stored import load_fitted, save_fitted


@dataclass(frozen=True, eq=False)
class Judged:
    """What a fitted classifier says of rows.

    Attributes:
        score: The higher the more suspicious, shape (n,): it orders rows, and means no more than that.
        probability: Of the label being 1, shape (n,); None where no labels were learned from.
        p_value: The share of held-out normal rows that are at least as odd, shape (n,); None where none were held out.
        reach: Where the probability lies (95 %) by what labels tell of it, shape (2, n); None where it is taken for certain.
    """

    score: np.ndarray
    probability: np.ndarray | None = None
    p_value: np.ndarray | None = None
    reach: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each input adds to a row's score: `base + values.sum(axis=1)` is the score.

    Attributes:
        names: The inputs, as many as columns of `values`.
        base: The score of a row of which nothing is known.
        values: Shape (n, inputs).
    """

    names: tuple[str, ...]
    base: float
    values: np.ndarray


class Scorer(Protocol):
    """What a classifier's `learn` returns: a new object that orders rows.

    One that reads rows by `Inputs` alone is asked about events as they arrive without a table of them (`FewRows`). What it says
    of a row must not depend on the rows beside it, to the bit: a matrix product of many rows has other last bits than of one.

    One whose scores are probabilities (they, not their log odds, are the sum of what the inputs add) says so by an attribute of
    its class, `chance = True`.
    """

    def score(self, rows: Table) -> np.ndarray:
        """The log odds of the label being 1, as far as it knows them; of a detector, how odd a row is. Shape (n,)."""

    def explain(self, rows: Table) -> Contributions:
        """What each input adds to the score of each row."""

    def save(self, folder: Path) -> None:
        """Write it without pickle."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote, with the same scores in a fresh process."""


class Classifier(Recipe):
    """A model of a binary label.

    A model implements `learn`; calibration is made here, the same for all, on a window that is later than what was learned
    from and earlier than what is scored.

    Attributes:
        calibration: From scores to probabilities: `none` takes the scores for log odds; `platt` (a line in the log odds),
            `bayes` (the same where labels are few: the mean of all lines that they leave open, with its reach), `beta` (Kull,
            Silva Filho and Flach 2017) and `isotonic` are fitted on the calibration window. Where labels were looked for with
            known chances (role `label_propensity`), these rows alone count there, each for as many as it stands for.
        sensitivity: The share of positive rows that are found to be so when they are looked at, as second looks at a sample
            tell: probabilities are those of being positive, not of being found. They then lie above the labels by as much, and
            so do metrics of calibration against labels. 1 takes labels at their word. See `calibration.calibrator`.
        refit: When a protocol with several cutoffs fits it: `always`, at each; `never`, at the first alone; or `every_K`.
            Rivals that are alike but for that tell what fitting anew is worth.
    """

    uses_features = True
    supervised: ClassVar[bool] = True
    """Whether it learns from labels; what does not has no probabilities unless it is calibrated."""

    calibration: Kind = "none"
    sensitivity: Annotated[Positive, Le(1)] = 1.0
    refit: Refit = "always"

    def learn(self, train: Table, *, stop: Table, context: Context) -> Any:
        """A scorer (`Scorer`) learned from the rows of `train`.

        The label's column is 1.0, 0.0 or null (not known by then). `stop` has later rows for early stopping; it may be empty.
        """
        raise NotImplementedError(f"{type(self).__name__}.learn")

    def fit(self, train: Table, *, stop: Table, calibrate: Table, context: Context) -> FittedClassifier:
        """Learn from `train`, stop early by `stop`, calibrate by `calibrate`: three windows in time order.

        Raises:
            DataError: There is nothing to learn from, or to calibrate by.
        """
        scorer = self.learn(train, stop=stop, context=context)
        likely = self.supervised or self.calibration != "none"
        return FittedClassifier(scorer, self.calibrated(scorer, calibrate), likely, np.zeros(0))

    def asks_calibration(self) -> bool:
        """Whether it needs the labels of a window for calibration."""
        return self.calibration != "none"

    def calibrated(self, scorer: Any, calibrate: Table) -> Calibrator:
        """What the scores mean, by the known labels of a window.

        Raises:
            DataError: It has none, or of one kind.
        """
        chance = says_chance(scorer)
        if self.calibration == "none":
            return uncalibrated(chance, self.sensitivity)
        rows = known(calibrate)
        if rows.data.is_empty():
            raise DataError(f"model.calibration: '{self.calibration}' needs labels in a window to calibrate by.")
        rows, weight = standing(rows)
        score, label = scorer.score(rows), labels_of(rows)
        return calibrator(self.calibration, score, label, chance=chance, weight=weight, sensitivity=self.sensitivity)


def bare(member: Classifier, whole: str) -> Classifier:
    """A member that leaves to the whole what is the whole's.

    Raises:
        ValueError: It calibrates by itself, or is fitted when it likes.
    """
    own: dict[str, Any] = {"calibration": "none", "sensitivity": 1.0, "refit": "always"}
    for option, value in own.items():
        if getattr(member, option) != value:
            raise ValueError(f"'{member.name}' must have {option} {value!r}; that of the {whole} is what counts")
    return member


def says_chance(scorer: Any) -> bool:
    """Whether the scores are probabilities, not log odds."""
    return bool(getattr(scorer, "chance", False))


@dataclass(frozen=True, eq=False)
class FittedClassifier:
    """A scorer, and what its scores mean.

    Attributes:
        scorer: Orders rows.
        calibrator: From scores to probabilities.
        likely: Whether there are probabilities.
        normals: Scores of held-out normal rows, rising; empty where none were held out.
    """

    scorer: Any
    calibrator: Calibrator
    likely: bool
    normals: np.ndarray

    def judge(self, rows: Table) -> Judged:
        """Scores, probabilities and p-values of rows."""
        return self.judged(self.scorer.score(rows))

    def judged(self, score: np.ndarray) -> Judged:
        """The same of scores that are there already, shape (n,)."""
        above = len(self.normals) - np.searchsorted(self.normals, score, side="left")
        p_value = (1 + above) / (1 + len(self.normals)) if len(self.normals) else None
        if not self.likely:
            return Judged(score, None, p_value)
        return Judged(score, self.calibrator.probability(score), p_value, self.calibrator.reach(score))

    def explain(self, rows: Table) -> Contributions:
        """What each input adds to the score of each row."""
        contributions: Contributions = self.scorer.explain(rows)
        return contributions

    def save(self, folder: Path) -> None:
        """Without pickle."""
        save_fitted(self.scorer, folder / "scorer")
        save_fitted(self.calibrator, folder / "calibrator")
        np.savez(folder / "judging.npz", normals=self.normals, likely=np.array(self.likely))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        with np.load(folder / "judging.npz", allow_pickle=False) as kept:
            normals, likely = kept["normals"], bool(kept["likely"])
        return cls(load_fitted(folder / "scorer"), load_fitted(folder / "calibrator"), likely, normals)
