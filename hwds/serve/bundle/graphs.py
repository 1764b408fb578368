"""The ONNX graph of a fitted classifier: its inputs, its scorer, and its probability."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hwds.detection.inputs import (
    OTHER_CODE,
    ColumnScaling,
    ModelInputs,
    NumberColumns,
    scorer_inputs,
)
from hwds.detection.kernels.trees import BoosterNodes
from hwds.detection.models.anomaly.autoencoder import RestoringScorer
from hwds.detection.models.anomaly.isolation_forest import IsolationScorer
from hwds.detection.models.anomaly.robust_z import FARTHEST, DeviationScorer
from hwds.detection.models.base import FittedClassifier
from hwds.detection.models.classify.logistic import LinearScorer
from hwds.detection.models.classify.stack import StackScorer
from hwds.detection.models.classify.xgboost import BoosterScorer
from hwds.detection.networks import CLIP, NetworkScorer
from hwds.detection.trees import ForestScorer
from hwds.serve.graph import NUMBERS, TEXTS, NoGraph, OnnxGraph
from hwds.stats.binary_labels import Calibrator
from hwds.stats.distributions import EDGE

# Inputs of rows in a graph: numbers, and codes of texts.


class GraphInputs:
    """The inputs of one scorer among all columns that a graph is given.

    Args:
        graph: The graph.
        inputs: What the scorer reads.
        numbers: All columns of numbers, in the order of the graph's input.
        texts: All columns of texts.
    """

    def __init__(
        self, graph: OnnxGraph, inputs: ModelInputs, numbers: Sequence[str], texts: Sequence[str]
    ) -> None:
        self.graph, self.inputs = graph, inputs
        self._numbers, self._texts = list(numbers), list(texts)

    @property
    def matrix(self) -> str:
        """The numbers, NaN where there is none, shape (n, numbers)."""
        places = [self._numbers.index(name) for name in self.inputs.numbers]
        return self.graph.node("Gather", NUMBERS, self.graph.constant(places, np.int64), axis=1)

    def codes(self, place: int) -> str:
        """The codes of one text as whole numbers, shape (n,)."""
        at = self._texts.index(self.inputs.texts[place])
        column = self.graph.flat(self.graph.columns(TEXTS, at, at + 1))
        known = self.inputs.values[place]
        if not known:
            return self._encoded(column, ("",), [OTHER_CODE])
        return self._encoded(column, known, list(range(1, len(known) + 1)))

    def by_code(self, place: int, table: np.ndarray) -> str:
        """The row of a table at the code of one text, shape (n, columns)."""
        return self.graph.node("Gather", self.graph.constant(table), self.codes(place), axis=0)

    def coded(self) -> str:
        """Numbers, then the code of each text, shape (n, columns)."""
        codes = [np.arange(len(known) + 1.0)[:, None] for known in self.inputs.values]
        tables = [self.by_code(place, table) for place, table in enumerate(codes)]
        return self.graph.beside(
            *([self.matrix] if self.inputs.numbers or not tables else []), *tables
        )

    def _encoded(self, column: str, known: Sequence[str], codes: list[int]) -> str:
        attributes = {
            "keys_strings": list(known),
            "values_int64s": codes,
            "default_int64": OTHER_CODE,
        }
        return self.graph.node("LabelEncoder", column, domain="ai.onnx.ml", **attributes)


def refuse_arrays(inputs: ModelInputs) -> None:
    """Refuse a scorer that reads columns of arrays.

    Raises:
        NoGraph: It does.
    """
    if inputs.arrays:
        raise NoGraph(
            f"it reads arrays ('{inputs.arrays[0]}'), which are no columns of numbers or texts"
        )


def scale_matrix(graph: OnnxGraph, matrix: str, scaling: ColumnScaling, clip: float) -> str:
    """Return `Scaling.of` of a matrix."""
    logs, flat = scaling.unit > 0, np.isinf(scaling.spread)
    nonnegative = graph.node("Max", matrix, graph.constant(0.0))
    ratio = graph.node("Div", nonnegative, graph.constant(np.where(logs, scaling.unit, 1.0)))
    logged = graph.node("Log", graph.node("Add", ratio, graph.constant(1.0)))
    known = graph.node("IsNaN", matrix)
    logged = graph.node(
        "Where", graph.constant(logs, bool), graph.node("Where", known, matrix, logged), matrix
    )
    centred = graph.node("Sub", logged, graph.constant(scaling.centre))
    on_scale = graph.node("Div", centred, graph.constant(np.where(flat, 1.0, scaling.spread)))
    still = graph.node("And", graph.constant(flat, bool), graph.node("Not", known))
    on_scale = graph.node("Where", still, graph.constant(0.0), on_scale)
    cut = graph.node(
        "Min", graph.node("Max", on_scale, graph.constant(-clip)), graph.constant(clip)
    )
    return graph.node("Where", known, matrix, cut)


def round_to_single(graph: OnnxGraph, matrix: str) -> str:
    """Return `matrix.single` of a matrix, still in double precision: cut at the largest single
    number, and rounded to one.
    """
    most = float(np.finfo(np.float32).max)
    cut = graph.node("Min", graph.node("Max", matrix, graph.constant(-most)), graph.constant(most))
    cut = graph.node("Where", graph.node("IsNaN", matrix), matrix, cut)
    return graph.doubles(graph.singles(cut))


# Scorers of numbers in a graph: weighted sums, robust deviations, chains of dense layers and
# autoencoders.


def linear_score(graph: OnnxGraph, scorer: LinearScorer, rows: GraphInputs) -> str:
    """Return the log odds of a weighted sum of standardised inputs."""
    k = len(scorer.inputs.numbers)
    parts = [rows.by_code(place, table) for place, table in enumerate(scorer._by_code)]
    if k:
        centred = graph.node("Sub", rows.matrix, graph.constant(scorer.centre[:k]))
        standard = graph.node("Div", centred, graph.constant(scorer.spread[:k]))
        known = graph.filled(standard, graph.constant(0.0))
        parts = [
            graph.node("Mul", known, graph.constant(scorer.weights[:k])),
            *(_column(graph, part) for part in parts),
        ]
    else:
        parts = [_column(graph, part) for part in parts]
    return graph.node("Add", graph.row_sum(graph.beside(*parts)), graph.constant(scorer.base))


def deviation_score(graph: OnnxGraph, scorer: DeviationScorer, rows: GraphInputs) -> str:
    """Return the root mean square of the largest robust deviations."""
    away = scale_matrix(
        graph, columns_matrix(graph, scorer.columns, rows), scorer.scaling, FARTHEST
    )
    away = graph.filled(away, graph.constant(0.0))
    top = min(scorer.top, len(scorer.columns.names))
    largest = graph.largest(graph.node("Mul", away, away), top)
    return graph.node("Sqrt", graph.node("Div", graph.row_sum(largest), graph.constant(float(top))))


def network_score(graph: OnnxGraph, scorer: NetworkScorer, rows: GraphInputs) -> str:
    """Return the mean log odds of networks of dense layers.

    Raises:
        NoGraph: They are no chain of dense layers.
    """
    silu = _silu_layers(scorer.model)
    refuse_arrays(scorer.reader.inputs)
    reader = scorer.reader
    matrix = rows.matrix
    on_scale = graph.filled(scale_matrix(graph, matrix, reader.scaling, CLIP), graph.constant(0.0))
    holes = np.flatnonzero(reader.holed)
    parts = [on_scale]
    if len(holes):
        held = graph.node("Gather", matrix, graph.constant(holes, np.int64), axis=1)
        parts.append(graph.doubles(graph.node("IsNaN", held)))
    numbers = graph.doubles(graph.singles(graph.beside(*parts)))
    each = len(scorer.weights) // scorer.model.seeds
    answers = []
    for i in range(0, len(scorer.weights), each):
        weights = scorer.weights[i : i + each]
        texts = [
            rows.by_code(place, weights[place].astype(float))
            for place in range(len(reader.inputs.texts))
        ]
        answers.append(
            dense_layers(graph, graph.beside(numbers, *texts), weights[len(texts) :], silu)
        )
    return graph.flat(_mean(graph, answers))


def restoring_score(graph: OnnxGraph, scorer: RestoringScorer, rows: GraphInputs) -> str:
    """Return the error with which autoencoders restore a row, over the usual one.

    Raises:
        NoGraph: They are no chain of dense layers.
    """
    silu = _silu_layers(scorer.model)
    on_scale = scale_matrix(
        graph, columns_matrix(graph, scorer.columns, rows), scorer.scaling, scorer.model.clip
    )
    rounded = graph.doubles(graph.singles(on_scale))
    given = graph.filled(rounded, graph.constant(0.0))
    each = len(scorer.weights) // scorer.model.seeds
    errors = []
    for i in range(0, len(scorer.weights), each):
        gap = graph.node(
            "Sub", dense_layers(graph, given, scorer.weights[i : i + each], silu), rounded
        )
        errors.append(graph.filled(graph.node("Mul", gap, gap), graph.constant(0.0)))
    share = graph.node("Div", _mean(graph, errors), graph.constant(scorer.usual))
    return graph.node("Div", graph.row_sum(share), graph.constant(float(len(scorer.columns.names))))


def columns_matrix(graph: OnnxGraph, columns: NumberColumns, rows: GraphInputs) -> str:
    """Return `Columns.matrix`: numbers, and how rare each text is."""
    rare = [
        _column(graph, rows.by_code(place, by_code[:, None]))
        for place, by_code in enumerate(columns.rarity)
    ]
    return graph.beside(*([rows.matrix] if columns.inputs.numbers or not rare else []), *rare)


def _silu_layers(model: Any) -> Sequence[bool]:
    """Return which dense layers of a network are followed by SiLU.

    Raises:
        NoGraph: It is no chain of dense layers.
    """
    silu: Sequence[bool] = model.silu()
    if not silu:
        raise NoGraph(
            f"the layers of '{model.name}' are no chain of dense ones, which is all that is "
            f"written here"
        )
    return silu


def dense_layers(
    graph: OnnxGraph, value: str, weights: Sequence[np.ndarray], silu: Sequence[bool]
) -> str:
    """Return the answer of a chain of dense layers, in double precision, shape (n, outputs)."""
    for kernel, bias, curved in zip(weights[::2], weights[1::2], silu, strict=True):
        product = graph.node("MatMul", value, graph.constant(kernel))
        value = graph.node("Add", product, graph.constant(bias))
        if curved:
            value = graph.node("Mul", value, graph.node("Sigmoid", value))
    return value


def _mean(graph: OnnxGraph, values: Sequence[str]) -> str:
    total = values[0] if len(values) == 1 else graph.node("Sum", *values)
    return graph.node("Div", total, graph.constant(float(len(values))))


def _column(graph: OnnxGraph, value: str) -> str:
    return graph.node("Reshape", value, graph.constant([-1, 1], np.int64))


# Trees in a graph: boosted ones, forests and isolation trees, as `TreeEnsembleRegressor`.


def booster_score(graph: OnnxGraph, scorer: BoosterScorer, rows: GraphInputs) -> str:
    """Return the score of boosted trees.

    A split on the codes of a text reads a column of its own, 1 where the code goes right: not every
    runtime knows sets.
    """
    trees = scorer._trees
    nodes = trees.nodes
    of_texts = np.flatnonzero(nodes.chosen >= 0)
    matrix, column, threshold = (
        rows.coded(),
        nodes.column.copy(),
        nodes.threshold.astype(np.float32),
    )
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
    asked = graph.singles(round_to_single(graph, graph.beside(matrix, *tables)))
    inner = nodes.left != np.arange(len(nodes.left))
    total = _ensemble(
        graph, asked, nodes, inner, column, threshold, nodes.missing_left, nodes.value, "BRANCH_LT"
    )
    margin = graph.node("Add", total, graph.constant(float(trees.base)))
    return graph.flat(graph.node("Sub", margin, graph.constant(scorer.shift)))


def forest_score(graph: OnnxGraph, scorer: ForestScorer, rows: GraphInputs) -> str:
    """Return the mean probability of a forest."""
    nodes = scorer.nodes
    inner = nodes.left != np.arange(len(nodes.left))
    asked = round_to_single(graph, rows.coded())
    total = _ensemble(
        graph,
        asked,
        nodes,
        inner,
        nodes.column,
        nodes.threshold,
        nodes.missing_left,
        nodes.value,
        "BRANCH_LEQ",
    )
    return graph.flat(graph.node("Div", total, graph.constant(float(len(nodes.roots)))))


def isolation_score(graph: OnnxGraph, scorer: IsolationScorer, rows: GraphInputs) -> str:
    """Return minus the mean path length of isolation trees."""
    trees = scorer.trees
    inner = trees.left != np.arange(len(trees.left))
    matrix = graph.filled(
        columns_matrix(graph, scorer.columns, rows), graph.constant(scorer.middle)
    )
    nowhere = np.zeros(len(inner), bool)
    total = _ensemble(
        graph,
        round_to_single(graph, matrix),
        trees,
        inner,
        trees.column,
        trees.threshold,
        nowhere,
        trees.length,
        "BRANCH_LEQ",
    )
    return graph.flat(graph.node("Div", total, graph.constant(-float(len(trees.roots)))))


def _ensemble(
    graph: OnnxGraph,
    matrix: str,
    nodes: BoosterNodes | Any,
    inner: np.ndarray,
    column: np.ndarray,
    threshold: np.ndarray,
    missing_left: np.ndarray,
    value: np.ndarray,
    mode: str,
) -> str:
    """Return the sum of the leaves that rows reach, shape (n, 1), which ONNX has in single
    precision alone.
    """
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
        numbers = {
            f"{name}_as_tensor": numpy_helper.from_array(array, name)
            for name, array in numbers.items()
        }
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
    total = graph.node(
        "TreeEnsembleRegressor",
        matrix,
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_modes=modes,
        **whole,
        **numbers,
    )
    return graph.doubles(total)


# The graph of a fitted classifier: from numbers and texts to its score and, where there is one,
# its probability.

Write = Callable[[OnnxGraph, Any, GraphInputs], str]

SCORERS: dict[type, tuple[Write, float]] = {
    LinearScorer: (linear_score, 1e-9),
    BoosterScorer: (booster_score, 1e-5),
    ForestScorer: (forest_score, 1e-6),
    IsolationScorer: (isolation_score, 1e-6),
    DeviationScorer: (deviation_score, 1e-9),
    NetworkScorer: (network_score, 1e-5),
    RestoringScorer: (restoring_score, 1e-5),
}
"""By class of scorer how it is written, and how far the graph may be from it, as a share of 1 + the
size of the score: single precision where the model computes or rounds in it.
"""


def graph_of(fitted: FittedClassifier) -> tuple[Any, tuple[str, ...], tuple[str, ...], float]:
    """Return the ONNX model of a fitted classifier, its columns of numbers and of texts, and its
    tolerance.

    Raises:
        NoGraph: The model has no lawful graph, with the reason.
    """
    read = list(scorer_inputs(fitted.scorer))
    numbers = tuple(dict.fromkeys(name for inputs in read for name in inputs.numbers))
    texts = tuple(dict.fromkeys(name for inputs in read for name in inputs.texts))
    graph = OnnxGraph()
    score = _score(graph, fitted.scorer, numbers, texts)
    outputs = {"score": score}
    if fitted.likely:
        outputs["probability"] = graph_probability(graph, score, fitted.calibrator)
    return (
        graph.model(len(numbers), len(texts), outputs),
        numbers,
        texts,
        graph_tolerance(fitted.scorer),
    )


def graph_tolerance(scorer: Any) -> float:
    """Return how far the graph of a scorer may be from it, as a share of 1 + the size of the
    score.
    """
    if isinstance(scorer, StackScorer):
        return max(graph_tolerance(member.scorer) for member in scorer.members)
    return SCORERS[type(scorer)][1]


def _score(graph: OnnxGraph, scorer: Any, numbers: tuple[str, ...], texts: tuple[str, ...]) -> str:
    if isinstance(scorer, StackScorer):
        return _stack(graph, scorer, numbers, texts)
    if type(scorer) not in SCORERS:
        raise NoGraph(f"a '{type(scorer).__name__}' is written in no operators of ONNX here")
    inputs: ModelInputs = next(scorer_inputs(scorer))
    if not isinstance(scorer, IsolationScorer | DeviationScorer | RestoringScorer):
        refuse_arrays(inputs)
    return SCORERS[type(scorer)][0](graph, scorer, GraphInputs(graph, inputs, numbers, texts))


def _stack(
    graph: OnnxGraph, stack: StackScorer, numbers: tuple[str, ...], texts: tuple[str, ...]
) -> str:
    """Return the weighted sum of the members' log odds."""
    total = graph.constant([stack.shift])
    for member, weight in stack._weighted_members():
        odds = _odds(graph, _score(graph, member.scorer, numbers, texts), member.scale)
        total = graph.node("Add", total, graph.node("Mul", odds, graph.constant(weight)))
    return total


