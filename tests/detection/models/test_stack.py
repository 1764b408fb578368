"""Stacks: weights that find the better member, windows that are used once, rivals beside it."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.detection.models.anomaly.robust_z import RobustZ
from hwds.detection.models.base import Classifier
from hwds.detection.models.classify.logistic import Logistic
from hwds.detection.models.classify.positive_unlabelled import PositiveUnlabelled
from hwds.detection.models.classify.random_forest import RandomForest
from hwds.detection.models.classify.stack import (
    Stack,
    best_classifier_weights,
    intercept_of,
    shrunk_weights,
)
from hwds.detection.models.classify.xgboost import XGBoost
from hwds.detection.protocols.grouped_kfold import GroupedKFold
from hwds.detection.protocols.prequential import Prequential
from hwds.detection.rows import labels_of, split_halves
from hwds.stats.distributions import sigmoid
from tests.support.rows import context, relabelled, toy_rows, windows

MEMBERS = (XGBoost(trees=30, patience=5), RandomForest(trees=15), Logistic())


def odds(n=20_000, seed=0):
    """One member that knows the log odds, one with noise, one of noise alone."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-2, 1.5, n)
    label = (rng.random(n) < sigmoid(truth)).astype(float)
    return np.column_stack([truth, truth + rng.normal(0, 3, n), rng.normal(-2, 1, n)]), label


def test_many_rows_find_the_member_that_knows():
    answers, label = odds()
    assert shrunk_weights(answers, label, 10.0)[0] > 0.9
    assert best_classifier_weights(answers, label).tolist() == [1.0, 0.0, 0.0]


def test_weights_are_the_optimum_on_the_simplex():
    answers, label = odds(3000)
    found = shrunk_weights(answers, label, 10.0)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1.0)

    def loss(weights):
        total = answers @ weights + intercept_of(answers @ weights, label)
        return np.sum(np.logaddexp(0, total) - label * total) + 10.0 * np.sum(
            (weights - 1 / 3) ** 2
        )

    rng = np.random.default_rng(1)
    others = [
        *rng.dirichlet(np.ones(3), 200),
        *(0.99 * found + 0.01 * rng.dirichlet(np.ones(3), 200)),
    ]
    assert loss(found) <= min(loss(weights) for weights in others) + 1e-6


def test_few_positives_leave_them_near_equal():
    answers, label = odds(60, seed=2)
    assert 0 < label.sum() < 20
    assert np.abs(shrunk_weights(answers, label, 1000.0) - 1 / 3).max() < 0.03


class Watching(Logistic):
    """Says which rows it was given."""

    seen: ClassVar[list] = []

    def learn(self, train, *, stop, context):
        self.seen.append((set(train.data["row_id"]), set(stop.data["row_id"])))
        return super().learn(train, stop=stop, context=context)


def test_members_never_see_what_weighs_them_and_no_row_is_used_twice(monkeypatch):
    train, stop, calibrate, _ = windows(toy_rows())
    used = {}
    monkeypatch.setattr(
        "hwds.detection.models.classify.stack.shrunk_weights",
        lambda o, y, pull: used.setdefault("w", len(y)) and np.ones(2) / 2,
    )
    original = Classifier.calibrated

    def calibrated(self, scorer, rows):
        used["calibrate"] = set(rows.data["row_id"])
        return original(self, scorer, rows)

    monkeypatch.setattr(Classifier, "calibrated", calibrated)
    Watching.seen.clear()
    Stack(members=(Watching(), Logistic()), calibration="platt").fit(
        train, stop=stop, calibrate=calibrate, context=context()
    )
    first, second = (set(half.data["row_id"]) for half in split_halves(calibrate))
    given = set().union(*(rows for pair in Watching.seen for rows in pair))
    assert given == set(train.data["row_id"]) | set(stop.data["row_id"])
    assert used["w"] == len(first)
    assert used["calibrate"] == second
    assert not given & (first | second)
    assert not first & second


