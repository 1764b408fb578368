"""Classifiers one by one: what they learn, what they refuse, what they make of rows that they have
not seen the like of.
"""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.detection.inputs import ModelInputs
from hwds.detection.models.classify.logistic import Logistic
from hwds.detection.models.classify.random_forest import RandomForest
from hwds.detection.models.classify.xgboost import XGBoost
from hwds.detection.rows import labelled_rows, labels_of, split_halves
from tests.support.rows import context, relabelled, toy_rows, windows

LEARNERS = [Logistic(), XGBoost(trees=60, patience=10), RandomForest(trees=20)]


def ids(value):
    return type(value).__name__


def fitted(model, parts=None, **given):
    train, stop, calibrate, _ = parts or windows(toy_rows())
    told = {"stop": stop, "calibrate": calibrate} | given
    return model.fit(train, **told, context=context())


def ranked(label, score):
    from sklearn.metrics import roc_auc_score

    return roc_auc_score(label, score)


@pytest.mark.parametrize("model", LEARNERS, ids=ids)
def test_it_learns(model):
    test = windows(toy_rows())[3]
    assert ranked(labels_of(test), fitted(model).score_rows(test).score) > 0.85


@pytest.mark.parametrize("model", LEARNERS, ids=ids)
def test_rows_without_a_label_change_nothing(model):
    table = toy_rows()
    gone = np.random.default_rng(0).random(len(table.data)) < 0.3
    holed = relabelled(table, pl.Series(np.where(gone, np.nan, labels_of(table)), nan_to_null=True))
    parts, test = windows(holed), windows(table)[3]
    dropped = tuple(labelled_rows(part) for part in parts)
    assert (
        fitted(model, parts).score_rows(test).score.tobytes()
        == fitted(model, dropped).score_rows(test).score.tobytes()
    )


@pytest.mark.parametrize("model", LEARNERS, ids=ids)
@pytest.mark.parametrize("label", [0.0, 1.0, None])
def test_one_kind_of_label_is_refused(model, label):
    train, *others = windows(toy_rows())
    one = relabelled(train, pl.Series([label] * len(train.data), dtype=pl.Float64))
    with pytest.raises(
        DataError,
        match=r"protocol.train_days: the window has \d+ rows of label 0 and \d+ of label 1",
    ):
        fitted(model, (one, *others))


@pytest.mark.parametrize("model", LEARNERS, ids=ids)
def test_a_single_positive_is_enough(model):
    train, *others = windows(toy_rows())
    label = np.zeros(len(train.data))
    label[7] = 1.0
    said = fitted(model, (relabelled(train, label), *others)).score_rows(others[2])
    assert np.isfinite(said.score).all()
    assert said.probability.mean() < 0.1


@pytest.mark.parametrize("model", LEARNERS, ids=ids)
def test_no_row_to_stop_by_or_to_calibrate_by(model):
    _, stop, _, test = windows(toy_rows())
    nobody = stop.filter(np.zeros(len(stop.data), bool))
    assert np.isfinite(fitted(model, stop=nobody, calibrate=nobody).score_rows(test).score).all()
    with pytest.raises(DataError, match="'platt' needs labels in a window"):
        fitted(replace(model, calibration="platt"), stop=nobody, calibrate=nobody)
    unlabelled = relabelled(stop, pl.Series([None] * len(stop.data), dtype=pl.Float64))
    assert np.isfinite(fitted(model, stop=unlabelled).score_rows(test).score).all()


@pytest.mark.parametrize("model", LEARNERS, ids=ids)
def test_columns_without_a_value_and_of_one_value(model):
    table = toy_rows()
    empty = table.with_inputs(
        table.data.with_columns(
            pl.lit(None, pl.Float64).alias("empty"),
            pl.lit(None).alias("nothing"),
            pl.lit(None, pl.String).alias("no_text"),
            pl.lit(3).alias("three"),
        ).select("empty", "nothing", "no_text", "three")
    )
    *parts, test = windows(empty)
    found = fitted(model, (*parts, test))
    assert ranked(labels_of(test), found.score_rows(test).score) > 0.85
    assert np.isfinite(found.explain(test).values).all()


@pytest.mark.parametrize("model", LEARNERS, ids=ids)
def test_texts_never_seen_and_holes_where_there_were_none(model):
    test = windows(toy_rows())[3]
    odd = test.data.with_columns(
        pl.lit("ne'er seen").alias("channel"),
        pl.lit(None, pl.Float64).alias("spent"),
        pl.lit(None, pl.Int64).alias("quantity"),
    )
    found, test = fitted(model), replace(test, data=odd)
    said, why = found.score_rows(test).score, found.explain(test)
    assert np.isfinite(said).all()
    np.testing.assert_allclose(why.base + why.values.sum(axis=1), said, atol=1e-5)


@pytest.mark.parametrize("model", LEARNERS, ids=ids)
def test_no_row_asked(model):
    test = windows(toy_rows())[3]
    nobody = test.filter(np.zeros(len(test.data), bool))
    assert fitted(model).score_rows(nobody).score.shape == (0,)


@pytest.mark.parametrize("model", LEARNERS, ids=ids)
def test_a_row_is_scored_alone_as_among_others(model):
    found, test = fitted(model), windows(toy_rows())[3]
    alone = [
        found.score_rows(test.filter(np.arange(len(test.data)) == place)).score[0]
        for place in range(20)
    ]
    assert found.score_rows(test).score[:20].tolist() == alone