def _odds(graph: OnnxGraph, score: str, scale: Calibrator) -> str:
    """Return `Calibrator.odds` of scores."""
    if scale.sensitivity == 1.0 and scale.kind in ("none", "platt"):
        return _line(graph, _own_odds(graph, score, scale), scale)
    return _log_odds(graph, graph_probability(graph, score, scale))


def graph_probability(graph: OnnxGraph, score: str, scale: Calibrator) -> str:
    """Return `Calibrator.probability` of scores."""
    labelled = graph.node(
        "Div", _chance_of_label(graph, score, scale), graph.constant(scale.sensitivity)
    )
    return graph.node("Min", labelled, graph.constant(1.0))


def _chance_of_label(graph: OnnxGraph, score: str, scale: Calibrator) -> str:
    if scale.kind == "isotonic":
        return _isotonic_steps(graph, score, scale.knots)
    odds = _own_odds(graph, score, scale)
    if scale.kind == "beta":
        held = _clip(graph, graph.node("Sigmoid", odds), EDGE, 1 - EDGE)
        above = graph.node("Neg", graph.node("Log", graph.node("Sub", graph.constant(1.0), held)))
        below = graph.node("Mul", graph.node("Log", held), graph.constant(scale.coefficients[0]))
        line = graph.node(
            "Add", below, graph.node("Mul", above, graph.constant(scale.coefficients[1]))
        )
        return graph.node("Sigmoid", graph.node("Add", line, graph.constant(scale.coefficients[2])))
    if scale.kind == "bayes":
        column = graph.node("Reshape", odds, graph.constant([-1, 1], np.int64))
        lines = graph.node("Mul", column, graph.constant(scale.coefficients[:, 0][None]))
        chances = graph.node(
            "Sigmoid", graph.node("Add", lines, graph.constant(scale.coefficients[:, 1][None]))
        )
        return graph.node(
            "Div", graph.row_sum(chances), graph.constant(float(len(scale.coefficients)))
        )
    return graph.node("Sigmoid", _line(graph, odds, scale))


