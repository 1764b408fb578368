"""The graph of a fitted classifier: from numbers and texts to its score and, where there is one, its probability."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hwds.detection.models.anomaly.autoencoder import RestoringScorer
from hwds.detection.models.anomaly.isolation_forest import IsolationScorer
from hwds.detection.models.anomaly.robust_z import DeviationScorer
from hwds.detection.models.calibration.calibrators import Calibrator
from hwds.detection.models.classify.base import FittedClassifier
from hwds.detection.models.classify.logistic import LinearScorer
from hwds.detection.models.classify.xgboost import BoosterScorer
from hwds.detection.models.inputs.matrix import Inputs, inputs_of
from hwds.detection.models.networks.scorer import NetworkScorer
from hwds.detection.models.stacking.scorer import StackScorer
from hwds.detection.models.trees.forest import ForestScorer
from hwds.production.graphs.inputs import RowInputs, refuse_arrays
from hwds.production.graphs.numbers import deviation, linear, network, restoring
from hwds.production.graphs.trees import booster, forest, isolation
from hwds.production.graphs.writer import Graph, NoGraph
from hwds.statistics.log_odds import EDGE

Write = Callable[[Graph, Any, RowInputs], str]

SCORERS: dict[type, tuple[Write, float]] = {
    LinearScorer: (linear, 1e-9),
    BoosterScorer: (booster, 1e-5),
    ForestScorer: (forest, 1e-6),
    IsolationScorer: (isolation, 1e-6),
    DeviationScorer: (deviation, 1e-9),
    NetworkScorer: (network, 1e-5),
    RestoringScorer: (restoring, 1e-5),
}
"""By class of scorer how it is written, and how far the graph may be from it, as a share of 1 + the size of the score:
single precision where the model computes or rounds in it."""


def graph_of(fitted: FittedClassifier) -> tuple[Any, tuple[str, ...], tuple[str, ...], float]:
    """Return the ONNX model of a fitted classifier, its columns of numbers and of texts, and its tolerance.

    Raises:
        NoGraph: The model has no lawful graph, with the reason.
    """
    read = list(inputs_of(fitted.scorer))
    numbers = tuple(dict.fromkeys(name for inputs in read for name in inputs.numbers))
    texts = tuple(dict.fromkeys(name for inputs in read for name in inputs.texts))
    graph = Graph()
    score = _score(graph, fitted.scorer, numbers, texts)
    outputs = {"score": score}
    if fitted.likely:
        outputs["probability"] = probability(graph, score, fitted.calibrator)
    return graph.model(len(numbers), len(texts), outputs), numbers, texts, tolerance(fitted.scorer)


def tolerance(scorer: Any) -> float:
    """Return how far the graph of a scorer may be from it, as a share of 1 + the size of the score."""
    if isinstance(scorer, StackScorer):
        return max(tolerance(member.scorer) for member in scorer.members)
    return SCORERS[type(scorer)][1]


def _score(graph: Graph, scorer: Any, numbers: tuple[str, ...], texts: tuple[str, ...]) -> str:
    if isinstance(scorer, StackScorer):
        return _stack(graph, scorer, numbers, texts)
    if type(scorer) not in SCORERS:
        raise NoGraph(f"a '{type(scorer).__name__}' is written in no operators of ONNX here")
    inputs: Inputs = next(inputs_of(scorer))
    if not isinstance(scorer, IsolationScorer | DeviationScorer | RestoringScorer):
        refuse_arrays(inputs)
    return SCORERS[type(scorer)][0](graph, scorer, RowInputs(graph, inputs, numbers, texts))


def _stack(graph: Graph, stack: StackScorer, numbers: tuple[str, ...], texts: tuple[str, ...]) -> str:
    """Return the weighted sum of the members' log odds."""
    total = graph.constant([stack.shift])
    for member, weight in stack._weighted_members():
        odds = _odds(graph, _score(graph, member.scorer, numbers, texts), member.scale)
        total = graph.node("Add", total, graph.node("Mul", odds, graph.constant(weight)))
    return total


def _odds(graph: Graph, score: str, scale: Calibrator) -> str:
    """Return `Calibrator.odds` of scores."""
    if scale.sensitivity == 1.0 and scale.kind in ("none", "platt"):
        return _line(graph, _own_odds(graph, score, scale), scale)
    return _log_odds(graph, probability(graph, score, scale))


def probability(graph: Graph, score: str, scale: Calibrator) -> str:
    """Return `Calibrator.probability` of scores."""
    labelled = graph.node("Div", _labelled(graph, score, scale), graph.constant(scale.sensitivity))
    return graph.node("Min", labelled, graph.constant(1.0))


def _labelled(graph: Graph, score: str, scale: Calibrator) -> str:
    if scale.kind == "isotonic":
        return _steps(graph, score, scale.knots)
    odds = _own_odds(graph, score, scale)
    if scale.kind == "beta":
        held = _clip(graph, graph.node("Sigmoid", odds), EDGE, 1 - EDGE)
        above = graph.node("Neg", graph.node("Log", graph.node("Sub", graph.constant(1.0), held)))
        below = graph.node("Mul", graph.node("Log", held), graph.constant(scale.coefficients[0]))
        line = graph.node("Add", below, graph.node("Mul", above, graph.constant(scale.coefficients[1])))
        return graph.node("Sigmoid", graph.node("Add", line, graph.constant(scale.coefficients[2])))
    if scale.kind == "bayes":
        column = graph.node("Reshape", odds, graph.constant([-1, 1], np.int64))
        lines = graph.node("Mul", column, graph.constant(scale.coefficients[:, 0][None]))
        chances = graph.node("Sigmoid", graph.node("Add", lines, graph.constant(scale.coefficients[:, 1][None])))
        return graph.node("Div", graph.row_sum(chances), graph.constant(float(len(scale.coefficients))))
    return graph.node("Sigmoid", _line(graph, odds, scale))


def _line(graph: Graph, odds: str, scale: Calibrator) -> str:
    if scale.kind != "platt":
        return odds
    slope, intercept = (graph.constant(number) for number in scale.coefficients)
    return graph.node("Add", graph.node("Mul", odds, slope), intercept)


def _own_odds(graph: Graph, score: str, scale: Calibrator) -> str:
    return _log_odds(graph, score) if scale.chance else score


def _log_odds(graph: Graph, chance: str) -> str:
    held = _clip(graph, chance, EDGE, 1 - EDGE)
    return graph.node("Sub", graph.node("Log", held), graph.node("Log", graph.node("Sub", graph.constant(1.0), held)))


def _clip(graph: Graph, value: str, low: float, high: float) -> str:
    return graph.node("Min", graph.node("Max", value, graph.constant(low)), graph.constant(high))


def _steps(graph: Graph, score: str, knots: np.ndarray) -> str:
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
    part = graph.node("Min", graph.node("Max", gone, graph.constant(0.0)), graph.constant(width[None]))
    rises = graph.node("Mul", part, graph.constant((np.diff(height) / width)[None]))
    return graph.node("Add", graph.row_sum(rises), graph.constant(height[0]))
