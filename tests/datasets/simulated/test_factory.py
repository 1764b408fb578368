"""Factory: bearings ring where they should, faults are where their labels are, and the law of lives
is that of the wear.
"""

import numpy as np
import polars as pl
import pytest

from hwds.datasets.simulated.engines import FAILURE, WearLaw, WearTruth
from hwds.datasets.simulated.factory import (
    BEARING,
    FAULT_KINDS,
    FEATURES,
    ONSET,
    SENSORS,
    Factory,
    Fault,
    fault_labels,
    faulty_values,
    raw_windows,
    window_features,
)
from hwds.lifetime.models.base import LifetimeContext

WORLD = Factory(machines=12, lives=2, samples=64, mean_life=250.0)


@pytest.fixture(scope="module")
def lives():
    return list(WORLD.fleet())


@pytest.fixture(scope="module")
def runs():
    return WORLD.load()


def features(damage, rate=1000, unbalance=0.5, rows=200):
    rng, shaft = np.random.default_rng(0), np.full(rows, 25.0)
    blows = 3.58 * shaft
    windows = raw_windows(
        rng, shaft, blows, np.full(rows, unbalance), np.full(rows, damage), rate, 256
    )
    return dict(
        zip(
            FEATURES,
            window_features(windows, shaft, blows, rate).mean(axis=0).tolist(),
            strict=True,
        )
    )


def test_a_damaged_bearing_is_seen_at_its_own_frequency_and_only_where_samples_are_many():
    well, ill = features(0.0), features(1.0)
    assert ill["vibration_bearing"] > 3 * well["vibration_bearing"]
    assert abs(ill["vibration_shaft"] / well["vibration_shaft"] - 1) < 0.1
    assert features(0.0, rate=600) == features(1.0, rate=600)


def test_the_shaft_is_measured_as_it_shakes():
    assert features(0.0, unbalance=0.8)["vibration_shaft"] == pytest.approx(0.8, rel=0.05)


@pytest.mark.parametrize("kind", ["drift", "spike", "stuck"])
def test_a_sensor_is_at_fault_within_its_fault_alone(kind):
    values = np.random.default_rng(0).normal(size=100)
    said = faulty_values(values, Fault(kind, 30, 60, "current", 5.0), 1.0, np.random.default_rng(1))
    changed = np.flatnonzero(said != values)
    assert changed.min() >= 30
    assert changed.max() < 60


def test_labels_are_where_faults_are(lives, runs):
    label, change = fault_labels((Fault("drift", 2, 4), Fault(BEARING, 6, 8)), 8)
    assert (label.tolist(), change.tolist()) == ([0, 0, 1, 1, 0, 0, 1, 1], [0, 0, 1, 0, 1, 0, 1, 0])
    assert runs.names == tuple(life.name for life in lives)
    assert runs.sensors == SENSORS
    told = runs.marks("label")
    for run, life in enumerate(lives):
        own = told[runs.offsets[run] : runs.offsets[run + 1]]
        assert (own[life.wear >= ONSET] == 1).all()
        assert {fault.kind for fault in life.faults} <= {*FAULT_KINDS, BEARING}
    assert (runs.events == [life.failed for life in lives]).all()
    assert all((life.wear[-1] >= FAILURE) == life.failed for life in lives)


def test_lives_follow_one_another_in_the_history(runs):
    history = WORLD.history()
    assert set(history["what"]) <= {*FAULT_KINDS, BEARING, "failure", "replacement"}
    ends = history.filter(pl.col("what").is_in(["failure", "replacement"]))
    assert (ends["what"] == "failure").to_list() == runs.events.tolist()
    starts = runs.ends["start"].to_numpy()
    assert (starts[1::2] > ends["end"].to_numpy()[::2]).all()
    assert WORLD.load().fingerprint == runs.fingerprint


def test_the_truth_knows_the_wear_and_the_hazard_is_that_of_the_law(lives, runs):
    law, age, wear = WearLaw(250.0), np.array([50.0, 200.0]), np.array([0.3, 0.95])
    hazard = law.hazard(age, wear)
    np.testing.assert_allclose(hazard, 1 - law.survival(age, wear, np.array([1.0]))[:, 0])
    assert hazard[0] < 1e-6 < hazard[1]
    assert isinstance(WORLD.truth("remaining_life"), WearTruth)
    assert WORLD.truth("sensor_anomaly") is None
    failed = runs.take(runs.events)
    cut = failed.until(failed.lengths - 5)
    late = WORLD.truth("remaining_life").learn(cut, LifetimeContext(0)).predict(cut)
    assert late.point.mean() < 40