def _line(graph: OnnxGraph, odds: str, scale: Calibrator) -> str:
    if scale.kind != "platt":
        return odds
    slope, intercept = (graph.constant(number) for number in scale.coefficients)
    return graph.node("Add", graph.node("Mul", odds, slope), intercept)


def _own_odds(graph: OnnxGraph, score: str, scale: Calibrator) -> str:
    return _log_odds(graph, score) if scale.chance else score


def _log_odds(graph: OnnxGraph, chance: str) -> str:
    held = _clip(graph, chance, EDGE, 1 - EDGE)
    return graph.node(
        "Sub",
        graph.node("Log", held),
        graph.node("Log", graph.node("Sub", graph.constant(1.0), held)),
    )


def _clip(graph: OnnxGraph, value: str, low: float, high: float) -> str:
    return graph.node("Min", graph.node("Max", value, graph.constant(low)), graph.constant(high))


def _isotonic_steps(graph: OnnxGraph, score: str, knots: np.ndarray) -> str:
    """Return `numpy.interp` of scores between knots, as a sum of cut lines.

    Raises:
        NoGraph: Two knots are at one score, where the map jumps.
    """
    at, height = knots
    width = np.diff(at)
    if len(at) < 2 or (width <= 0).any():
        raise NoGraph("its isotonic map jumps at a score")
    column = graph.node("Reshape", score, graph.constant([-1, 1], np.int64))
    gone = graph.node("Sub", column, graph.constant(at[:-1][None]))
    part = graph.node(
        "Min", graph.node("Max", gone, graph.constant(0.0)), graph.constant(width[None])
    )
    rises = graph.node("Mul", part, graph.constant((np.diff(height) / width)[None]))
    return graph.node("Add", graph.row_sum(rises), graph.constant(height[0]))