@pytest.mark.parametrize("calibration", ["none", "platt"])
def test_it_does_what_its_members_do_and_explains_itself(calibration):
    train, stop, calibrate, test = windows(toy_rows())
    stack = Stack(members=(*MEMBERS, RobustZ()), calibration=calibration, name="stack")
    found = stack.fit(train, stop=stop, calibrate=calibrate, context=context())
    said, why = found.score_rows(test), found.explain(test)
    np.testing.assert_allclose(why.base + why.values.sum(axis=1), said.score, atol=1e-5)
    assert said.probability.mean() == pytest.approx(labels_of(test).mean(), rel=0.4)
    from sklearn.metrics import roc_auc_score

    assert roc_auc_score(labels_of(test), said.score) > 0.85


def test_a_forest_in_it_is_explained_exactly():
    train, stop, calibrate, test = windows(toy_rows())
    found = Stack(members=(RandomForest(trees=15), Logistic())).fit(
        train, stop=stop, calibrate=calibrate, context=context()
    )
    why = found.explain(test)
    np.testing.assert_allclose(
        why.base + why.values.sum(axis=1), found.score_rows(test).score, atol=1e-9
    )


def test_the_equal_mean_and_the_best_member_stand_beside_it():
    stack = Stack(members=MEMBERS, calibration="platt", name="classify/stack")
    companions = stack.companions()
    assert [(rival.name, rival.combine) for rival in companions] == [
        ("classify/stack(combine=equal)", "equal"),
        ("classify/stack(combine=best)", "best"),
    ]
    assert all(
        rival.members == stack.members and rival.calibration == "platt" for rival in companions
    )
    assert companions[0].companions() == ()
    train, stop, calibrate, _ = windows(toy_rows())
    for rival in companions:
        weights = rival.fit(train, stop=stop, calibrate=calibrate, context=context()).scorer.weights
        assert weights.tolist() == (
            [1 / 3] * 3 if rival.combine == "equal" else np.eye(3)[weights.argmax()].tolist()
        )


def test_what_cannot_be_weighed_is_refused():
    train, stop, calibrate, _ = windows(toy_rows())
    stack = Stack(members=MEMBERS, calibration="platt")
    nobody = calibrate.filter(np.zeros(len(calibrate.data), bool))
    for rows in (nobody, relabelled(calibrate, pl.Series(np.zeros(len(calibrate.data))))):
        with pytest.raises(DataError, match=r"protocol.calibrate_days: a stack is weighed by"):
            stack.fit(train, stop=stop, calibrate=rows, context=context())
    with pytest.raises(ConfigError, match="must have calibration 'none'"):
        Stack(members=(Logistic(calibration="platt", name="mine"), Logistic()))
    with pytest.raises(ConfigError, match=r"'mine' must have sensitivity 1\.0"):
        Stack(members=(Logistic(sensitivity=0.8, name="mine"), Logistic()))
    with pytest.raises(ConfigError, match="'mine' must have refit 'always'"):
        Stack(members=(Logistic(refit="never", name="mine"), Logistic()))
    inner = Stack(members=(Logistic(), RobustZ()))
    with pytest.raises(DataError, match="no window to be put on one scale"):
        inner.learn(train, stop=stop, context=context())
    assert replace(inner, members=(Logistic(), MEMBERS[1])).learn(
        train, stop=stop, context=context()
    ).weights.tolist() == [
        0.5,
        0.5,
    ]


@pytest.mark.parametrize(
    "model",
    [Stack(members=MEMBERS), PositiveUnlabelled(member=Logistic()), Logistic(calibration="beta")],
)
def test_a_protocol_without_a_window_to_calibrate_by_is_refused_before_the_work(model):
    with pytest.raises(ConfigError, match=r"protocol.calibrate_days: must be > 0 for 'm'"):
        Prequential(calibrate_days=0).check_models({"m": replace(model, name="m")}, toy_rows())
    with pytest.raises(ConfigError, match=r"protocol.calibrate_folds: must be > 0 for 'm'"):
        GroupedKFold(calibrate_folds=0).check_models({"m": replace(model, name="m")}, toy_rows())
    Prequential(calibrate_days=0).check_models({"m": Logistic()}, toy_rows())
