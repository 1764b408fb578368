"""Windows of runs: the statistics are numpy's, a stream gives the same bits, and regimes are told
apart.
"""

from typing import get_args

import numpy as np
import polars as pl
import pytest
from scipy import signal, stats

from hwds.core.seeds import stream
from hwds.datasets.simulated.engines import Engines
from hwds.evaluation.leak_check import check_run_features
from hwds.frames.features.regime_scaling import RegimeScaling
from hwds.frames.features.signal_windows import SignalWindows
from hwds.frames.kernels import STATISTICS
from hwds.frames.runs import Runs
from hwds.frames.signals import RegimeScales as Scales
from hwds.frames.signals import RunFeatures, Spectral, nearest_centre, spectra


@pytest.fixture(scope="module")
def runs():
    return Engines(engines=12, mean_life=40, sensors=3, regimes=3).load()


@pytest.fixture(scope="module")
def windows(runs):
    spectral = {"bands": 3, "spectrum": get_args(Spectral)}
    return SignalWindows(windows=(7, 20), statistics=STATISTICS, ewma=(0.2,), **spectral).learn(
        runs
    )


def test_statistics_are_those_of_the_last_rows(runs, windows):
    found = dict(zip(windows.names, windows.compute(runs)[runs.offsets[1] - 1], strict=True))
    x = windows.scaling.scale(runs)[runs.offsets[1] - 20 : runs.offsets[1], 1]
    assert len(x) == min(20, runs.lengths[0])
    rms = np.sqrt((x**2).mean())
    wanted = {
        "mean": x.mean(),
        "sd": x.std(),
        "slope": np.polyfit(np.arange(20), x, 1)[0],
        "rms": rms,
        "minimum": x.min(),
        "maximum": x.max(),
        "peak_to_peak": np.ptp(x),
        "crest": np.abs(x).max() / rms,
        "skewness": stats.skew(x),
        "kurtosis": stats.kurtosis(x, fisher=False),
    }
    assert {name: pytest.approx(value, abs=1e-9) for name, value in wanted.items()} == {
        name: found[f"sensor_2 {name}_20"] for name in wanted
    }
    weights = 0.8 ** np.arange(runs.lengths[0])[::-1]
    whole = windows.scaling.scale(runs)[: runs.lengths[0], 1]
    assert found["sensor_2 ewma_0.2"] == pytest.approx((weights * whole).sum() / weights.sum())
    assert found["age"] == runs.ages[0]


def test_bands_and_entropy_are_those_of_the_periodogram(runs, windows):
    found = dict(zip(windows.names, windows.compute(runs)[runs.offsets[1] - 1], strict=True))
    x = windows.scaling.scale(runs)[runs.offsets[1] - 20 : runs.offsets[1], 1]
    places, power = signal.periodogram(x, window=np.hanning(22)[1:-1], detrend="constant")
    power[-1] *= 2  # a one-sided density holds half of the last
    shares = power[1:] / power[1:].sum()
    band = np.minimum((places[1:] * 6).astype(int), 2)
    for number in range(3):
        assert found[f"sensor_2 band_{number + 1}_20"] == pytest.approx(
            shares[band == number].sum(), abs=1e-9
        )
    assert found["sensor_2 entropy_20"] == pytest.approx(
        stats.entropy(shares) / np.log(10), abs=1e-9
    )


def test_a_tone_has_no_entropy_and_a_beating_one_has_an_envelope():
    t = np.arange(256)
    rng = stream("beat", 1)
    tone, noise = np.sin(2 * np.pi * t / 6), rng.normal(0, 1, 256)
    beats = (1 + np.sin(2 * np.pi * t / 64)) * np.sin(2 * np.pi * t / 4)
    signals = np.column_stack([tone, noise, beats])
    last = spectra(signals, np.zeros(1, int), np.array([255]), 256, 4, get_args(Spectral))[
        0
    ].reshape(-1, 3)
    shares, entropy, envelope = last[:4], last[4], last[5]
    assert shares.sum(axis=0) == pytest.approx(1.0)
    assert shares[1, 0] > 0.99
    assert entropy[0] < 0.3 < 0.85 < entropy[1]
    assert envelope[2] > 0.8 > 0.3 > envelope[1]
    assert (
        spectra(np.ones((9, 1)), np.zeros(9, int), np.arange(9), 5, 2, get_args(Spectral)) == 0
    ).all()


def test_a_stream_gives_the_bits_of_a_batch(runs, windows):
    batch = windows.compute(runs)
    for rows in (1, 6, 25):
        known = np.minimum(rows, runs.lengths)
        last = windows.compute(runs.until(known))[np.cumsum(known) - 1]
        assert (last == batch[runs.offsets[:-1] + known - 1]).all()


def test_sensors_are_scaled_within_the_conditions_that_settings_tell_apart(runs):
    scaled = Scales.learn(runs)
    assert len(scaled.centres) == 3
    raw, values = Scales.learn(runs, regimes=1).scale(runs), scaled.scale(runs)
    wear = runs.cycles / runs.ages[runs.run_of_row]
    assert (
        abs(np.corrcoef(values[:, 0], wear)[0, 1]) > 0.8 > abs(np.corrcoef(raw[:, 0], wear)[0, 1])
    )
    assert RegimeScaling().learn(runs).names == ("sensor_1", "sensor_2", "sensor_3", "age")


def test_six_conditions_are_six_whatever_their_order():
    """Two lie near each other, so that k-means finds them only where it begins in both."""
    places = np.array([[0, 0], [0, 1], [50, 0], [50, 40], [0, 40], [20, 20]], float)
    rng = stream("conditions", 1)
    for turn in range(3):
        which = np.repeat(np.arange(6), 40)
        near = places[rng.permutation(6)][which] + rng.normal(0, 0.05, (240, 2))
        centres = Scales.learn(runs_in(near), regimes=6)
        found = nearest_centre(near / centres.spread, centres.centres)
        assert len(centres.centres) == 6, turn
        assert len({(a, b) for a, b in zip(which, found, strict=True)}) == 6, turn


def runs_in(settings):
    """Runs of a sensor that rises, under settings by row."""
    rows = pl.DataFrame(
        {
            "m": np.repeat(["a", "b"], len(settings) // 2),
            "t": np.tile(np.arange(1.0, len(settings) // 2 + 1), 2),
            "load": settings[:, 0],
            "heat": settings[:, 1],
            "x": np.arange(float(len(settings))),
        }
    )
    roles = {"entity": "m", "cycle": "t", "setting": ["load", "heat"], "sensor": "x"}
    return Runs.build(rows, roles, regimes=6)


class Ahead(RunFeatures):
    """The mean of a run, of cycles still to come too."""

    def learn(self, runs):
        return self

    names = ("mean",)

    def compute(self, runs):
        values = runs.numbers(runs.sensors[:1])[:, 0]
        return (np.bincount(runs.run_of_row, values) / runs.lengths)[runs.run_of_row][:, None]


def test_the_canary_passes_windows_and_catches_a_look_ahead(runs):
    assert [*check_run_features("windows", SignalWindows(windows=(9,)), runs)] == [None] * 3
    assert all(leak is not None for leak in check_run_features("ahead", Ahead(), runs))
