"""ServedClassifier: a fitted classifier as serving asks it about rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.core.onnx_graph import NUMBERS, TEXTS, NoGraph, OnnxGraph
from hwds.core.recipe import Recipe
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
from hwds.detection.models.base import Classifier, FittedClassifier
from hwds.detection.models.classify.logistic import LinearScorer
from hwds.detection.models.classify.stack import StackScorer
from hwds.detection.models.classify.xgboost import BoosterScorer
from hwds.detection.networks import CLIP, NetworkScorer
from hwds.detection.predictions import main_inputs
from hwds.detection.reasons import in_words
from hwds.detection.rows import RowContext
from hwds.detection.trees import ForestScorer
from hwds.evaluation.protocol import RunContext
from hwds.evaluation.serving import CALIBRATE, STOP, GraphOfRows, Reasons, RowModel
from hwds.frames.table import RowReader, RowScores, Table
from hwds.stats.binary_labels import Calibrator
from hwds.stats.distributions import EDGE

# The ONNX graph of a fitted classifier: its inputs, its scorer, and its probability.

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
        return self.graph.node(
            "LabelEncoder",
            column,
            domain="ai.onnx.ml",
            keys_strings=list(known or ("",)),
            values_int64s=list(range(1, len(known) + 1)) or [OTHER_CODE],
            default_int64=OTHER_CODE,
        )

    def by_code(self, place: int, table: ndarray) -> str:
        """The row of a table at the code of one text, shape (n, columns)."""
        return self.graph.node("Gather", table, self.codes(place), axis=0)

    def coded(self) -> str:
        """Numbers, then the code of each text, shape (n, columns)."""
        codes = [np.arange(len(known) + 1.0)[:, None] for known in self.inputs.values]
        tables = [self.by_code(place, table) for place, table in enumerate(codes)]
        return self.graph.concatenate(
            *([self.matrix] if self.inputs.numbers or not tables else []), *tables
        )


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
    nonnegative = graph.node("Max", matrix, 0.0)
    ratio = graph.node("Div", nonnegative, np.where(logs, scaling.unit, 1.0))
    logged = graph.node("Log", graph.node("Add", ratio, 1.0))
    known = graph.node("IsNaN", matrix)
    logged = graph.node(
        "Where", graph.constant(logs, bool), graph.node("Where", known, matrix, logged), matrix
    )
    centred = graph.node("Sub", logged, scaling.centre)
    on_scale = graph.node("Div", centred, np.where(flat, 1.0, scaling.spread))
    still = graph.node("And", graph.constant(flat, bool), graph.node("Not", known))
    on_scale = graph.node("Where", still, 0.0, on_scale)
    cut = graph.clip(on_scale, -clip, clip)
    return graph.node("Where", known, matrix, cut)


def round_to_single(graph: OnnxGraph, matrix: str) -> str:
    """Return `matrix.single` of a matrix, still in double precision: cut at the largest single
    number, and rounded to one.
    """
    most = float(np.finfo(np.float32).max)
    cut = graph.clip(matrix, -most, most)
    cut = graph.node("Where", graph.node("IsNaN", matrix), matrix, cut)
    return graph.doubles(graph.singles(cut))


# Scorers of numbers in a graph: weighted sums, robust deviations, chains of dense layers and
# autoencoders.


def linear_score(graph: OnnxGraph, scorer: LinearScorer, rows: GraphInputs) -> str:
    """Return the log odds of a weighted sum of standardised inputs."""
    k = len(scorer.inputs.numbers)
    parts = [rows.by_code(place, table) for place, table in enumerate(scorer._by_code)]
    if k:
        centred = graph.node("Sub", rows.matrix, scorer.centre[:k])
        standard = graph.node("Div", centred, scorer.spread[:k])
        known = graph.fill(standard, 0.0)
        parts = [
            graph.node("Mul", known, scorer.weights[:k]),
            *(graph.column(part) for part in parts),
        ]
    else:
        parts = [graph.column(part) for part in parts]
    return graph.node("Add", graph.row_sum(graph.concatenate(*parts)), scorer.base)


def deviation_score(graph: OnnxGraph, scorer: DeviationScorer, rows: GraphInputs) -> str:
    """Return the root mean square of the largest robust deviations."""
    away = scale_matrix(
        graph, columns_matrix(graph, scorer.columns, rows), scorer.scaling, FARTHEST
    )
    away = graph.fill(away, 0.0)
    top = min(scorer.top, len(scorer.columns.names))
    largest = graph.largest(graph.node("Mul", away, away), top)
    return graph.node("Sqrt", graph.node("Div", graph.row_sum(largest), float(top)))


def network_score(graph: OnnxGraph, scorer: NetworkScorer, rows: GraphInputs) -> str:
    """Return the mean log odds of networks of dense layers.

    Raises:
        NoGraph: They are no chain of dense layers.
    """
    silu = _silu_layers(scorer.model)
    refuse_arrays(scorer.reader.inputs)
    reader = scorer.reader
    matrix = rows.matrix
    on_scale = graph.fill(scale_matrix(graph, matrix, reader.scaling, CLIP), 0.0)
    holes = np.flatnonzero(reader.holed)
    parts = [on_scale]
    if len(holes):
        held = graph.node("Gather", matrix, graph.constant(holes, np.int64), axis=1)
        parts.append(graph.doubles(graph.node("IsNaN", held)))
    numbers = graph.doubles(graph.singles(graph.concatenate(*parts)))
    each = len(scorer.weights) // scorer.model.seeds
    answers = []
    for i in range(0, len(scorer.weights), each):
        weights = scorer.weights[i : i + each]
        texts = [
            rows.by_code(place, weights[place].astype(float))
            for place in range(len(reader.inputs.texts))
        ]
        answers.append(
            dense_layers(graph, graph.concatenate(numbers, *texts), weights[len(texts) :], silu)
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
    given = graph.fill(rounded, 0.0)
    each = len(scorer.weights) // scorer.model.seeds
    errors = []
    for i in range(0, len(scorer.weights), each):
        gap = graph.node(
            "Sub", dense_layers(graph, given, scorer.weights[i : i + each], silu), rounded
        )
        errors.append(graph.fill(graph.node("Mul", gap, gap), 0.0))
    share = graph.node("Div", _mean(graph, errors), scorer.usual)
    return graph.node("Div", graph.row_sum(share), float(len(scorer.columns.names)))


def columns_matrix(graph: OnnxGraph, columns: NumberColumns, rows: GraphInputs) -> str:
    """Return `Columns.matrix`: numbers, and how rare each text is."""
    rare = [
        graph.column(rows.by_code(place, by_code[:, None]))
        for place, by_code in enumerate(columns.rarity)
    ]
    return graph.concatenate(*([rows.matrix] if columns.inputs.numbers or not rare else []), *rare)


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
    graph: OnnxGraph, value: str, weights: Sequence[ndarray], silu: Sequence[bool]
) -> str:
    """Return the answer of a chain of dense layers, in double precision, shape (n, outputs)."""
    for kernel, bias, curved in zip(weights[::2], weights[1::2], silu, strict=True):
        product = graph.node("MatMul", value, kernel)
        value = graph.node("Add", product, bias)
        if curved:
            value = graph.node("Mul", value, graph.node("Sigmoid", value))
    return value


def _mean(graph: OnnxGraph, values: Sequence[str]) -> str:
    total = values[0] if len(values) == 1 else graph.node("Sum", *values)
    return graph.node("Div", total, float(len(values)))


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
    asked = graph.singles(round_to_single(graph, graph.concatenate(matrix, *tables)))
    total = _ensemble(
        graph, asked, nodes, nodes.value, "BRANCH_LT", column, threshold, nodes.missing_left
    )
    margin = graph.node("Add", total, float(trees.base))
    return graph.flat(graph.node("Sub", margin, scorer.shift))


def forest_score(graph: OnnxGraph, scorer: ForestScorer, rows: GraphInputs) -> str:
    """Return the mean probability of a forest."""
    nodes = scorer.nodes
    asked = round_to_single(graph, rows.coded())
    total = _ensemble(
        graph,
        asked,
        nodes,
        nodes.value,
        "BRANCH_LEQ",
        nodes.column,
        nodes.threshold,
        nodes.missing_left,
    )
    return graph.flat(graph.node("Div", total, float(len(nodes.roots))))


def isolation_score(graph: OnnxGraph, scorer: IsolationScorer, rows: GraphInputs) -> str:
    """Return minus the mean path length of isolation trees."""
    trees = scorer.trees
    matrix = graph.fill(columns_matrix(graph, scorer.columns, rows), scorer.middle)
    asked, nowhere = round_to_single(graph, matrix), np.zeros(len(trees.left), bool)
    total = _ensemble(
        graph, asked, trees, trees.length, "BRANCH_LEQ", trees.column, trees.threshold, nowhere
    )
    return graph.flat(graph.node("Div", total, -float(len(trees.roots))))


def _ensemble(
    graph: OnnxGraph,
    matrix: str,
    nodes: BoosterNodes | Any,
    value: ndarray,
    mode: str,
    column: ndarray,
    threshold: ndarray,
    missing_left: ndarray,
) -> str:
    """Return the sum of the leaves that rows reach, shape (n, 1), which ONNX has in single
    precision alone.
    """
    from onnx import numpy_helper

    inner = nodes.left != np.arange(len(nodes.left))
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


def graph_of(fitted: FittedClassifier) -> GraphOfRows:
    """Return the graph of a fitted classifier.

    Raises:
        NoGraph: The model has no lawful graph, with the reason.
    """
    read = list(scorer_inputs(fitted.scorer))
    numbers = tuple(dict.fromkeys(name for inputs in read for name in inputs.numbers))
    texts = tuple(dict.fromkeys(name for inputs in read for name in inputs.texts))
    graph = OnnxGraph()
    outputs = {"score": _score(graph, fitted.scorer, numbers, texts)}
    if fitted.likely:
        outputs["probability"] = graph_probability(graph, outputs["score"], fitted.calibrator)
    model = graph.model(len(numbers), len(texts), outputs)
    return GraphOfRows(model, numbers, texts, graph_tolerance(fitted.scorer))


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
        total = graph.node("Add", total, graph.node("Mul", odds, weight))
    return total


def _odds(graph: OnnxGraph, score: str, scale: Calibrator) -> str:
    """Return `Calibrator.odds` of scores."""
    if scale.sensitivity == 1.0 and scale.kind in ("none", "platt"):
        return _line(graph, _own_odds(graph, score, scale), scale)
    return _log_odds(graph, graph_probability(graph, score, scale))


def graph_probability(graph: OnnxGraph, score: str, scale: Calibrator) -> str:
    """Return `Calibrator.probability` of scores."""
    labelled = graph.node("Div", _chance_of_label(graph, score, scale), scale.sensitivity)
    return graph.node("Min", labelled, 1.0)


def _chance_of_label(graph: OnnxGraph, score: str, scale: Calibrator) -> str:
    if scale.kind == "isotonic":
        return _isotonic_steps(graph, score, scale.knots)
    odds = _own_odds(graph, score, scale)
    if scale.kind == "beta":
        held = graph.clip(graph.node("Sigmoid", odds), EDGE, 1 - EDGE)
        above = graph.node("Neg", graph.node("Log", graph.node("Sub", 1.0, held)))
        below = graph.node("Mul", graph.node("Log", held), scale.coefficients[0])
        line = graph.node("Add", below, graph.node("Mul", above, scale.coefficients[1]))
        return graph.node("Sigmoid", graph.node("Add", line, scale.coefficients[2]))
    if scale.kind == "bayes":
        column = graph.column(odds)
        lines = graph.node("Mul", column, scale.coefficients[:, 0][None])
        chances = graph.node("Sigmoid", graph.node("Add", lines, scale.coefficients[:, 1][None]))
        return graph.node("Div", graph.row_sum(chances), float(len(scale.coefficients)))
    return graph.node("Sigmoid", _line(graph, odds, scale))


def _line(graph: OnnxGraph, odds: str, scale: Calibrator) -> str:
    if scale.kind != "platt":
        return odds
    slope, intercept = scale.coefficients
    return graph.node("Add", graph.node("Mul", odds, slope), intercept)


def _own_odds(graph: OnnxGraph, score: str, scale: Calibrator) -> str:
    return _log_odds(graph, score) if scale.chance else score


def _log_odds(graph: OnnxGraph, chance: str) -> str:
    held = graph.clip(chance, EDGE, 1 - EDGE)
    return graph.node(
        "Sub",
        graph.node("Log", held),
        graph.node("Log", graph.node("Sub", 1.0, held)),
    )


def _isotonic_steps(graph: OnnxGraph, score: str, knots: ndarray) -> str:
    """Return `numpy.interp` of scores between knots, as a sum of cut lines.

    Raises:
        NoGraph: Two knots are at one score, where the map jumps.
    """
    at, height = knots
    width = np.diff(at)
    if len(at) < 2 or (width <= 0).any():
        raise NoGraph("its isotonic map jumps at a score")
    column = graph.column(score)
    gone = graph.node("Sub", column, at[:-1][None])
    part = graph.node("Min", graph.node("Max", gone, 0.0), width[None])
    rises = graph.node("Mul", part, (np.diff(height) / width)[None])
    return graph.node("Add", graph.row_sum(rises), height[0])


class ServedClassifier(RowModel):
    """Scores, reasons and the graph of a classifier; see `RowModel`."""

    fitted: FittedClassifier

    def __init__(self, fitted: FittedClassifier) -> None:
        super().__init__(fitted)
        inputs = list(scorer_inputs(fitted.scorer))
        self.reads = tuple(
            dict.fromkeys(name for each in inputs for name in (*each.plain, *each.arrays))
        )
        self.texts = known_texts(fitted.scorer)
        self.normals = fitted.normals

    def score(self, rows: RowReader) -> RowScores:
        """See `RowModel`."""
        return self.fitted.score_rows(rows)

    def columns(self, table: Table, context: RunContext) -> pl.DataFrame:
        """See `RowModel`; a run computes them once for all models."""
        return RowContext.of(context).columns_of(table)

    def from_scores(self, score: np.ndarray) -> RowScores:
        """See `RowModel`."""
        return self.fitted.from_scores(score)

    def reasons(self, rows: RowReader) -> list[Reasons]:
        """See `RowModel`."""
        return main_inputs(self.fitted.explain(rows), rows, self.fitted.usual)

    def in_words(self, reasons: Sequence[Mapping[str, Any]]) -> list[str]:
        """See `RowModel`."""
        return in_words(reasons)

    def graph(self) -> GraphOfRows:
        """See `RowModel`."""
        return graph_of(self.fitted)

    @staticmethod
    def learns(model: Recipe) -> bool:
        """See `RowModel`."""
        return isinstance(model, Classifier) and model.supervised

    @classmethod
    def refit(
        cls, model: Classifier, table: Table, learned: np.ndarray, context: RunContext
    ) -> Self:
        """See `RowModel`."""
        shares = (STOP, CALIBRATE) if model.needs_calibration() else (CALIBRATE, 1.0)
        parts = np.split(learned, [round(len(learned) * share) for share in shares])
        train, stop, calibrate = (
            table.filter(np.isin(np.arange(table.height), part)) for part in parts
        )
        rows = RowContext.of(context)
        return cls(model.fit(train, stop=stop, calibrate=calibrate, context=rows))


def known_texts(scorer: Any) -> dict[str, frozenset[str]]:
    """Return by column the texts that a scorer has a code for, as far as it exposes its inputs."""
    known: dict[str, frozenset[str]] = {}
    for inputs in scorer_inputs(scorer):
        for name, values in zip(inputs.texts, inputs.values, strict=True):
            known[name] = known.get(name, frozenset()).union(values)
    return known
