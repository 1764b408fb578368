"""Trees in a graph: boosted ones, forests and isolation trees, as `TreeEnsembleRegressor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hwds.detection.models.anomaly.isolation_forest import IsolationScorer
from hwds.detection.models.classify.xgboost import BoosterScorer
from hwds.detection.models.trees.booster_kernel import Nodes as BoosterNodes
from hwds.detection.models.trees.forest import ForestScorer
from hwds.production.graphs.inputs import RowInputs, single
from hwds.production.graphs.numbers import columns_matrix
from hwds.production.graphs.writer import Graph


def booster(graph: Graph, scorer: BoosterScorer, rows: RowInputs) -> str:
    """Return the score of boosted trees.

    A split on the codes of a text reads a column of its own, 1 where the code goes right: not every runtime knows sets.
    """
    trees = scorer._trees
    nodes = trees.nodes
    of_texts = np.flatnonzero(nodes.chosen >= 0)
    matrix, column, threshold = rows.coded(), nodes.column.copy(), nodes.threshold.astype(np.float32)
    width, tables = len(rows.inputs.plain), []
    for text in np.unique(nodes.column[of_texts]):
        here = of_texts[nodes.column[of_texts] == text]
        place = int(text) - len(rows.inputs.numbers)
        codes = len(rows.inputs.values[place]) + 1
        right = np.stack([nodes.right_codes[nodes.chosen[node] :][:codes] for node in here], axis=1)
        tables.append(rows.by_code(place, right.astype(float)))
        column[here] = width + np.arange(len(here))
        threshold[here] = 0.5
        width += len(here)
    asked = graph.singles(single(graph, graph.beside(matrix, *tables)))
    inner = nodes.left != np.arange(len(nodes.left))
    total = _ensemble(graph, asked, nodes, inner, column, threshold, nodes.missing_left, nodes.value, "BRANCH_LT")
    margin = graph.node("Add", total, graph.constant(float(trees.base)))
    return graph.flat(graph.node("Sub", margin, graph.constant(scorer.shift)))


def forest(graph: Graph, scorer: ForestScorer, rows: RowInputs) -> str:
    """Return the mean probability of a forest."""
    nodes = scorer.nodes
    inner = nodes.left != np.arange(len(nodes.left))
    asked = single(graph, rows.coded())
    total = _ensemble(graph, asked, nodes, inner, nodes.column, nodes.threshold, nodes.missing_left, nodes.value, "BRANCH_LEQ")
    return graph.flat(graph.node("Div", total, graph.constant(float(len(nodes.roots)))))


def isolation(graph: Graph, scorer: IsolationScorer, rows: RowInputs) -> str:
    """Return minus the mean path length of isolation trees."""
    trees = scorer.trees
    inner = trees.left != np.arange(len(trees.left))
    matrix = graph.filled(columns_matrix(graph, scorer.columns, rows), graph.constant(scorer.middle))
    nowhere = np.zeros(len(inner), bool)
    total = _ensemble(
        graph, single(graph, matrix), trees, inner, trees.column, trees.threshold, nowhere, trees.length, "BRANCH_LEQ"
    )
    return graph.flat(graph.node("Div", total, graph.constant(-float(len(trees.roots)))))


def _ensemble(
    graph: Graph,
    matrix: str,
    nodes: BoosterNodes | Any,
    inner: np.ndarray,
    column: np.ndarray,
    threshold: np.ndarray,
    missing_left: np.ndarray,
    value: np.ndarray,
    mode: str,
) -> str:
    """Return the sum of the leaves that rows reach, shape (n, 1), which ONNX has in single precision alone."""
    from onnx import numpy_helper

    tree = np.searchsorted(nodes.roots, np.arange(len(inner)), side="right") - 1
    own = np.arange(len(inner)) - nodes.roots[tree]
    leaves = np.flatnonzero(~inner)
    kind = np.float32 if threshold.dtype == np.float32 else np.float64
    numbers: dict[str, Any] = {
        "nodes_values": np.where(inner, threshold, 0).astype(kind),
        "target_weights": value[leaves].astype(kind),
    }
    if kind is np.float64:
        numbers = {f"{name}_as_tensor": numpy_helper.from_array(array, name) for name, array in numbers.items()}
    else:
        numbers = {name: array.tolist() for name, array in numbers.items()}
    whole: dict[str, Sequence[int]] = {
        "nodes_treeids": tree.tolist(),
        "nodes_nodeids": own.tolist(),
        "nodes_featureids": np.where(inner, column, 0).tolist(),
        "nodes_truenodeids": np.where(inner, nodes.left - nodes.roots[tree], 0).tolist(),
        "nodes_falsenodeids": np.where(inner, nodes.right - nodes.roots[tree], 0).tolist(),
        "nodes_missing_value_tracks_true": (inner & missing_left).astype(int).tolist(),
        "target_treeids": tree[leaves].tolist(),
        "target_nodeids": own[leaves].tolist(),
        "target_ids": [0] * len(leaves),
    }
    modes = np.where(inner, mode, "LEAF").tolist()
    total = graph.node("TreeEnsembleRegressor", matrix, domain="ai.onnx.ml", n_targets=1, nodes_modes=modes, **whole, **numbers)
    return graph.doubles(total)
