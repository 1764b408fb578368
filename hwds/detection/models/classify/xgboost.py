"""Gradient-boosted trees of rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le
from numpy import ndarray
from pydantic import AfterValidator

from hwds.core.questions import Json
from hwds.core.recipe import Depth, Level, NonNegative, NonNegativeInt, Positive, Small, Width
from hwds.core.serialization import Serializable
from hwds.detection.inputs import ModelInputs
from hwds.detection.models.base import FEW_TO_STOP_BY, Classifier, Contributions
from hwds.detection.rows import RowContext, both_kinds, labelled_rows, labels_of, learnable
from hwds.detection.trees import BoosterTrees
from hwds.evaluation.cells import learning_curve
from hwds.evaluation.row_folds import hash_of
from hwds.evaluation.trees import compute_device, load_booster, observe_losses
from hwds.frames.table import ROW_ID, RowReader, Table

Part = Annotated[float, Gt(0), Le(1)]


def _not_one(folds: int) -> int:
    if folds == 1:
        raise ValueError("must be 0 or >= 2")
    return folds


class XGBoost(Classifier):
    """Gradient-boosted trees on the log loss, unweighted, stopped by average precision on a later
    window.

    Rare positives need no weight: it adds nothing to the order of rows and ruins probabilities
    (Carriero et al. 2024). If one is set all the same, the odds are divided by it (Elkan 2001; Dal
    Pozzolo et al. 2015). They do need fine bins: what sets them apart lies in the tails, which
    quantile bins lump together.

    Attributes:
        trees: The most boosting rounds.
        patience: Growing stops after this many rounds without a better average precision on the
            stopping window. 0 always grows `trees`; so does a window without labels of both kinds.
        folds: A stopping window of fewer than 50 positive rows ranks largely by chance. Rounds are
            then chosen by cross-validation over this many folds of all labelled rows, cut by
            entity, with the least log loss in the left-out fold. All labelled rows are learned from
            then; 0 stops by that window all the same.
        depth: The levels of a tree.
        rate: The share of each tree that is added.
        leaf_weight: The least sum of p(1 - p) in a leaf; of one row it is .25 at even odds and
            about p where p is small.
        row_share: The share of the rows that each tree sees.
        column_share: The share of the inputs that each tree sees.
        bins: The bins of an input.
        weight: The weight of a positive row against a negative one.
        start: The probability before the first tree; None takes the share of positives.
    """

    imports = ("xgboost",)
    search_space: ClassVar = {
        "depth": {"randint": [2, 9]},
        "rate": {"loguniform": [0.01, 0.3]},
        "leaf_weight": {"loguniform": [0.05, 20.0]},
        "row_share": {"uniform": [0.4, 1.0]},
        "column_share": {"uniform": [0.3, 1.0]},
    }

    trees: Annotated[Width, Small(30)] = 400
    patience: NonNegativeInt = 40
    folds: Annotated[int, Ge(0), Le(100), AfterValidator(_not_one)] = 5
    depth: Depth = 4
    rate: Positive = 0.05
    leaf_weight: NonNegative = 1.0
    row_share: Part = 1.0
    column_share: Part = 1.0
    bins: Annotated[int, Ge(2), Le(65_536)] = 4096
    weight: Positive = 1.0
    start: Level | None = None

    @property
    def stops_by_ranking(self) -> bool:
        """True with patience."""
        return self.patience > 0

    def learn(self, train: Table, *, stop: Table, context: RowContext) -> BoosterScorer:
        """Grow trees on the rows of known labels.

        Raises:
            DataError: They are of one kind.
        """
        import xgboost

        rows = learnable(train)
        if (
            self.folds
            and self.patience
            and labelled_rows(stop).height > 0
            and (stop.column("label").cast(pl.Float64) == 1).sum() < FEW_TO_STOP_BY
        ):
            return self._fit_across_folds(rows, labelled_rows(stop), context)
        inputs, label = ModelInputs.learn(rows), labels_of(rows)
        given = self._matrix(inputs, rows, label, context.cpus)
        stopping: Json = {}
        if self.patience and both_kinds(stop):
            later = labelled_rows(stop)
            stopping = {
                "evals": [
                    (self._matrix(inputs, later, labels_of(later), context.cpus, given), "stop")
                ],
                "callbacks": [
                    xgboost.callback.EarlyStopping(
                        rounds=self.patience, maximize=True, save_best=True
                    )
                ],
                "verbose_eval": False,
            }
        options = observe_losses(stopping, given, learning_curve("booster", "round"))
        booster = xgboost.train(self._settings(context), given, self.trees, **options)
        return BoosterScorer(inputs, bytes(booster.save_raw("ubj")), float(np.log(self.weight)))

    def _fit_across_folds(self, train: Table, stop: Table, context: RowContext) -> BoosterScorer:
        """Grow as many trees as lose least on held-out folds, on all labelled rows."""
        import xgboost

        rows = replace(train, data=pl.concat([train.data, stop.data]))
        inputs, label = ModelInputs.learn(rows), labels_of(rows)
        data = xgboost.DMatrix(inputs.coded(rows), label, nthread=context.cpus, **_kinds(inputs))
        cuts = list(_folds(rows, label, self.folds))
        settings = self._settings(context) | {"eval_metric": "logloss"}
        rounds = self.trees
        if cuts:
            stops = {"early_stopping_rounds": self.patience, "as_pandas": False}
            losses = xgboost.cv(settings, data, self.trees, folds=cuts, **stops)
            rounds = int(np.argmin(losses["test-logloss-mean"])) + 1
        booster = xgboost.train(settings, data, rounds)
        return BoosterScorer(inputs, bytes(booster.save_raw("ubj")), float(np.log(self.weight)))

    def _matrix(
        self, inputs: ModelInputs, rows: Table, label: ndarray, cpus: int, like: Any = None
    ) -> Any:
        import xgboost

        options = {"max_bin": self.bins, "ref": like, "nthread": cpus}
        return xgboost.QuantileDMatrix(inputs.coded(rows), label, **options, **_kinds(inputs))

    def _settings(self, context: RowContext) -> Json:
        settings = {
            "objective": "binary:logistic",
            "eval_metric": "aucpr",
            "tree_method": "hist",
            "device": compute_device(context.device),
            "max_depth": self.depth,
            "eta": self.rate,
            "min_child_weight": self.leaf_weight,
            "subsample": self.row_share,
            "colsample_bytree": self.column_share,
            "max_bin": self.bins,
            "scale_pos_weight": self.weight,
            "seed": context.seed_for("boosting"),
            "nthread": context.cpus,
        }
        return settings if self.start is None else settings | {"base_score": self.start}


@dataclass(frozen=True, eq=False)
class BoosterScorer(Serializable):
    """A booster, and what it reads.

    Attributes:
        inputs: The inputs that are read; a text that was not seen is like one that is rare.
        booster: The booster in XGBoost's own format (UBJSON).
        shift: The log of the weight of positives, which its log odds are too high by.
    """

    inputs: ModelInputs
    booster: bytes
    shift: float

    def score(self, rows: RowReader) -> ndarray:
        """Return the log odds, un-shifted, in the booster's single precision: to the bit what
        XGBoost says.
        """
        return self._trees.margins(self.inputs.coded(rows)).astype(float) - self.shift

    def explain(self, rows: RowReader) -> Contributions:
        """Return exact Shapley values of the trees (Lundberg et al. 2020)."""
        trees = self._trees
        base = float(trees.base) + trees.rest - self.shift
        return Contributions(self.inputs.plain, base, trees.shares(self.inputs.coded(rows)))

    @cached_property
    def _trees(self) -> BoosterTrees:
        codes = 1 + max((len(known) for known in self.inputs.values), default=0)
        return BoosterTrees.of(load_booster(self.booster, 1), codes)


def _folds(rows: Table, label: ndarray, count: int) -> Iterator[tuple[ndarray, ndarray]]:
    """Yield the rows to learn from and those to score of each fold that has labels of both kinds in
    both.
    """
    names = rows.roles.get("entity", ())
    keys = rows.data[names[0] if len(names) == 1 else ROW_ID].cast(pl.String).fill_null("")
    fold = np.array([hash_of(key, b"rounds") % count for key in keys.to_list()])
    for held in range(count):
        out = fold == held
        if all(0 < label[part].sum() < part.sum() for part in (out, ~out)):
            yield np.flatnonzero(~out), np.flatnonzero(out)


def _kinds(inputs: ModelInputs) -> Json:
    """Return XGBoost's types of columns: numbers, and codes of texts."""
    kinds = ["q"] * len(inputs.numbers) + ["c"] * len(inputs.texts)
    return {"feature_types": kinds, "enable_categorical": bool(inputs.texts)}
