"""What every detector promises: learned from normal rows alone, p-values that hold, reasons that
add up.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.detection.inputs import NumberColumns
from hwds.detection.models.anomaly.isolation_forest import IsolationForest, fill_medians
from hwds.detection.models.anomaly.robust_z import RobustZ
from hwds.detection.models.anomaly.tails import Tails
from hwds.detection.models.base import Detector, normal_rows
from hwds.detection.rows import labels_of
from hwds.evaluation.trees import latest_share
from hwds.frames.table import Table
from tests.support.rows import context, relabelled, toy_rows, windows

DETECTORS = [RobustZ(top=1), RobustZ(top=3), IsolationForest(trees=50)]


def ids(value):
    return f"{type(value).__name__}{getattr(value, 'top', '')}"


def fitted(model, parts=None):
    train, stop, calibrate, _ = parts or windows(toy_rows())
    return model.fit(train, stop=stop, calibrate=calibrate, context=context())


def simulated(n=6000, odd=0.02, seed=0):
    """Numbers that hang together, a skewed one and a text; odd rows break one of the bonds."""
    rng = np.random.default_rng(seed)
    bad = rng.random(n) < odd
    size = rng.normal(size=n)
    columns = {
        "size": size,
        "weight": size + 0.2 * rng.normal(size=n) + 4 * bad * rng.choice([-1, 1], n),
        "spent": np.exp(rng.normal(3, 1, n) + 2.5 * bad),
        "noise": rng.normal(size=n),
        "kind": np.where(rng.random(n) < 0.002, "rare", rng.choice(["a", "b", "c"], n)),
    }
    data = pl.DataFrame(columns | {"bad": bad.astype(float)})
    return Table.build(data, {"label": ("bad",), "covariate": tuple(columns)})


def parts_of(table, *shares):
    edges = (np.cumsum([0, *shares]) * len(table.data)).round().astype(int)
    place = np.arange(len(table.data))
    return [table.filter((place >= begin) & (place < end)) for begin, end in pairwise(edges)]


def average_precision(label, score):
    from sklearn.metrics import average_precision_score

    return average_precision_score(label, score)


@pytest.mark.parametrize("model", DETECTORS, ids=ids)
def test_planted_rows_are_found(model):
    train, test = parts_of(simulated(), 0.5, 0.5)
    none = test.filter(np.zeros(len(test.data), bool))
    said = model.fit(train, stop=none, calibrate=none, context=context()).score_rows(test)
    assert average_precision(labels_of(test), said.score) > 10 * labels_of(test).mean()
    assert said.probability is None


@pytest.mark.parametrize("model", DETECTORS, ids=ids)
@pytest.mark.parametrize("window", [True, False])
def test_of_new_normals_a_share_lies_at_or_below_a_level(model, window):
    found = []
    for seed in range(4):
        train, calibrate, test = parts_of(simulated(seed=seed, n=8000), 0.5, 0.2, 0.3)
        none = test.filter(np.zeros(len(test.data), bool))
        said = model.fit(
            train, stop=none, calibrate=calibrate if window else none, context=context()
        ).score_rows(test)
        found.append((said.p_value[labels_of(test) == 0] <= 0.05).mean())
        assert said.p_value.min() > 0
        assert said.p_value.max() <= 1
    assert 0.04 < np.mean(found) < 0.06


@pytest.mark.parametrize("model", DETECTORS, ids=ids)
def test_what_the_inputs_add_is_the_score(model):
    made, test = fitted(model), windows(toy_rows())[3]
    told = made.explain(test)
    assert told.names == ("spent", "quantity", "promoted", "visits", "channel")
    assert np.allclose(told.base + told.values.sum(axis=1), made.score_rows(test).score, atol=1e-12)


def test_the_reason_is_what_is_odd():
    train, test = parts_of(simulated(), 0.5, 0.5)
    test = test.filter(np.arange(len(test.data)) < 1)
    none = test.filter(np.zeros(1, bool))
    for model in DETECTORS:
        made = model.fit(train, stop=none, calibrate=none, context=context())
        for name in ("noise", "spent"):
            told = made.explain(replace(test, data=test.data.with_columns(pl.lit(1e4).alias(name))))
            assert told.names[int(told.values[0].argmax())] == name, model


@pytest.mark.parametrize("model", DETECTORS, ids=ids)
def test_nothing_is_learned_from_positives_or_from_held_out_rows(model):
    train, stop, calibrate, test = windows(toy_rows())
    empty = calibrate.filter(np.zeros(len(calibrate.data), bool))
    score = fitted(model, (train, stop, empty, test)).scorer.score(test)
    bad = labels_of(train) == 1
    last = latest_share(normal_rows(train), model.held_out)
    out = np.zeros(len(bad), bool)
    out[np.flatnonzero(~bad)[last]] = True
    assert out.sum() == round(0.2 * (~bad).sum())
    for which in (bad, out):
        rubbish = train.data.with_columns(
            pl.when(pl.Series(which)).then(1e6).otherwise(pl.col("spent")).alias("spent")
        )
        other = fitted(model, (replace(train, data=rubbish), stop, empty, test))
        assert other.scorer.score(test).tobytes() == score.tobytes()
    assert (
        fitted(model, (train, stop, calibrate, test)).scorer.score(test).tobytes()
        != score.tobytes()
    )


def test_rows_without_a_label_are_normal_ones():
    train, *others = windows(toy_rows())
    label = pl.Series(np.where(labels_of(train) == 0, np.nan, 1.0), nan_to_null=True)
    first, second = (
        fitted(RobustZ(), (rows, *others)) for rows in (train, relabelled(train, label))
    )
    assert (
        first.score_rows(others[2]).score.tobytes() == second.score_rows(others[2]).score.tobytes()
    )


def test_the_held_out_rows_are_the_last_to_arrive():
    table = simulated(n=10)
    assert latest_share(table, 0.3).tolist() == [False] * 7 + [True] * 3
    when = pl.Series("when", [9, 1, 2, 3, 4, 5, 6, 7, 8, 0])
    timed = replace(
        table, data=table.data.with_columns(when), roles=table.roles | {"time": ("when",)}
    )
    assert np.flatnonzero(latest_share(timed, 0.2)).tolist() == [0, 8]
    assert latest_share(table, 0.99).sum() == 9
    assert len(latest_share(table.filter(np.zeros(10, bool)), 0.5)) == 0


def test_calibration_makes_probabilities():
    said = fitted(RobustZ(calibration="platt")).score_rows(windows(toy_rows())[3])
    assert 0.02 < said.probability.mean() < 0.3
    assert np.array_equal(
        np.argsort(said.probability, kind="stable"), np.argsort(said.score, kind="stable")
    )
    train, stop, calibrate, _ = windows(toy_rows())
    with pytest.raises(DataError, match="needs labels in a window to calibrate by"):
        fitted(
            RobustZ(calibration="platt"),
            (train, stop, calibrate.filter(np.zeros(len(calibrate.data), bool)), None),
        )


@pytest.mark.parametrize("model", DETECTORS, ids=ids)
def test_a_bad_column_is_harmless(model, recwarn):
    train, test = parts_of(simulated(), 0.5, 0.5)
    none = test.filter(np.zeros(len(test.data), bool))
    bad = {
        "constant": pl.lit(3.0),
        "missing": pl.lit(None, pl.Float64),
        "endless": pl.lit(np.inf),
        "untold": pl.lit(None, pl.String),
    }
    wide = [
        part.with_inputs(part.data.with_columns(**bad).select(*bad)) for part in (train, test, none)
    ]
    said = model.fit(wide[0], stop=wide[2], calibrate=wide[2], context=context()).score_rows(
        wide[1]
    )
    assert np.isfinite(said.score).all()
    assert average_precision(labels_of(test), said.score) > 10 * labels_of(test).mean()
    assert not recwarn.list


@pytest.mark.parametrize("kind", ["positives", "arrays"])
def test_nothing_to_learn_from_is_refused(kind):
    train, *others = windows(toy_rows())
    rows = (
        relabelled(train, np.ones(len(train.data)))
        if kind == "positives"
        else replace(train, roles=train.roles | {"covariate": ("last",)})
    )
    with pytest.raises(DataError, match="normal rows" if kind == "positives" else "all arrays"):
        fitted(RobustZ(), (rows, *others))


def test_the_forest_is_scikit_learns():
    from sklearn.ensemble import IsolationForest as Forest

    train, _, _, test = windows(toy_rows())
    rows = normal_rows(train)
    for sample in (1, 2, 64, 10_000):
        scorer = IsolationForest(trees=30, sample=sample).learn(rows, stop=test, context=context())
        forest = Forest(
            n_estimators=30,
            max_samples=min(sample, len(rows.data)),
            random_state=context().seed_for("isolation forest"),
        )
        columns = NumberColumns.learn(rows)
        forest.fit(fill_medians(columns.matrix(rows), scorer.middle))
        theirs = forest.score_samples(fill_medians(columns.matrix(test), scorer.middle))
        if sample > 1:  # where a tree is a leaf, they divide by zero
            assert np.allclose(-(2 ** scorer.score(test)), theirs, atol=1e-12)
        assert np.isfinite(scorer.score(test)).all()


def test_the_largest_deviations_count():
    train = simulated(n=4000, odd=0.0)
    made = RobustZ(top=2).learn(train, stop=train, context=context())
    values = {"size": 30.0, "weight": 40.0}
    row = train.filter(np.arange(4000) < 1)
    plain = {name: pl.lit(float(train.data[name].median())) for name in ("spent", "noise")}
    asked = replace(
        row,
        data=row.data.with_columns(
            kind=pl.lit("a"), **plain, **{k: pl.lit(v) for k, v in values.items()}
        ),
    )
    told = made.explain(asked)
    named = dict(zip(told.names, told.values[0], strict=True))
    centre = {name: float(train.data[name].median()) for name in values}
    spread = {
        name: 1.4826 * float((train.data[name] - centre[name]).abs().median()) for name in values
    }
    away = [(values[name] - centre[name]) / spread[name] for name in values]
    assert np.isclose(made.score(asked)[0], np.sqrt(np.mean(np.square(away))))
    assert named["noise"] == 0
    assert np.isclose(named["size"] / named["weight"], (away[0] / away[1]) ** 2)


def test_a_detector_says_what_it_lacks():
    with pytest.raises(NotImplementedError, match=r"Detector\.learn"):
        fitted(Detector())


def test_no_input_adds_more_than_the_bound():
    rng = np.random.default_rng(3)
    table = Table.build(
        pl.DataFrame({"x": rng.normal(size=400), "y": rng.normal(size=400)}),
        {"covariate": ("x", "y")},
    )
    far = Table.build(
        pl.DataFrame({"x": [9.0, 9.0, 1.5], "y": [0.0, 9.0, 1.5]}), {"covariate": ("x", "y")}
    )
    scores = {}
    for most in (None, 3.0):
        scorer = Tails(high=("x", "y"), most=most).learn(table, stop=table, context=context())
        scores[most] = scorer.explain(far).values
    assert scores[3.0].max() == 3.0
    assert np.allclose(scores[3.0], np.minimum(scores[None], 3.0))
    assert scores[None].sum(axis=1).argmax() == scores[3.0].sum(axis=1).argmax() == 1
