"""What networks of rows promise: the same bits again, reasons that add up, sequences that are read;
the autoencoder too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.detection.inputs import ModelInputs
from hwds.detection.models.anomaly.autoencoder import Autoencoder, network_inputs
from hwds.detection.models.base import normal_rows
from hwds.detection.models.classify.mlp import MLP
from hwds.detection.models.classify.sequence import Sequence
from hwds.detection.networks import (
    COMPLETE,
    DenseNetworks,
    InputReader,
    RowNetwork,
    RowShape,
    TrainedNetworks,
)
from hwds.detection.rows import labelled_rows, labels_of
from hwds.evaluation.networks import Training
from hwds.evaluation.trees import latest_share
from tests.support.rows import context, relabelled, toy_rows, windows

ROOT = Path(__file__).resolve().parents[3]
PLAIN = ("spent", "quantity", "promoted", "visits", "channel")
FAST = {"epochs": 5, "seeds": 2, "batch": 64, "learning_rate": 1e-2}
MODELS = {
    "mlp": MLP(units=16, **FAST),
    "sequence": Sequence(units=8, **FAST),
    "autoencoder": Autoencoder(units=16, narrow=2, **FAST),
}
CLASSIFIERS = ("mlp", "sequence")
WITHOUT = """
import json, sys
from hwds.cli.main import main
code = main()
print(json.dumps([code, sorted({"tensorflow", "keras"} & set(sys.modules))]), file=sys.stderr)
"""


def fitted_on(model, parts):
    train, stop, calibrate, _ = parts
    return model.fit(train, stop=stop, calibrate=calibrate, context=context())


@pytest.fixture(scope="module")
def parts():
    return windows(toy_rows())


@pytest.fixture(scope="module")
def fitted(parts):
    return {name: fitted_on(model, parts) for name, model in MODELS.items()}


def ranked(label, score):
    from sklearn.metrics import roc_auc_score

    return roc_auc_score(label, score)


def no_rows(part):
    return part.filter(np.zeros(len(part.data), bool))


@pytest.mark.parametrize("name", MODELS)
def test_it_learns(name, fitted, parts):
    said = fitted[name].score_rows(parts[3])
    assert ranked(labels_of(parts[3]), said.score) > (0.8 if name in CLASSIFIERS else 0.6)
    if name in CLASSIFIERS:
        assert abs(said.probability.mean() - labels_of(parts[3]).mean()) < 0.06
        assert said.p_value is None
    else:
        assert said.probability is None
        assert 0 < said.p_value.min() <= said.p_value.max() <= 1


@pytest.mark.parametrize("name", MODELS)
def test_what_the_inputs_add_is_the_score(name, fitted, parts):
    told, score = fitted[name].explain(parts[3]), fitted[name].score_rows(parts[3]).score
    assert np.allclose(told.base + told.values.sum(axis=1), score, atol=1e-9)
    wanted = {"mlp": (*PLAIN, "rest"), "sequence": (*PLAIN, "last", "rest"), "autoencoder": PLAIN}
    assert told.names == wanted[name]
    if name in CLASSIFIERS:
        assert np.abs(told.values[:, -1]).max() < COMPLETE
        assert np.abs(told.values[:, :-1]).max() > 0.3


@pytest.mark.parametrize("name", MODELS)
def test_a_row_is_judged_the_same_whatever_stands_beside_it(name, fitted, parts):
    test, few = parts[3], np.arange(len(parts[3].data)) % 7 == 3
    score, values = fitted[name].score_rows(test).score, fitted[name].explain(test).values
    some = test.filter(few)
    assert fitted[name].score_rows(some).score.tobytes() == score[few].tobytes()
    assert fitted[name].explain(some).values.tobytes() == values[few].tobytes()
    assert fitted[name].score_rows(no_rows(test)).score.shape == (0,)
    assert fitted[name].explain(no_rows(test)).values.shape == (0, values.shape[1])


@pytest.mark.parametrize("name", MODELS)
def test_the_same_context_gives_the_same_bits_after_other_fits(name, fitted, parts):
    score = fitted[name].score_rows(parts[3]).score
    train, stop, calibrate, test = parts
    other = (
        MODELS[name]
        .fit(train, stop=stop, calibrate=calibrate, context=context(seed=9))
        .score_rows(test)
        .score
    )
    assert not np.array_equal(other, score)
    assert fitted_on(MODELS[name], parts).score_rows(test).score.tobytes() == score.tobytes()


@pytest.mark.parametrize(
    "model",
    [MLP(units=12, layers=1, **FAST), MLP(units=7, layers=3, **FAST), MODELS["autoencoder"]],
)
def test_chains_of_dense_layers_are_what_keras_says_of_them(model, parts):
    """In its single precision; two texts of as many values each, and none."""
    rng = np.random.default_rng(0)
    more = {
        "shelf": pl.Series(rng.choice(list("abcd"), 587)),
        "aisle": pl.Series(rng.choice(list("efgh"), 587)),
    }
    train = (
        parts[0].with_inputs(pl.DataFrame(more))
        if isinstance(model, MLP)
        else normal_rows(parts[0])
    )
    scorer = model.learn(train, stop=no_rows(train), context=context())
    chain = scorer._networks
    assert isinstance(chain, DenseNetworks)
    if isinstance(model, MLP):
        shape, rows = scorer.reader.shape(model), scorer.reader.rows(train)
        assert rows[1].max(axis=0).tolist() == [4, 4, 4]
    else:
        shape, rows = (
            RowShape(5, (), (), model),
            network_inputs(rng.normal(0, 3, (700, 5)).astype(np.float32)),
        )
    keras = TrainedNetworks(shape, scorer.weights, model.seeds, "cpu", 1, chain.mean)
    answers = keras.predict(rows)
    np.testing.assert_allclose(
        chain.predict(rows).reshape(answers.shape), answers, rtol=1e-5, atol=1e-5
    )
    if isinstance(model, MLP):
        assert chain.base == pytest.approx(keras.base, abs=1e-5)
        for ours, theirs in zip(chain.path_parts(rows, 8), keras.path_parts(rows, 8), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_model_made_of_a_chain_is_asked_by_keras(parts):
    class Wider(MLP):
        """May have any body."""

    assert Wider().silu() == ()
    assert isinstance(fitted_on(Wider(units=4, **FAST), parts).scorer._networks, TrainedNetworks)


def test_only_the_sequence_reads_arrays(fitted, parts):
    test = parts[3]
    turned = pl.Series(
        "last", test.data["last"].to_numpy()[:, ::-1].copy(), dtype=test.data["last"].dtype
    )
    other = replace(test, data=test.data.with_columns(turned))
    for name in MODELS:
        same = np.array_equal(
            fitted[name].score_rows(other).score, fitted[name].score_rows(test).score
        )
        assert same == (name != "sequence")


def test_the_order_of_steps_is_learned():
    """The label is whether the larger number came last, which no sum over the steps tells."""
    rng = np.random.default_rng(1)
    steps = rng.normal(size=(1200, 4)).astype(np.float32)
    table = toy_rows(n=1200).with_inputs(
        pl.DataFrame({"last": pl.Series(steps, dtype=pl.Array(pl.Float32, 4))})
    )
    table = replace(
        relabelled(table, (steps[:, 3] > steps[:, 2]).astype(float)),
        roles=table.roles | {"covariate": ("last",)},
    )
    train, stop, calibrate, test = windows(table)
    model = Sequence(units=12, epochs=15, seeds=1, batch=64, learning_rate=2e-2)
    said = model.fit(train, stop=stop, calibrate=calibrate, context=context()).score_rows(test)
    assert ranked(labels_of(test), said.score) > 0.95


def test_a_window_for_stopping_is_used_and_else_the_last_rows_are(parts, monkeypatch):
    asked = []

    def best_weights(self, target, inner, seed):
        asked.append(("stopped", len(target), len(inner.target), seed))
        return [np.zeros(1, np.float32)]

    def best_epochs(self, target, inner, seed):
        asked.append(("best", len(target), len(inner.target), seed))
        return 3 + seed

    def train(self, target, epochs, seed):
        asked.append(("train", len(target), epochs, seed))
        return [np.zeros(1, np.float32)]

    for method in (best_weights, best_epochs, train):
        monkeypatch.setattr(Training, method.__name__, method)
    train_rows, stop = parts[0], parts[1]
    n, late = len(train_rows.data), len(stop.data)
    MODELS["mlp"].learn(train_rows, stop=stop, context=context())
    assert asked == [("stopped", n, late, 0), ("stopped", n, late, 1)]
    asked.clear()
    MODELS["mlp"].learn(train_rows, stop=no_rows(stop), context=context())
    inner = round(0.2 * n)
    assert asked == [("best", n - inner, inner, seed) for seed in (0, 1)] + [
        ("train", n, 3, 0),
        ("train", n, 4, 1),
    ]


@pytest.mark.parametrize("with_stop", [True, False])
def test_the_autoencoder_learns_from_held_in_normals_alone(parts, monkeypatch, with_stop):
    given = {}

    def train_networks(self, shape, rows, inner, context):
        given.update(rows=rows.target, inner=inner.target)
        return ()

    monkeypatch.setattr(RowNetwork, "train_networks", train_networks)
    monkeypatch.setattr(
        "hwds.detection.models.anomaly.autoencoder.RestoringScorer.errors",
        lambda self, scaled: np.ones(scaled.shape),
    )
    train, stop, calibrate, _ = parts
    empty = no_rows(calibrate)
    MODELS["autoencoder"].fit(
        train, stop=stop if with_stop else empty, calibrate=empty, context=context()
    )
    held_in = int((~latest_share(normal_rows(train), 0.2)).sum())
    inner = len(normal_rows(stop).data) if with_stop else round(0.2 * held_in)
    assert len(given["rows"]) == (held_in if with_stop else held_in - inner)
    assert len(given["inner"]) == inner


@pytest.mark.parametrize("name", MODELS)
def test_bad_columns_are_harmless(name, parts, recwarn):
    columns = {
        "constant": pl.lit(3.0),
        "missing": pl.lit(None, pl.Float64),
        "endless": pl.when(pl.col("row_id") % 50 == 0).then(np.inf).otherwise(pl.col("spent")),
        "untold": pl.lit(None, pl.String),
    }
    wide = tuple(
        part.with_inputs(part.data.with_columns(**columns).select(*columns)) for part in parts
    )
    made = fitted_on(replace(MODELS[name], seeds=1), wide)
    score = made.score_rows(wide[3]).score
    assert ranked(labels_of(wide[3]), score) > (0.8 if name in CLASSIFIERS else 0.55)
    told = made.explain(wide[3])
    assert np.allclose(told.base + told.values.sum(axis=1), score, atol=1e-9)
    assert np.isfinite(told.values).all()
    assert (
        np.abs(told.values[:, told.names.index("constant")]).max() < 1e-6 or name == "autoencoder"
    )
    assert not recwarn.list


def test_holes_have_a_flag_and_texts_a_mean(parts):
    rows = labelled_rows(parts[0])
    reader = InputReader.learn(rows, arrays=True)
    numbers, codes, last = reader.rows(rows)
    assert reader.names == (*PLAIN, "last")
    assert numbers.shape == (len(rows.data), 5)  # four, and the flag of `visits`
    hole = rows.data["visits"].is_null().to_numpy()
    assert np.array_equal(numbers[:, 4], hole)
    assert (numbers[hole, 3] == 0).all()
    assert last.shape == (len(rows.data), 2, 2)
    mean = reader.mean((numbers, codes, last))
    shares = np.bincount(codes[:, 0], minlength=5) / len(codes)
    assert np.allclose(mean[1][0], shares)
    parts_ = (np.ones((1, 5)), np.full((1, 1), 5.0), np.ones((1, 2, 2)))
    assert reader.by_input(parts_).tolist() == [[1, 1, 1, 2, 5, 4]]


def test_a_text_adds_what_it_should(parts):
    """A label that hangs on the channel alone."""
    label = np.where(parts[0].data["channel"] == "education", 0.9, 0.05) > np.random.default_rng(
        0
    ).random(len(parts[0].data))
    train = relabelled(parts[0], label.astype(float))
    made = fitted_on(
        replace(MODELS["mlp"], seeds=1, epochs=15), (train, no_rows(parts[1]), parts[2], parts[3])
    )
    told = made.explain(parts[3])
    own = told.values[:, told.names.index("channel")]
    education = (parts[3].data["channel"] == "education").to_numpy()
    assert own[education].min() > 0 > own[~education].max()
    assert np.abs(own).mean() > 3 * np.abs(told.values[:, 0]).mean()


def test_arrays_alone_are_for_the_sequence(parts):
    alone = tuple(replace(part, roles=part.roles | {"covariate": ("last",)}) for part in parts)
    assert ModelInputs.learn(alone[0]).arrays == ("last",)
    for name in ("mlp", "autoencoder"):
        with pytest.raises(DataError, match="all arrays"):
            fitted_on(MODELS[name], alone)


def test_a_run_without_a_network_loads_nothing_of_tensorflow(tmp_path):
    toy_rows().data.drop("row_id", "last").write_parquet(tmp_path / "rows.parquet")
    roles = (
        "dataset.roles.label=bad dataset.roles.entity=customer dataset.roles.time=time "
        "dataset.roles.amount=spent"
    )
    words = (
        f"dataset=table dataset.path=rows.parquet {roles} model=anomaly/robust_z "
        f"rivals=[anomaly/isolation_forest]"
    )
    days = (
        "protocol=prequential protocol.windows=1 protocol.train_days=10 size=small "
        "compute=serial pictures=false"
    )
    command = [sys.executable, "-c", WITHOUT, *words.split(), *days.split()]
    told = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=told, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stderr.splitlines()[-1]) == [0, []]
