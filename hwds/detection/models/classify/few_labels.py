"""A detector that goes over into a classifier as labels come back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AfterValidator

from hwds.core.recipe import Depth, Positive, Small, Width
from hwds.core.serialization import Serializable
from hwds.detection.inputs import ModelInputs
from hwds.detection.models.base import Classifier, Contributions, check_member, normal_rows
from hwds.detection.rows import RowContext, labels_of
from hwds.detection.trees import BoosterTrees
from hwds.evaluation.trees import load_booster
from hwds.frames.table import RowReader, Table


def _check_detector(member: Classifier) -> Classifier:
    if member.supervised:
        raise ValueError("must be a detector, which learns from no labels")
    return check_member(member, "wrapper")


class FewLabels(Classifier):
    """A detector's score until labels of both kinds exist, then trees on that score and the inputs.

    The trees learn from the labelled rows, and from all others as if they had label 0. All others
    together have `unlabelled_weight` times the weight of the labelled rows. They show which rows
    are usual, and the few labels show which unusual rows are meant. With many labels it is a
    classifier that knows what is odd. Reviewed rows are chosen, not drawn: what comes out orders
    rows and is no probability unless `calibration` makes it one by labels of a fair sample.

    Attributes:
        member: The detector whose score counts while there are no labels, and is an input of the
            trees after that.
        trees: The number of trees.
        depth: The levels of a tree.
        rate: The share of each tree that is added.
        unlabelled_weight: The weight of all rows without a label together, in those of all labelled
            rows.
    """

    imports = ("xgboost",)
    search_space: ClassVar = {"unlabelled_weight": {"loguniform": [0.3, 10.0]}}
    supervised = False

    member: Annotated[Classifier, AfterValidator(_check_detector)]
    trees: Annotated[Width, Small(20)] = 60
    depth: Depth = 3
    rate: Positive = 0.1
    unlabelled_weight: Positive = 1.0

    def learn(self, train: Table, *, stop: Table, context: RowContext) -> Any:
        """Learn the detector from rows that are not known to bear the label.

        Where labels are of both kinds, the trees.
        """
        import xgboost

        detector = context.learned(self.member, normal_rows(train), normal_rows(stop))
        label = labels_of(train)
        known = np.isfinite(label)
        if not (label[known] == 1).any() or not (label[known] == 0).any():
            return detector
        inputs = ModelInputs.learn(train)
        weight = np.where(known, 1.0, self.unlabelled_weight * known.sum() / max((~known).sum(), 1))
        matrix = _matrix(inputs, detector, train)
        data = xgboost.QuantileDMatrix(
            matrix, np.where(known, label, 0.0), weight=weight, nthread=context.cpus, max_bin=1024
        )
        settings = {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "max_depth": self.depth,
            "eta": self.rate,
            "min_child_weight": 0.1,
            "colsample_bytree": 0.5,
            "subsample": 0.8,
            "max_bin": 1024,
            "base_score": 0.1,
            "seed": context.seed_for("few labels"),
            "nthread": context.cpus,
        }
        booster = xgboost.train(settings, data, self.trees)
        return FewLabelsScorer(detector, inputs, bytes(booster.save_raw("ubj")))


@dataclass(frozen=True, eq=False)
class FewLabelsScorer(Serializable):
    """A detector, and trees on its score and the inputs.

    Attributes:
        detector: The scorer of the detector.
        inputs: The other inputs of the trees.
        booster: The booster in XGBoost's own format (UBJSON).
    """

    detector: Any
    inputs: ModelInputs
    booster: bytes

    def score(self, rows: RowReader) -> np.ndarray:
        """Return the trees' log odds."""
        return self._trees.margins(_matrix(self.inputs, self.detector, rows)).astype(float)

    def explain(self, rows: RowReader) -> Contributions:
        """Return exact Shapley values.

        That of the detector's score goes to its inputs as they make it up.
        """
        trees = self._trees
        shares = trees.shares(_matrix(self.inputs, self.detector, rows))
        detected = self.detector.explain(rows)
        names = self.inputs.plain
        values = shares[:, : len(names)].copy()
        places = {name: place for place, name in enumerate(names)}
        parts = np.abs(detected.values)
        whole = parts.sum(axis=1, keepdims=True)
        parts = np.where(whole > 0, parts / np.where(whole > 0, whole, 1.0), 1 / parts.shape[1])
        base = float(trees.base) + trees.rest
        for place, name in enumerate(detected.names):
            values[:, places[name]] += shares[:, -1] * parts[:, place]
        return Contributions(names, base, values)

    @cached_property
    def _trees(self) -> BoosterTrees:
        return BoosterTrees.of(load_booster(self.booster, 1), 1)


def _matrix(inputs: ModelInputs, detector: Any, rows: RowReader) -> np.ndarray:
    """Return numbers, codes of texts by how frequent they are, and the detector's score, shape (n,
    inputs + 1).
    """
    return np.column_stack([inputs.coded(rows), detector.score(rows)])