def test_a_forest_walks_to_the_bit_as_scikit_learn():
    from sklearn.ensemble import RandomForestClassifier

    train, stop, _, test = windows(toy_rows(3000))
    model = RandomForest(trees=30, inputs="log2", leaf_rows=2, depth=9)
    scorer = model.learn(train, stop=stop, context=context(5))
    inputs = ModelInputs.learn(train)
    own = RandomForestClassifier(
        30,
        max_depth=9,
        min_samples_leaf=2,
        max_features="log2",
        random_state=context(5).seed_for("forest"),
        n_jobs=1,
    ).fit(inputs.coded(train), labels_of(train))
    wanted = own.predict_proba(inputs.coded(test))[:, 1]
    assert test.data["visits"].null_count() > 0
    assert scorer.score(test).tobytes() == wanted.tobytes()


def test_a_forest_of_one_leaf():
    train, *others = windows(toy_rows())
    found = fitted(RandomForest(trees=3, leaf_rows=len(train.data)), (train, *others))
    said = found.score_rows(others[2])
    assert len(np.unique(said.score)) == 1
    np.testing.assert_allclose(said.probability, said.score)


def test_a_forests_score_is_its_probability():
    test = windows(toy_rows())[3]
    said = fitted(RandomForest(trees=20)).score_rows(test)
    np.testing.assert_allclose(said.probability, said.score, atol=1.1e-7)
    calibrated = fitted(RandomForest(trees=20, calibration="beta")).score_rows(test)
    assert calibrated.score.tobytes() == said.score.tobytes()
    assert abs(calibrated.probability.mean() - labels_of(test).mean()) < 0.05


def test_a_weight_of_positives_is_taken_out_of_the_scores():
    parts = windows(toy_rows(6000))
    test = parts[3]
    plain, weighted = (fitted(XGBoost(trees=80, patience=0, weight=w), parts) for w in (1.0, 20.0))
    rate = labels_of(test).mean()
    assert weighted.score_rows(test).probability.mean() == pytest.approx(rate, rel=0.25)
    shifted = 1 / (1 + np.exp(-weighted.score_rows(test).score - np.log(20.0)))
    p = weighted.score_rows(test).probability
    np.testing.assert_allclose(shifted / (shifted + (1 - shifted) * 20.0), p, rtol=1e-9)
    assert shifted.mean() > 1.5 * rate  # what it says without
    assert plain.score_rows(test).probability.mean() == pytest.approx(rate, rel=0.25)
    why = weighted.explain(test)
    np.testing.assert_allclose(
        why.base + why.values.sum(axis=1), weighted.score_rows(test).score, atol=1e-5
    )


def test_growing_stops_by_the_later_window():
    import xgboost

    train, stop, _, _ = windows(toy_rows())

    def rounds(**given):
        scorer = XGBoost(trees=200, rate=0.3, patience=5, **given).learn(
            train, stop=stop, context=context()
        )
        booster = xgboost.Booster()
        booster.load_model(bytearray(scorer.booster))
        return booster.num_boosted_rounds()

    assert rounds() < 100
    nobody = stop.filter(np.zeros(len(stop.data), bool))
    whole = XGBoost(trees=50, patience=5).learn(train, stop=nobody, context=context())
    grown = xgboost.Booster()
    grown.load_model(bytearray(whole.booster))
    assert grown.num_boosted_rounds() == 50


def test_texts_are_categories_not_ranks():
    rng = np.random.default_rng(0)
    table = toy_rows(4000)
    channel = rng.choice(list("abcdefghij"), 4000)
    label = np.isin(channel, list("adgj")).astype(float)
    data = table.data.with_columns(pl.Series("channel", channel), pl.Series("bad", label))
    parts = windows(replace(table, data=data, roles=table.roles | {"covariate": ("channel",)}))
    found = fitted(XGBoost(trees=30, depth=1, rate=0.5, patience=0), parts)
    assert ranked(labels_of(parts[3]), found.score_rows(parts[3]).score) == 1.0


def test_inputs_that_are_all_arrays_are_refused():
    table = toy_rows()
    parts = windows(replace(table, roles=table.roles | {"covariate": ("last",)}))
    with pytest.raises(DataError, match="the inputs are all arrays"):
        fitted(XGBoost(trees=5), parts)


def test_halves_part_no_instant():
    table = toy_rows(101)
    same = replace(table, data=table.data.with_columns(time=pl.col("time").dt.truncate("7d")))
    first, second = split_halves(same)
    assert first.data["time"].max() < second.data["time"].min()
    assert len(first.data) + len(second.data) == 101
    late = table.data.with_columns(arrived=pl.col("time").reverse())
    first, second = split_halves(
        replace(table, data=late, roles=table.roles | {"available_at": ("arrived",)})
    )
    assert first.data["arrived"].max() < second.data["arrived"].min()
    assert first.data["time"].min() > second.data["time"].max()


def test_one_fold_is_none():
    with pytest.raises(ConfigError, match=r"folds: must be 0 or >= 2, got 1"):
        XGBoost(folds=1)


def test_rounds_are_chosen_by_folds_and_all_labelled_rows_are_learned_from():
    train, stop, _, test = windows(toy_rows())
    few = XGBoost(trees=80, patience=10, folds=4)
    assert 0 < labels_of(stop).sum() < 50
    one = few.fit(train, stop=stop, context=context())
    assert ranked(labels_of(test), one.score_rows(test).score) > 0.85
    moved, left = train.data.tail(40), train.data.head(train.height - 40)
    later = few.fit(
        replace(train, data=left),
        stop=replace(stop, data=pl.concat([moved, stop.data])),
        context=context(),
    )
    assert (
        one.score_rows(test).score.tobytes() == later.score_rows(test).score.tobytes()
    )  # where the window begins tells nothing
    assert (
        one.score_rows(test).score.tobytes()
        != fitted(XGBoost(trees=80, patience=10, folds=0)).score_rows(test).score.tobytes()
    )
