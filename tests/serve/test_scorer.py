"""What is said of events is what is said of a table of them, model by model, to the bit and without
making one.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest

from hwds.detection.models.anomaly.autoencoder import Autoencoder
from hwds.detection.models.anomaly.isolation_forest import IsolationForest
from hwds.detection.models.anomaly.robust_z import RobustZ
from hwds.detection.models.classify.logistic import Logistic
from hwds.detection.models.classify.mlp import MLP
from hwds.detection.models.classify.positive_unlabelled import PositiveUnlabelled
from hwds.detection.models.classify.random_forest import RandomForest
from hwds.detection.models.classify.stack import Stack
from hwds.detection.models.classify.xgboost import XGBoost
from hwds.detection.predictions import main_inputs
from hwds.detection.serving import ServedClassifier, known_texts
from hwds.frames.table import RowBatch
from hwds.serve.events.online import RowScorer
from tests.support.rows import context, toy_rows, windows

FAST = {"epochs": 2, "seeds": 2, "least_steps": 10}
LEARNERS = (Logistic(), XGBoost(trees=30, patience=0), RandomForest(trees=10))
MODELS = {
    "logistic": Logistic(calibration="platt"),
    "logistic of few labels": Logistic(calibration="bayes"),
    "xgboost": XGBoost(trees=40, patience=0, calibration="beta", weight=3.0),
    "forest": RandomForest(trees=15, calibration="isotonic"),
    "robust_z": RobustZ(),
    "isolation_forest": IsolationForest(trees=20),
    "stack": Stack(members=(*LEARNERS, RobustZ(), IsolationForest(trees=10)), calibration="platt"),
    "mlp": MLP(units=8, **FAST),
    "autoencoder": Autoencoder(units=8, narrow=2, **FAST),
    "positive_unlabelled": PositiveUnlabelled(member=XGBoost(trees=20, patience=0)),
}
SECOND = {"a": 0.5, "b": 0.3, "c": 0.2}


def rows_of_two_texts():
    """Two columns of texts, one that was never known, and one that never changed."""
    table = toy_rows()
    shelf = pl.Series(
        np.random.default_rng(1).choice(list(SECOND), table.height, p=list(SECOND.values()))
    )
    more = {
        "shelf": shelf,
        "untold": pl.lit(None, pl.String),
        "same": pl.lit(2.0),
        "empty": pl.lit(None, pl.Float64),
    }
    return table.with_inputs(table.data.with_columns(**more).select(*more))


@cache
def fitted(name):
    train, stop, calibrate, _ = windows(rows_of_two_texts())
    return MODELS[name].fit(train, stop=stop, calibrate=calibrate, context=context())


@cache
def asked():
    """Rows of the test window, every other one of them with something that no row has had."""
    table = windows(rows_of_two_texts())[3]
    changes = [
        {"channel": "moon"},
        {"channel": None, "shelf": None, "untold": None},
        {"spent": None, "quantity": None, "visits": None, "promoted": None},
        {"spent": 1e300, "quantity": 2**40, "visits": -1e300},
        {"spent": 1e-5, "visits": -0.0, "untold": "told", "same": 9.0, "empty": 1.0},
        dict.fromkeys(table.inputs),
    ]
    odd = [
        row | (changes[k // 2 % len(changes)] if k % 2 else {})
        for k, row in enumerate(table.data.to_dicts()[:60])
    ]
    data = pl.DataFrame(
        [
            pl.Series(name, [row[name] for row in odd], kind)
            for name, kind in table.data.schema.items()
        ]
    )
    return replace(table, data=data), odd


@pytest.mark.parametrize("size", [1, 7, 60])
@pytest.mark.parametrize("name", MODELS)
def test_events_are_judged_as_a_table_of_them_to_the_bit(name, size, monkeypatch):
    model, (table, rows) = fitted(name), asked()
    said, why = model.score_rows(table), model.explain(table)
    scale = np.maximum(1, np.abs(why.values).max(axis=1))
    assert np.abs(why.base + why.values.sum(axis=1) - said.score).max() <= 1e-5 * scale.max()
    wanted = main_inputs(why, table, model.usual)
    scorer = RowScorer(ServedClassifier(model), replace(table, data=table.data.clear()))
    monkeypatch.setattr(
        RowBatch, "table", property(lambda _: pytest.fail("a table was made of a few rows"))
    )
    for begin in range(0, len(rows), size):
        part = slice(begin, begin + size)
        told, reasons = scorer.score(rows[part], reasons=True)
        for which in ("score", "probability", "p_value"):
            ours, theirs = getattr(told, which), getattr(said, which)
            assert (ours is None) == (theirs is None)
            assert ours is None or ours.tobytes() == theirs[part].tobytes()
        assert (told.interval is None) == (said.interval is None)
        assert told.interval is None or told.interval.tobytes() == said.interval[:, part].tobytes()
        assert reasons == wanted[part]
    seen = known_texts(model.scorer)
    assert scorer.unknown == {
        "channel": sum(
            row["channel"] is not None and row["channel"] not in seen["channel"] for row in rows
        ),
        "shelf": 0,
        "untold": sum(row["untold"] is not None for row in rows),
    }
    assert scorer.unknown["channel"] == scorer.unknown["untold"] == 5
