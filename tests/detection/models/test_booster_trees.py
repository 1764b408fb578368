"""Boosted trees as arrays say what XGBoost says of them: margins to the bit, Shapley values to its
single precision.
"""

import itertools
import math

import numpy as np
import pytest

from hwds.detection.trees import BoosterTrees

CODES = 12


def rows(n, seed=0):
    """Numbers with holes, ties and no end, and two columns of codes."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n, 6))
    numbers[:, 1] = np.round(numbers[:, 1])
    numbers[rng.random(numbers.shape) < 0.15] = np.nan
    return np.hstack([numbers, rng.integers(0, [CODES, 3], (n, 2))])


def grown(trees, **settings):
    """A booster of the rows; what decides are both kinds of columns and holes."""
    import xgboost

    given, rng = rows(1500), np.random.default_rng(1)
    odds = (
        np.nan_to_num(given[:, 0] * given[:, 1], nan=1.5)
        + np.isin(given[:, 6], [1, 4, 9])
        - (given[:, 7] == 2)
    )
    label = (rng.random(len(given)) < 1 / (1 + np.exp(2 - odds))).astype(float)
    told = {"objective": "binary:logistic", "max_bin": 512, "nthread": 1, "seed": 0} | settings
    return xgboost.train(told, _matrix(given, label), trees)


def _matrix(given, label=None):
    import xgboost

    kinds = {"feature_types": ["q"] * 6 + ["c"] * 2, "enable_categorical": True}
    return xgboost.DMatrix(given, label, nthread=1, **kinds)


GROWN = {
    "of depth 4": (60, {"max_depth": 4}),
    "of depth 9, with leaves of no weight": (
        12,
        {"max_depth": 9, "min_child_weight": 0.0, "lambda": 0.01},
    ),
    "stumps": (20, {"max_depth": 1}),
    "leaves alone": (3, {"gamma": 1e9}),
    "few rows and columns a tree, another start": (
        40,
        {"subsample": 0.4, "colsample_bytree": 0.4, "base_score": 0.02},
    ),
}


@pytest.mark.parametrize("name", GROWN)
def test_margins_and_shapley_values_are_xgboosts(name):
    booster, asked = grown(GROWN[name][0], **GROWN[name][1]), rows(300, seed=2)
    asked[0, :6], asked[1, :6], asked[2, :6], asked[3, :6] = np.nan, 1e38, -1e38, 0.0
    trees = BoosterTrees.of(booster, CODES)
    margins, shares = trees.margins(asked), trees.shares(asked)
    assert margins.tobytes() == booster.inplace_predict(asked, predict_type="margin").tobytes()
    theirs = booster.predict(_matrix(asked), pred_contribs=True)
    np.testing.assert_allclose(shares, theirs[:, :-1], atol=2e-5)
    base = float(trees.base) + trees.rest
    np.testing.assert_allclose(base, theirs[:, -1], atol=2e-5)
    np.testing.assert_allclose(base + shares.sum(axis=1), margins, atol=2e-5)
    for few in (slice(5, 6), slice(7, 20), slice(0, 0)):
        assert trees.margins(asked[few]).tobytes() == margins[few].tobytes()
        assert trees.shares(asked[few]).tobytes() == shares[few].tobytes()


def test_what_inputs_add_is_the_mean_over_all_orders_of_getting_to_know_them():
    booster, asked = grown(2, max_depth=3), rows(5, seed=3)
    trees = BoosterTrees.of(booster, CODES)
    told = [_Told(tree) for tree in _dumped(booster)]
    columns = sorted({int(column) for tree in told for column in tree.columns})

    def worth(row, known):
        return sum(tree.mean(0, row, known) for tree in told)

    for row, shares in zip(asked, trees.shares(asked), strict=True):
        for column in columns:
            others = [other for other in columns if other != column]
            wanted = 0.0
            for size in range(len(others) + 1):
                share = 1 / (len(columns) * math.comb(len(others), size))
                for known in itertools.combinations(others, size):
                    wanted += share * (worth(row, {*known, column}) - worth(row, {*known}))
            assert shares[column] == pytest.approx(wanted, abs=1e-6)
        assert shares.sum() == pytest.approx(worth(row, set(columns)) - worth(row, set()), abs=1e-6)


def _dumped(booster):
    import json

    return json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]


class _Told:
    """A tree as its JSON tells it: the mean of its leaves where only some columns are known."""

    def __init__(self, tree):
        self.tree = tree
        parts = zip(
            tree["categories_nodes"],
            tree["categories_segments"],
            tree["categories_sizes"],
            strict=True,
        )
        self.right = {
            node: set(tree["categories"][begin : begin + size]) for node, begin, size in parts
        }
        self.columns = [
            column
            for column, left in zip(tree["split_indices"], tree["left_children"], strict=True)
            if left >= 0
        ]

    def mean(self, node, row, known):
        tree = self.tree
        children = tree["left_children"][node], tree["right_children"][node]
        if children[0] < 0:
            return tree["split_conditions"][node]
        if tree["split_indices"][node] in known:
            return self.mean(
                children[self._goes_right(node, np.float32(row[tree["split_indices"][node]]))],
                row,
                known,
            )
        covers = [tree["sum_hessian"][child] for child in children]
        return sum(
            c * self.mean(child, row, known) for c, child in zip(covers, children, strict=True)
        ) / sum(covers)

    def _goes_right(self, node, seen):
        if np.isnan(seen):
            return not self.tree["default_left"][node]
        return (
            int(seen) in self.right[node]
            if node in self.right
            else bool(seen >= np.float32(self.tree["split_conditions"][node]))
        )
