"""Trees that families share: XGBoost boosters as they grow, isolation trees as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.core.errors import ConfigError
from hwds.core.serialization import Serializable
from hwds.evaluation.cells import LearningCurve
from hwds.evaluation.protocol import Device
from hwds.frames.table import Table

# XGBoost boosters: loading one from its bytes, and the device that trains it.


def load_booster(booster: bytes, cpus: int) -> Any:
    """Return the booster of these bytes."""
    import xgboost

    loaded = xgboost.Booster({"nthread": cpus})
    loaded.load_model(bytearray(booster))
    return loaded


def compute_device(device: Device) -> str:
    """Return the device that XGBoost trains on: a GPU where there is one and it is allowed.

    Raises:
        ConfigError: A GPU is required and there is none, or this XGBoost is built without.
    """
    import xgboost

    there = bool(xgboost.build_info().get("USE_CUDA")) and any(Path("/dev").glob("nvidia[0-9]*"))
    if device == "gpu" and not there:
        raise ConfigError(
            "compute.device: 'gpu', but there is none that XGBoost can use; use 'auto' or 'cpu'."
        )
    return "cuda" if there and device != "cpu" else "cpu"


# Observing a booster that grows: its losses by round, where a run asks for them.


def observe_losses(options: Mapping[str, Any], train: Any, curve: LearningCurve) -> dict[str, Any]:
    """Return options of `xgboost.train` by which each round is reported.

    As they are where nobody asks.

    The rows that stop the growing stay the last that are evaluated, so that they go on deciding it;
    no tree depends on this.

    Args:
        options: The options of training with `evals`, of which the last is reported as the
            validation, and `callbacks` where there are some.
        train: The matrix that is learned from.
        curve: The curve that takes the losses.
    """
    if not curve.wanted:
        return dict(options)
    from xgboost.callback import TrainingCallback

    class Reporting(TrainingCallback):
        """Reports the last metric of the rows that are learned from, and of those that are not."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            """Report a round; growing goes on."""
            losses = {
                rows: float(list(metrics.values())[-1][-1]) for rows, metrics in evals_log.items()
            }
            training_loss = losses.pop("train")
            curve.report(epoch + 1, training_loss, next(iter(losses.values()), None))
            return False

    evals = [(train, "train"), *options.get("evals", ())]
    return {
        **options,
        "evals": evals,
        "callbacks": [*options.get("callbacks", ()), Reporting()],
        "verbose_eval": False,
    }


# The later part of rows, which early stopping or a conformal quantile sets apart.


def latest_share(rows: Table, share: float) -> ndarray:
    """Return a mask of the last rows to arrive, shape (n,): so large a share, of two or more at
    least one and never all.

    Where rows have no time, the last ones of the table.
    """
    n = len(rows.data)
    when = rows.name("available_at") or rows.name("time")
    placed = pl.DataFrame({"place": np.arange(n)} | ({"when": rows.data[when]} if when else {}))
    order = placed.sort(placed.columns[-1], maintain_order=True)["place"].to_numpy()
    mask = np.zeros(n, bool)
    mask[order[n - min(max(round(share * n), 1), n - 1) :]] = n > 0
    return mask


# Isolation trees as arrays: path lengths, and the change of the expected one by each cut.

BLOCK = 4096
"""Rows that walk the trees at once: a bound on memory, which changes no bit."""


@dataclass(frozen=True, eq=False)
class IsolationTrees(Serializable):
    """The nodes of all trees, one tree after the other; a leaf is its own child.

    Attributes:
        roots: Node of each tree's root, shape (trees,).
        left, right: The child of each node for values up to its threshold, and for larger ones.
        column: The column that it cuts.
        threshold: The value that it cuts at.
        length: The path length that rows of the tree's sample which reach the node have on the
            average, in units of that of a random binary tree.
        depth: Cuts at most.
    """

    roots: ndarray
    left: ndarray
    right: ndarray
    column: ndarray
    threshold: ndarray
    length: ndarray
    depth: int

    @property
    def base(self) -> float:
        """The score of which nothing is known: that of a mean row of the samples."""
        return -float(self.length[self.roots].mean())

    def score(self, matrix: ndarray) -> ndarray:
        """Return minus the mean path length of rows.

        Scikit-learn's `score_samples` is minus 2 to its power.
        """
        return np.concatenate([np.zeros(0), *(self._score(block) for block in _blocks(matrix))])

    def _score(self, matrix: ndarray) -> ndarray:
        nodes = np.broadcast_to(self.roots, (len(matrix), len(self.roots)))
        for _ in range(self.depth):
            nodes = self._step(matrix, nodes)
        return -self.length[nodes].mean(axis=1)

    def parts(self, matrix: ndarray) -> ndarray:
        """Return the contribution of each column's cuts above `base`, shape (n, k): the sum of
        their changes over the path.

        A cut changes the path length that is expected of a row (Saabas 2014, "Interpreting random
        forests").
        """
        none = np.zeros((0, matrix.shape[1]))
        return np.concatenate([none, *(self._changes(block) for block in _blocks(matrix))])

    def _changes(self, matrix: ndarray) -> ndarray:
        n, k = matrix.shape
        nodes, changes = np.broadcast_to(self.roots, (n, len(self.roots))), np.zeros(n * k)
        for _ in range(self.depth):
            below = self._step(matrix, nodes)
            place = np.arange(n)[:, None] * k + self.column[nodes]
            changes += np.bincount(
                place.ravel(), (self.length[nodes] - self.length[below]).ravel(), n * k
            )
            nodes = below
        return changes.reshape(n, k) / len(self.roots)

    def _step(self, matrix: ndarray, nodes: ndarray) -> ndarray:
        values = np.take_along_axis(matrix, self.column[nodes], axis=1)
        return np.where(values <= self.threshold[nodes], self.left[nodes], self.right[nodes])


def _blocks(matrix: ndarray) -> Iterator[ndarray]:
    return (matrix[first : first + BLOCK] for first in range(0, len(matrix), BLOCK))


def read_isolation_trees(estimators: Sequence[Any], sample: int) -> IsolationTrees:
    """Return the trees of scikit-learn's isolation forest.

    Args:
        estimators: Its trees.
        sample: Rows that each was grown on.
    """
    trees = [estimator.tree_ for estimator in estimators]
    roots = np.cumsum([0, *(tree.node_count for tree in trees)])
    node = np.arange(roots[-1])
    left, right = (
        np.concatenate(
            [getattr(tree, side) + root for tree, root in zip(trees, roots[:-1], strict=True)]
        )
        for side in ("children_left", "children_right")
    )
    leaf = np.concatenate([tree.children_left < 0 for tree in trees])
    column = np.concatenate([tree.feature for tree in trees])
    return IsolationTrees(
        roots[:-1],
        np.where(leaf, node, left),
        np.where(leaf, node, right),
        np.where(leaf, 0, column),
        np.where(leaf, np.inf, np.concatenate([tree.threshold for tree in trees])),
        np.concatenate([_lengths(tree) for tree in trees])
        / max(float(mean_length(np.array(sample))), 1e-9),
        max(tree.max_depth for tree in trees),
    )


def mean_length(rows: ndarray) -> ndarray:
    """Return the mean path length of a random binary tree on so many rows (Liu, Ting and Zhou 2008,
    eq. 1).
    """
    many = np.maximum(rows, 3).astype(float)
    long = 2 * (np.log(many - 1) + np.euler_gamma) - 2 * (many - 1) / many
    return np.where(rows > 2, long, np.where(rows == 2, 1.0, 0.0))


def _lengths(tree: Any) -> ndarray:
    """Return the mean path length below each node of the rows that reach it, counted from the root.

    Children follow parents.
    """
    left, right, many = tree.children_left, tree.children_right, tree.n_node_samples
    depth = np.zeros(tree.node_count)
    inner = np.flatnonzero(left >= 0)
    for node in inner:
        depth[[left[node], right[node]]] = depth[node] + 1
    length = depth + mean_length(many)
    for node in inner[::-1]:
        below = np.array([left[node], right[node]])
        length[node] = (length[below] * many[below]).sum() / many[node]
    return length
