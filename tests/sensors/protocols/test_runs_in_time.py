"""RunsInTime: what is cut, what is refused, how settings are chosen, and the leak check over every
model.
"""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.core.registry import options
from hwds.core.serialization import load_fitted, save_fitted
from hwds.evaluation.leak_check import check_leaks
from hwds.evaluation.protocol import Cell, RunContext
from hwds.frames.features.regime_scaling import RegimeScaling
from hwds.frames.features.signal_windows import SignalWindows
from hwds.frames.runs import Runs
from hwds.sensors.models.base import WINDOWS
from hwds.sensors.models.pca import PCA
from hwds.sensors.protocols.runs_in_time import RunsInTime
from tests.support.composed import composed
from tests.support.sensor_runs import ROLES, sensor_runs, sensor_table

PROTOCOL = RunsInTime(train_rows=80)
CONTEXT = RunContext(0, features=WINDOWS)
MODELS = [name for name in options("model") if name.startswith("sensors/")]


@pytest.fixture(scope="module")
def runs():
    return sensor_runs()


def answered(protocol, model, runs):
    (fold,) = protocol.split(runs)
    return protocol.evaluate_cell(
        model, runs, Cell("m", fold, 0, fold.units), replace(CONTEXT, fold=fold.name)
    )


def values(scores):
    return {score.metric: score.value for score in scores}


def test_the_rows_after_the_first_are_scored_and_the_sensor_that_moved_is_named(runs):
    rows = answered(PROTOCOL, PCA(), runs)
    assert rows.group_by("entity").len()["len"].to_list() == [70] * 5
    scored = values(PROTOCOL.score(rows))
    assert {measure.short for measure in PROTOCOL.measures(runs)} == set(scored)
    assert scored["f1"] > scored["f1_everything"] + 0.15
    assert scored["event_recall"] == scored["fresh_recall"] == 1.0
    assert (
        rows.filter(pl.col("alarm") & (pl.col("label") == 1))["reason"].value_counts(sort=True)[
            "reason"
        ][0]
        == "flow"
    )


@pytest.mark.parametrize("name", MODELS)
def test_no_model_leaks(name, runs):
    smaller = ["model.units=4", "model.window=4", "model.epochs=1"] if "autoencoder" in name else []
    words = [
        f"model={name}",
        "model.folds=2",
        "dataset=skab",
        "protocol=runs_in_time",
        "size=small",
    ]
    model = composed(*words, *smaller).model
    few = runs.take(np.arange(runs.n) < 3)
    found = list(check_leaks(PROTOCOL, name, model, few, CONTEXT))
    assert len(found) == 3
    assert [leak for leak in found if leak] == []


class Smoothing(RunsInTime):
    """Scores each row by the mean with its neighbours on both sides."""

    def evaluate_cell(self, model, frame, cell, context):
        rows = super().evaluate_cell(model, frame, cell, context)
        return rows.with_columns(
            pl.col("score").rolling_mean(5, center=True, min_samples=1).over("entity")
        )


class Peeking(RunsInTime):
    """Gives the model the labels."""

    def evaluate_cell(self, model, frame, cell, context):
        rows = super().evaluate_cell(model, frame, cell, context)
        return rows.with_columns(
            score=pl.col("score") + pl.col("label").shift(-1).over("entity").fill_null(0.0)
        )


@pytest.mark.parametrize("protocol", [Smoothing, Peeking])
def test_a_look_ahead_is_seen(protocol, runs):
    found = list(check_leaks(protocol(train_rows=80), "m", PCA(), runs, CONTEXT))
    assert any(leak is not None for leak in found)


def test_a_model_of_each_run_knows_no_other(runs):
    each = replace(PROTOCOL, learn="each", false_alarms=0.1)
    rows = answered(each, PCA(), runs)
    alone = answered(each, PCA(), runs.take(np.arange(runs.n) == 2))
    assert rows.filter(pl.col("entity") == "m2").equals(alone)


def test_a_run_may_learn_from_those_that_began_before_it_alone(runs):
    earlier = replace(PROTOCOL, learn="earlier", false_alarms=0.1)
    with pytest.raises(DataError, match=r"^dataset\.roles\.start: must be given for each run"):
        earlier.split(runs)
    begun = replace(runs, ends=runs.ends.with_columns(start=pl.Series([0.0, 3.0, 1.0, 2.0, 4.0])))
    rows, together = answered(earlier, PCA(), begun), replace(PROTOCOL, false_alarms=0.1)
    for name, known in (("m2", [0, 2]), ("m4", [0, 1, 2, 3, 4])):
        alone = answered(together, PCA(), begun.take(np.isin(np.arange(runs.n), known)))
        own = pl.col("entity") == name
        assert rows.filter(own).equals(alone.filter(own))


