"""Gradient-boosted trees on hand-made numbers of an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Gt, Le

from hwds.core.recipe import Depth, Positive, Small, Width
from hwds.core.serialization import Serializable
from hwds.core.watching.learning import learning_curve
from hwds.evaluation.context import RunContext
from hwds.frames.images import Images
from hwds.inspection.models.base import InspectionModel
from hwds.inspection.models.shapes.measured import measured
from hwds.learners.boosting.booster import compute_device, load_booster
from hwds.learners.boosting.observing import observed

Part = Annotated[float, Gt(0), Le(1)]


class FeaturesXGBoost(InspectionModel):
    """Gradient-boosted trees on what an engineer would measure: widths, regions, edges, and what openings wipe out.

    Dark and light are parted by Otsu's threshold; openings of several radii (granulometry, Serra 1982) leave what is wide, and
    what they take away is where small defects are. The rival of a network: no pixel is learned from.

    Attributes:
        trees: Rounds; each has a tree a kind.
        depth: The levels of a tree.
        learning_rate: The share of each tree that is added.
        row_share: The share of the images that each tree sees.
        column_share: The share of the numbers that each tree sees.
    """

    search_space: ClassVar[Mapping[str, Any]] = {
        "depth": {"randint": [2, 7]},
        "learning_rate": {"loguniform": [0.02, 0.3]},
        "column_share": {"uniform": [0.2, 1.0]},
    }

    trees: Annotated[Width, Small(10)] = 200
    depth: Depth = 4
    learning_rate: Positive = 0.1
    row_share: Part = 0.7
    column_share: Part = 0.5

    def learn(self, images: Images, context: RunContext) -> BoostedShapes:
        """Grow trees on the images whose kind is known."""
        import xgboost

        known = images.take(images.codes >= 0)
        given = xgboost.DMatrix(numbers_of(known), known.codes, nthread=context.cpus)
        settings = {
            "objective": "multi:softprob",
            "num_class": len(images.kinds),
            "tree_method": "hist",
            "max_depth": self.depth,
            "eta": self.learning_rate,
            "subsample": self.row_share,
            "colsample_bytree": self.column_share,
            "nthread": context.cpus,
            "seed": context.seed_for("xgboost"),
            "device": compute_device(context.device),
        }
        booster = xgboost.train(settings, given, self.trees, **observed({}, given, learning_curve("booster", "round")))
        return BoostedShapes(bytes(booster.save_raw("ubj")), context.cpus)


def numbers_of(images: Images) -> np.ndarray:
    """Return the hand-made numbers of images, shape (n, numbers)."""
    return np.concatenate([measured(block) for block in images.blocks()]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class BoostedShapes(Serializable):
    """Trees of hand-made numbers.

    Attributes:
        booster: In XGBoost's own format.
        cpus: Threads.
    """

    booster: bytes
    cpus: int
    knows_kinds: ClassVar[bool] = True

    def evidence(self, images: Images) -> np.ndarray:
        """Return the log odds of each kind up to a constant, shape (n, kinds)."""
        booster = load_booster(self.booster, self.cpus)
        return np.asarray(booster.inplace_predict(numbers_of(images), predict_type="margin"), float)

    def saliency(self, images: Images) -> None:
        """Return None: the numbers are of the whole image."""
