"""A random forest of rows."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from hwds.core.recipe import NonNegativeInt, PositiveInt, Small, Width
from hwds.detection.inputs import ModelInputs
from hwds.detection.models.base import Classifier
from hwds.detection.rows import RowContext, labels_of, learnable
from hwds.detection.trees import ForestScorer, forest_scorer
from hwds.frames.table import Table


class RandomForest(Classifier):
    """Trees on resampled rows, each split on a few of the inputs (Breiman 2001), as scikit-learn
    grows them.

    Its score is the mean of the trees' probabilities, not log odds: inputs can add to a mean. A
    leaf of few rows is sure of itself, so that the probabilities of deep trees are coarse;
    `calibration` mends that.

    Attributes:
        trees: The number of trees.
        depth: Levels of a tree; 0 grows them until leaves are pure.
        leaf_rows: The least rows in a leaf.
        inputs: The number of inputs that each split looks at: the square root, the logarithm, or
            `all`.
    """

    imports = ("sklearn",)
    search_space: ClassVar = {
        "leaf_rows": {"randint": [1, 51]},
        "depth": {"choice": [0, 6, 10, 16]},
        "inputs": {"choice": ["sqrt", "log2", "all"]},
    }

    trees: Annotated[Width, Small(30)] = 100
    depth: NonNegativeInt = 0
    leaf_rows: PositiveInt = 1
    inputs: Literal["sqrt", "log2", "all"] = "sqrt"

    def learn(self, train: Table, *, stop: Table, context: RowContext) -> ForestScorer:
        """Grow trees on the rows of known labels.

        Raises:
            DataError: They are of one kind.
        """
        from sklearn.ensemble import RandomForestClassifier

        rows = learnable(train)
        inputs = ModelInputs.learn(rows)
        forest = RandomForestClassifier(
            n_estimators=self.trees,
            max_depth=self.depth or None,
            min_samples_leaf=self.leaf_rows,
            max_features=None if self.inputs == "all" else self.inputs,
            random_state=context.seed_for("forest"),
            n_jobs=context.cpus,
        )
        forest.fit(inputs.coded(rows), labels_of(rows))
        return forest_scorer(inputs, [tree.tree_ for tree in forest.estimators_])
