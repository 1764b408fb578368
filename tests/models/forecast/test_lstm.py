"""The LSTM: the same bits again, in this process and in a fresh one; it learns what it should."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hwds.context import Context
from hwds.models.forecast.lstm import LSTM
from hwds.models.forecast.lstm_training import Training
from hwds.models.forecast.seasonal_naive import SeasonalNaive
from hwds.protocols.cutting import FromEnd, future_of, known_at
from hwds.stored import save_fitted
from tests.toys import monthly_panel

CONTEXT = Context(3, "fold", levels=(0.1, 0.5, 0.9), season=12, horizon=6)
MODEL = LSTM(units=16, epochs=6, seeds=1, batch=128)
LOAD = """
import sys
from pathlib import Path
import numpy as np
from hwds.frames.panel import Panel
from hwds.stored import load_fitted
folder = Path(sys.argv[1])
history, future = Panel.read(folder / "history"), Panel.read(folder / "future")
np.save(folder / "again.npy", load_fitted(folder / "model").predict(history, future).quantiles)
"""


def parts(panel):
    cutoff = FromEnd(6)
    ends = cutoff.ends(panel)
    return known_at(panel, cutoff), future_of(panel, np.arange(panel.n_series), ends, 6)


@pytest.fixture(scope="module")
def panel():
    return monthly_panel(n_series=12, months=72)


@pytest.fixture(scope="module")
def fitted(panel):
    return MODEL.fit(parts(panel)[0], horizon=6, context=CONTEXT)


def actual(panel):
    return np.stack([panel.series(i)[-6:] for i in range(panel.n_series)])


def test_quantiles_do_not_cross_and_the_mean_lies_among_them(fitted, panel):
    forecasts = fitted.predict(*parts(panel))
    assert (np.diff(forecasts.quantiles, axis=-1) >= 0).all()
    assert ((forecasts.quantiles[..., 0] <= forecasts.mean) & (forecasts.mean <= forecasts.quantiles[..., -1])).all()
    assert not forecasts.fallback.any()


def test_it_beats_the_seasonal_naive_and_has_learned_the_promotion(fitted, panel):
    history, future = parts(panel)
    naive = SeasonalNaive().fit(history, horizon=6, context=CONTEXT).predict(history, future)
    forecasts = fitted.predict(history, future)
    assert np.abs(forecasts.quantiles[..., 1] - actual(panel)).mean() < 0.7 * np.abs(naive.mean - actual(panel)).mean()
    more = replace(future, table=future.table.with_columns(promotion=pl.lit(1.0)))
    less = replace(future, table=future.table.with_columns(promotion=pl.lit(0.0)))
    lift = (fitted.predict(history, more).mean - fitted.predict(history, less).mean).mean()
    assert 8 < lift < 32  # 20 in truth


def test_each_network_is_trained_anew_on_all_rows_for_the_epochs_that_the_inner_window_chose(panel, monkeypatch):
    stopped, trained = [], []

    def best_epochs(self, target, inner, seed):
        stopped.append((np.isnan(target).sum(), seed))
        return 2 + seed

    def train(self, target, epochs, seed):
        trained.append((np.isnan(target).sum(), seed, epochs))
        return [np.zeros(1, np.float32)]

    monkeypatch.setattr(Training, "best_epochs", best_epochs)
    monkeypatch.setattr(Training, "train", train)
    LSTM(seeds=2).fit(parts(panel)[0], horizon=6, context=CONTEXT)
    hidden, unknown = stopped[0][0], trained[0][0]
    assert hidden - unknown == panel.n_series * 6 * 6  # each of the last six rows is a step of six origins
    assert stopped == [(hidden, 0), (hidden, 1)]
    assert trained == [(unknown, 0, 2), (unknown, 1, 3)]


def test_the_same_context_gives_the_same_bits_after_other_fits(fitted, panel):
    history, future = parts(panel)
    first = fitted.predict(history, future)
    other = MODEL.fit(history.block(0, 5), horizon=6, context=replace(CONTEXT, seed=9))
    assert not np.array_equal(other.predict(history, future).mean, first.mean)
    again = MODEL.fit(history, horizon=6, context=CONTEXT).predict(history, future)
    assert again.quantiles.tobytes() == first.quantiles.tobytes()


def test_a_saved_model_gives_the_same_bits_in_a_fresh_process(fitted, panel, tmp_path):
    history, future = parts(panel)
    for name, part in (("history", history), ("future", future)):
        (tmp_path / name).mkdir()
        part.write(tmp_path / name)
    save_fitted(fitted, tmp_path / "model")
    subprocess.run([sys.executable, "-c", LOAD, str(tmp_path)], check=True, cwd=Path(__file__).resolve().parents[3])
    assert np.load(tmp_path / "again.npy").tobytes() == fitted.predict(history, future).quantiles.tobytes()


def test_holes_and_short_series_are_answered(fitted, panel):
    history, future = parts(panel)
    holes = pl.Series(np.where(history.positions % 7 == 3, np.nan, history.target), nan_to_null=True)
    holed = replace(history, table=history.table.with_columns(holes.alias("target"))).last(9)
    assert np.isfinite(fitted.predict(holed, future).quantiles).all()


def test_one_row_a_series_falls_back_and_says_so(panel):
    history, future = parts(panel)
    one = history.last(1)
    forecasts = MODEL.fit(one, horizon=6, context=CONTEXT).predict(one, future)
    assert forecasts.fallback.all()
    assert np.isfinite(forecasts.mean).all()
