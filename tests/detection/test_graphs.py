"""The graph of a fitted classifier says what the classifier says."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from hwds import Table, detection
from hwds.core.onnx_graph import GraphScorer, NoGraph
from hwds.detection.inputs import ColumnScaling, NumberColumns
from hwds.detection.models.anomaly.autoencoder import RestoringScorer
from hwds.detection.models.base import FittedClassifier
from hwds.detection.networks import InputReader, NetworkScorer
from hwds.detection.serving import graph_of
from hwds.stats.binary_labels import Calibrator, identity_calibrator

pytest.importorskip("onnxruntime")


def rows(n, seed):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n, 3))
    skewed = rng.exponential(40.0, n) ** 1.5
    shop = rng.choice(["a", "b", "c", "d"], n)
    odds = numbers[:, 0] - 1.2 + (shop == "c") + 0.01 * skewed
    label = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(float)
    numbers[rng.random(n) < 0.1, 1] = np.nan
    columns = {f"x{i}": pl.Series(column, nan_to_null=True) for i, column in enumerate(numbers.T)}
    shops = pl.Series(shop).set(pl.Series(rng.random(n) < 0.05), None)
    return Table.of(
        pl.DataFrame({**columns, "skewed": skewed, "shop": shops, "label": label}), label="label"
    )


@pytest.fixture(scope="module")
def windows():
    return rows(500, 1), rows(200, 2), rows(300, 3)


MODELS = {
    "logistic": detection.Logistic(),
    "xgboost": detection.XGBoost(trees=30, calibration="isotonic"),
    "forest": detection.RandomForest(trees=10, calibration="beta"),
    "z": detection.RobustZ(),
    "isolation": detection.IsolationForest(trees=10, calibration="bayes"),
}


def untrained_network(train):
    """A network of dense layers with drawn weights: what is tested is its graph, not its
    training.
    """
    model, rng = detection.MLP(units=8, seeds=2), np.random.default_rng(4)
    reader = InputReader.learn(train, arrays=False)
    shape = reader.shape(model)
    widths = [shape.numbers + 3, 8, 8, 1]
    net = [rng.normal(size=(many, 3)) for many in shape.texts]
    net += [
        part for a, b in pairwise(widths) for part in (rng.normal(size=(a, b)), rng.normal(size=b))
    ]
    weights = tuple(part.astype(np.float32) for _ in range(2) for part in net)
    scorer = NetworkScorer(model, reader, weights, reader.mean(reader.rows(train)), 1, "cpu")
    return FittedClassifier(
        scorer, Calibrator("platt", np.array([0.7, -0.1]), np.zeros((2, 0))), True, np.zeros(0)
    )


def untrained_autoencoder(train):
    """An autoencoder with drawn weights."""
    model, rng = detection.Autoencoder(units=8, narrow=2, seeds=1), np.random.default_rng(5)
    columns = NumberColumns.learn(train)
    scaling = ColumnScaling.learn(columns.matrix(train), least=columns.least_spread)
    k = len(columns.names)
    widths = [k, 8, 2, 8, k]
    weights = tuple(
        part.astype(np.float32)
        for a, b in pairwise(widths)
        for part in (rng.normal(size=(a, b)), rng.normal(size=b))
    )
    scorer = RestoringScorer(model, columns, scaling, weights, np.full(k, 1.5), 1, "cpu")
    return FittedClassifier(scorer, identity_calibrator(False), False, np.sort(rng.normal(size=50)))


def fitted_of(name, windows):
    untrained = {"mlp": untrained_network, "autoencoder": untrained_autoencoder}.get(name)
    return (
        untrained(windows[0]) if untrained else MODELS[name].fit(windows[0], calibrate=windows[1])
    )


@pytest.mark.parametrize("name", [*MODELS, "mlp", "autoencoder"])
def test_a_graph_agrees_with_its_model(windows, name):
    asked, fitted = windows[2], fitted_of(name, windows)
    model, numbers, texts, tolerance = graph_of(fitted)
    graph = model.SerializeToString()
    wanted = fitted.score_rows(asked)
    got = GraphScorer(graph, numbers, texts).score(asked.data.to_dicts())
    assert np.max(np.abs(got["score"] - wanted.score) / (1 + np.abs(wanted.score))) <= tolerance
    assert ("probability" in got) == (wanted.probability is not None)
    if wanted.probability is not None:
        assert np.max(np.abs(got["probability"] - wanted.probability)) <= tolerance
    one = GraphScorer(graph, numbers, texts).score(asked.data.head(1).to_dicts())
    assert one["score"] == pytest.approx(got["score"][:1], rel=1e-12)
    assert len(GraphScorer(graph, numbers, texts).score([])["score"]) == 0


def test_what_has_no_graph_says_why(windows):
    class Own:
        def score(self, rows):
            return np.zeros(rows.height)

    fitted = MODELS["logistic"].fit(windows[0])
    object.__setattr__(fitted, "scorer", Own())
    with pytest.raises(NoGraph, match="'Own' is written in no operators"):
        graph_of(fitted)
