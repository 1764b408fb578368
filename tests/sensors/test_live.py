"""A fitted model that follows machines row by row says what the batch says, to the bit."""

from dataclasses import replace
from typing import get_args

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.core.serialization import dumps, loads
from hwds.frames.features.regime_scaling import RegimeScaling
from hwds.frames.features.signal_windows import SignalWindows
from hwds.frames.runs import RowsOfRuns
from hwds.frames.signals import Spectral
from hwds.sensors.live import LiveSensors
from hwds.sensors.models.base import WINDOWS, FittedSensors, SensorContext
from hwds.sensors.models.forecast_residual import ForecastResidual
from hwds.sensors.models.isolation_forest import IsolationForest
from hwds.sensors.models.pca import PCA
from tests.support.sensor_runs import sensor_runs

FIRST = 80
RICH = SignalWindows(
    windows=(7, 20),
    statistics=("mean", "slope", "kurtosis"),
    bands=3,
    spectrum=get_args(Spectral),
    components=2,
    ewma=(0.2, 0.5),
    age=False,
)


@pytest.fixture(scope="module")
def runs():
    return sensor_runs()


def streamed(fitted, runs, longest, seed=0):
    """Scores and reasons of rows that come in portions, of some machines at a time.

    States are stored and read between.
    """
    live, rng = LiveSensors(fitted), np.random.default_rng(seed)
    states, at = [live.new_state() for _ in range(runs.n)], np.zeros(runs.n, int)
    numbers, score, reason = (
        runs.numbers(runs.sensors),
        np.full(len(runs.data), np.nan),
        [None] * len(runs.data),
    )
    while (at < runs.lengths).any():
        asked = [i for i in range(runs.n) if at[i] < runs.lengths[i] and rng.random() < 0.7] or [
            int(np.argmin(at))
        ]
        counts = np.array(
            [min(rng.integers(1, longest + 1), runs.lengths[i] - at[i]) for i in asked]
        )
        places = np.concatenate(
            [
                runs.offsets[i] + at[i] + np.arange(count)
                for i, count in zip(asked, counts, strict=True)
            ]
        )
        rows = RowsOfRuns(counts, runs.cycles[places], numbers[places], np.zeros((len(places), 0)))
        said = live.advance([states[i] for i in asked], rows)
        score[places] = said.score
        for place, each in zip(places, said.reason, strict=True):
            reason[place] = each
        at[asked] += counts
        if rng.random() < 0.05:
            states = loads(dumps(states), "the states")
    return score, reason


@pytest.mark.parametrize(
    ("model", "features", "longest"),
    [
        (PCA(), WINDOWS, 3),
        (PCA(), RICH, 20),
        (IsolationForest(trees=10), WINDOWS, 20),
        (ForecastResidual(lags=3, ahead=6, window=5), WINDOWS, 9),
    ],
    ids=["pca", "pca of spectra", "forest", "residual"],
)
def test_a_stream_has_the_bits_of_a_batch(runs, model, features, longest):
    fitted = model.fit(runs, context=SensorContext(0, first=FIRST, features=features))
    batch = fitted.predict(runs)
    scored = np.arange(len(runs.data)) - runs.offsets[:-1][runs.run_of_row] >= FIRST
    score, reason = streamed(fitted, runs, longest)
    assert np.isnan(score[~scored]).all()
    assert (score[scored] == batch.score[scored]).all()
    assert [reason[i] for i in np.flatnonzero(scored)] == [
        batch.reason[i] for i in np.flatnonzero(scored)
    ]
    assert batch.alarm[scored].any()


def test_readings_that_are_too_large_to_be_squared_are_odd_and_not_passed_over(runs):
    features = SignalWindows(
        windows=(7,), statistics=("mean", "kurtosis"), components=0, ewma=(), last=False, age=False
    )
    fitted = PCA().fit(runs, context=SensorContext(0, first=FIRST, features=features))
    flow = pl.when(pl.col("cycle") == 140).then(1e100).otherwise("flow")
    huge = replace(runs, data=runs.data.with_columns(flow.alias("flow")))
    batch, (score, _) = fitted.predict(huge), streamed(fitted, huge, 20)
    struck = huge.cycles >= 140
    assert (batch.score[struck & (huge.cycles < 147)] == np.inf).all()
    assert (score[struck] == batch.score[struck]).all()


def test_what_cannot_follow_a_stream_is_refused(runs):
    fitted = PCA().fit(runs, context=SensorContext(0, first=FIRST))
    departures = fitted.departures
    other = type(departures)(
        RegimeScaling().learn(runs), departures.usual, departures.growth, departures.typical
    )
    with pytest.raises(
        ConfigError,
        match=r"^features: 'LearnedRegimeScaling' cannot follow a stream; take features=",
    ):
        LiveSensors(FittedSensors(other, fitted.scorer, fitted.limits, FIRST))

    class Blocks:
        statistics = parts = None

    with pytest.raises(
        ConfigError,
        match=r"^model: a 'Blocks' cannot follow a stream: it computes rows in blocks; take",
    ):
        LiveSensors(FittedSensors(departures, Blocks(), fitted.limits, FIRST))
