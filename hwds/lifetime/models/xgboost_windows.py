"""Gradient-boosted trees on statistics of the last cycles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le

from hwds.core.recipe import Depth, Positive, Small, Width
from hwds.core.serialization import Serializable
from hwds.evaluation.cells import learning_curve
from hwds.evaluation.trees import compute_device, load_booster, observe_losses
from hwds.frames.runs import Runs
from hwds.frames.signals import LearnedRunFeatures
from hwds.lifetime.models.base import LifetimeContext, PointModel, known_targets

Part = Annotated[float, Gt(0), Le(1)]


class XGBoostWindows(PointModel):
    """Gradient-boosted trees of the remaining life up to the cap, on the feature set's numbers of
    each cycle.

    If the protocol scores at shares of a life (`last_window`), each machine has the same weight; if
    it scores at any cycle (`prequential_runs`), each cycle has. Censored machines teach where they
    were seen for as long as the cap. Without a feature set the inputs are those of
    `features=signal_windows`.

    Attributes:
        trees: The most boosting rounds.
        depth: Levels of a tree.
        learning_rate: The share of each tree that is added.
        leaf_rows: The least rows in a leaf.
        row_share: The share of the rows that each tree sees.
        column_share: The share of the inputs that each tree sees.
        bins: Values of an input that are told apart.
    """

    imports = ("xgboost",)
    uses_features = True
    search_space: ClassVar[Mapping[str, Any]] = {
        "depth": {"randint": [2, 7]},
        "learning_rate": {"loguniform": [0.01, 0.1]},
        "leaf_rows": {"loguniform": [5.0, 200.0]},
        "column_share": {"uniform": [0.1, 1.0]},
    }

    trees: Annotated[Width, Small(20)] = 500
    depth: Depth = 4
    learning_rate: Positive = 0.03
    leaf_rows: Positive = 100.0
    row_share: Part = 0.5
    column_share: Part = 0.3
    bins: Annotated[int, Ge(2), Le(65_536)] = 128

    def regress(self, runs: Runs, context: LifetimeContext) -> BoostedLife:
        """Grow trees on the rows whose capped remaining life is known."""
        import xgboost

        features = context.run_features().learn(runs)
        known, target = known_targets(runs, context.cap)
        inputs = features.compute(runs)[known].astype(np.float32)
        options = {"max_bin": self.bins, "nthread": context.cpus}
        given = xgboost.QuantileDMatrix(
            inputs, target, weight=context.weights(runs, known), **options
        )
        observing = observe_losses({}, given, learning_curve("booster", "round"))
        booster = xgboost.train(self._settings(context), given, self.trees, **observing)
        return BoostedLife(features, bytes(booster.save_raw("ubj")), context.cpus)

    def _settings(self, context: LifetimeContext) -> dict[str, Any]:
        return {
            "objective": "reg:squarederror",
            "tree_method": "hist",
            "max_depth": self.depth,
            "eta": self.learning_rate,
            "min_child_weight": self.leaf_rows,
            "subsample": self.row_share,
            "colsample_bytree": self.column_share,
            "max_bin": self.bins,
            "nthread": context.cpus,
            "seed": context.seed_for("xgboost"),
            "device": compute_device(context.device),
        }


@dataclass(frozen=True, eq=False)
class BoostedLife(Serializable):
    """Trees, and what they read.

    Attributes:
        features: With their scales.
        booster: In XGBoost's own format.
        cpus: Threads.
    """

    features: LearnedRunFeatures
    booster: bytes
    cpus: int

    def points(self, runs: Runs) -> np.ndarray:
        """Return the point at each row, shape (rows,)."""
        inputs = self.features.compute(runs).astype(np.float32)
        return np.asarray(load_booster(self.booster, self.cpus).inplace_predict(inputs), float)
