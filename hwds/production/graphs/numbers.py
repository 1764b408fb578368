"""Scorers of numbers in a graph: weighted sums, robust deviations, chains of dense layers and autoencoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hwds.detection.models.anomaly.autoencoder import RestoringScorer
from hwds.detection.models.anomaly.robust_z import FARTHEST, DeviationScorer
from hwds.detection.models.classify.logistic import LinearScorer
from hwds.detection.models.inputs.numbers import Columns
from hwds.detection.models.networks.reader import CLIP
from hwds.detection.models.networks.scorer import NetworkScorer
from hwds.production.graphs.inputs import RowInputs, refuse_arrays, scaled
from hwds.production.graphs.writer import Graph, NoGraph


def linear(graph: Graph, scorer: LinearScorer, rows: RowInputs) -> str:
    """Return the log odds of a weighted sum of standardised inputs."""
    k = len(scorer.inputs.numbers)
    parts = [rows.by_code(place, table) for place, table in enumerate(scorer._by_code)]
    if k:
        centred = graph.node("Sub", rows.matrix, graph.constant(scorer.centre[:k]))
        standard = graph.node("Div", centred, graph.constant(scorer.spread[:k]))
        known = graph.filled(standard, graph.constant(0.0))
        parts = [graph.node("Mul", known, graph.constant(scorer.weights[:k])), *(_column(graph, part) for part in parts)]
    else:
        parts = [_column(graph, part) for part in parts]
    return graph.node("Add", graph.row_sum(graph.beside(*parts)), graph.constant(scorer.base))


def deviation(graph: Graph, scorer: DeviationScorer, rows: RowInputs) -> str:
    """Return the root mean square of the largest robust deviations."""
    away = scaled(graph, columns_matrix(graph, scorer.columns, rows), scorer.scaling, FARTHEST)
    away = graph.filled(away, graph.constant(0.0))
    top = min(scorer.top, len(scorer.columns.names))
    largest = graph.largest(graph.node("Mul", away, away), top)
    return graph.node("Sqrt", graph.node("Div", graph.row_sum(largest), graph.constant(float(top))))


def network(graph: Graph, scorer: NetworkScorer, rows: RowInputs) -> str:
    """Return the mean log odds of networks of dense layers.

    Raises:
        NoGraph: They are no chain of dense layers.
    """
    silu = _curved(scorer.model)
    refuse_arrays(scorer.reader.inputs)
    reader = scorer.reader
    matrix = rows.matrix
    on_scale = graph.filled(scaled(graph, matrix, reader.scaling, CLIP), graph.constant(0.0))
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
        texts = [rows.by_code(place, weights[place].astype(float)) for place in range(len(reader.inputs.texts))]
        answers.append(dense(graph, graph.beside(numbers, *texts), weights[len(texts) :], silu))
    return graph.flat(_mean(graph, answers))


def restoring(graph: Graph, scorer: RestoringScorer, rows: RowInputs) -> str:
    """Return the error with which autoencoders restore a row, over the usual one.

    Raises:
        NoGraph: They are no chain of dense layers.
    """
    silu = _curved(scorer.model)
    on_scale = scaled(graph, columns_matrix(graph, scorer.columns, rows), scorer.scaling, scorer.model.clip)
    rounded = graph.doubles(graph.singles(on_scale))
    given = graph.filled(rounded, graph.constant(0.0))
    each = len(scorer.weights) // scorer.model.seeds
    errors = []
    for i in range(0, len(scorer.weights), each):
        gap = graph.node("Sub", dense(graph, given, scorer.weights[i : i + each], silu), rounded)
        errors.append(graph.filled(graph.node("Mul", gap, gap), graph.constant(0.0)))
    share = graph.node("Div", _mean(graph, errors), graph.constant(scorer.usual))
    return graph.node("Div", graph.row_sum(share), graph.constant(float(len(scorer.columns.names))))


def columns_matrix(graph: Graph, columns: Columns, rows: RowInputs) -> str:
    """Return `Columns.matrix`: numbers, and how rare each text is."""
    rare = [_column(graph, rows.by_code(place, by_code[:, None])) for place, by_code in enumerate(columns.rarity)]
    return graph.beside(*([rows.matrix] if columns.inputs.numbers or not rare else []), *rare)


def _curved(model: Any) -> Sequence[bool]:
    """Return which dense layers of a network are followed by SiLU.

    Raises:
        NoGraph: It is no chain of dense layers.
    """
    silu: Sequence[bool] = model.silu()
    if not silu:
        raise NoGraph(f"the layers of '{model.name}' are no chain of dense ones, which is all that is written here")
    return silu


def dense(graph: Graph, value: str, weights: Sequence[np.ndarray], silu: Sequence[bool]) -> str:
    """Return the answer of a chain of dense layers, in double precision, shape (n, outputs)."""
    for kernel, bias, curved in zip(weights[::2], weights[1::2], silu, strict=True):
        product = graph.node("MatMul", value, graph.constant(kernel))
        value = graph.node("Add", product, graph.constant(bias))
        if curved:
            value = graph.node("Mul", value, graph.node("Sigmoid", value))
    return value


def _mean(graph: Graph, values: Sequence[str]) -> str:
    total = values[0] if len(values) == 1 else graph.node("Sum", *values)
    return graph.node("Div", total, graph.constant(float(len(values))))


def _column(graph: Graph, value: str) -> str:
    return graph.node("Reshape", value, graph.constant([-1, 1], np.int64))