@pytest.mark.parametrize(
    ("protocol", "changes", "said"),
    [
        (
            {"train_rows": 149},
            {},
            r"^protocol\.train_rows: must be below 149, for run 'm0' has 150 rows, got 149\.$",
        ),
        (
            {"train_rows": 110},
            {},
            r"^protocol\.train_rows: must be <= 100, for run 'm0' has an anomaly in the row "
            r"after, got 110\.$",
        ),
        (
            {"false_alarms": 0.001},
            {},
            r"^protocol\.false_alarms: must be >= 0\.0071 with 280 held-out rows, got 0\.001\.$",
        ),
        (
            {},
            {"flow": 1.0, "heat": 2.0, "noise": 3.0},
            r"^dataset\.roles\.sensor: no sensor changes in the first 80 rows of the runs\.$",
        ),
        ({}, {"ill": None}, r"^dataset\.roles\.label: must be given"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_a_line(protocol, changes, said):
    table = sensor_table().with_columns(
        pl.lit(value, pl.Float64).alias(name) for name, value in changes.items()
    )
    roles = {
        role: names
        for role, names in ROLES.items()
        if role != "label" or changes.get("ill", 0) is not None
    }
    with pytest.raises(DataError, match=said):
        answered(replace(PROTOCOL, **protocol), PCA(), Runs.build(table, roles))


def test_gaps_and_cycles_that_fall_are_refused_where_runs_are_built():
    table = sensor_table().with_row_index("i")
    burst = table.with_columns(
        flow=pl.when(pl.col("i").is_between(20, 40)).then(None).otherwise("flow")
    )
    with pytest.raises(
        DataError, match=r"run 'm0' has no number in column 'flow' in 21 rows in a row"
    ):
        Runs.build(burst, ROLES, longest_gap=5)
    with pytest.raises(DataError, match=r"run 'm0' has cycle 10 after cycle 20"):
        Runs.build(
            table.with_columns(second=pl.when(pl.col("i") == 20).then(10.0).otherwise("second")),
            ROLES,
        )


def test_the_age_is_no_feature_and_a_sensor_that_stays_is_named(runs):
    for features in (SignalWindows(), RegimeScaling(name="regime_scaling")):
        with pytest.raises(ConfigError, match=r"^features: the age of a run always drifts"):
            PROTOCOL.check_features(features, runs)
    still = runs.data.with_columns(
        noise=pl.when(pl.col("cycle") <= 100).then(1.0).otherwise("noise")
    )
    (told,) = PROTOCOL.warnings_before(replace(runs, data=still), {})
    assert told.startswith("noise: hardly changes in the first 80 rows")


def test_trials_see_faults_in_the_first_rows_and_none_of_those_that_are_scored(runs):
    split = PROTOCOL.tuning_split(runs, 2)
    assert split.frame.lengths.tolist() == [80] * 5
    assert (split.protocol.train_rows, [fold.units for fold in split.folds]) == (40, [3, 2])
    label = split.frame.marks("label").reshape(5, 80)
    assert not label[:, :40].any()
    assert ((label[:, 40:].mean(axis=1) > 0.3) & (label[:, 40:].mean(axis=1) < 0.7)).all()
    clean = runs.until(np.full(5, 80)).numbers(runs.sensors).reshape(5, 80, 3)
    faulty = split.frame.numbers(runs.sensors).reshape(5, 80, 3)
    assert (faulty[:, :40] == clean[:, :40]).all()
    changed = (faulty != clean).any(axis=2)
    assert (changed <= label.astype(bool)).all()
    assert changed.any(axis=1).all()
    rows = [
        split.protocol.evaluate_cell(PCA(), split.frame, Cell("m", fold, 0, fold.units), CONTEXT)
        for fold in split.folds
    ]
    assert [part["entity"].n_unique() for part in rows] == [3, 2]


def test_a_kept_model_says_the_same_of_new_runs(runs, tmp_path):
    fitted = PROTOCOL.fit_all(PCA(), runs, CONTEXT)
    save_fitted(fitted, tmp_path)
    said = PROTOCOL.predict_new(load_fitted(tmp_path), runs, CONTEXT)
    assert said.equals(PROTOCOL.predict_new(fitted, runs, CONTEXT))
    assert "label" not in said.columns
    short = runs.until(np.array([150, 80, 150, 150, 150]))
    assert PROTOCOL.predict_new(fitted, short, CONTEXT).equals(
        said.filter(pl.col("entity") != "m1")
    )
    with pytest.raises(
        DataError, match=r"^dataset: run 'm0' has 80 rows; the first 80 are its reference"
    ):
        fitted.predict(runs.until(np.full(5, 80)))
