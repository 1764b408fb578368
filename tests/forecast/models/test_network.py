"""What every network promises: the same bits again, here and in a fresh process; it learns what it
should, from every role.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.core.serialization import save_fitted
from hwds.evaluation.networks import Training
from hwds.evaluation.panel_folds import FromEnd, future_of, panel_known_at
from hwds.forecast.models.base import ForecastContext
from hwds.forecast.models.cnn import CNN
from hwds.forecast.models.lstm import LSTM
from hwds.forecast.models.mlp import MLP
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import Roles
from tests.support.panels import monthly_panel

CONTEXT = ForecastContext(3, "fold", levels=(0.1, 0.5, 0.9), season=12)
MODELS = {
    "lstm": LSTM(units=16, epochs=6, seeds=1, batch=128),
    "cnn": CNN(filters=16, epochs=6, seeds=1, batch=128),
    "mlp": MLP(units=32, blocks=2, epochs=6, seeds=1, batch=128),
}
LOAD = """
import sys
from pathlib import Path
import numpy as np
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.core.serialization import load_fitted
folder = Path(sys.argv[1])
history, future = Panel.read(folder / "history"), Panel.read(folder / "future")
for name in sys.argv[2:]:
    np.save(folder / f"{name}.npy", load_fitted(folder / name).predict(history, future).quantiles)
"""


def parts(panel, steps=6):
    cutoff = FromEnd(6)
    return panel_known_at(panel, cutoff), future_of(
        panel, np.arange(panel.n_series), cutoff.ends(panel), steps
    )


@pytest.fixture(scope="module")
def panel():
    """Toys with a static text, a static number and a level besides the known-future and the
    past-only column.
    """
    toy = monthly_panel(n_series=12, months=72)
    number = pl.col("series_id").str.slice(1).cast(pl.Float64)
    table = toy.table.with_columns(
        kind=pl.when(number % 2 == 0).then(pl.lit("even")).otherwise(pl.lit("odd")),
        weight=number,
        region=pl.when(number < 6).then(pl.lit("north")).otherwise(pl.lit("south")),
    )
    roles = Roles(
        known_future=("promotion",),
        past_only=("visits",),
        static=("kind", "weight"),
        level=("region",),
    )
    return Panel.build(table, toy.frequency, roles=roles, horizon=6)


@pytest.fixture(scope="module")
def fitted(panel):
    return {
        name: model.learn(parts(panel)[0], horizon=6, context=CONTEXT)
        for name, model in MODELS.items()
    }


def actual(panel):
    return np.stack([panel.series(i)[-6:] for i in range(panel.n_series)])


def changed(panel, **columns):
    return replace(panel, table=panel.table.with_columns(**columns))


@pytest.mark.parametrize("name", MODELS)
def test_quantiles_do_not_cross_and_the_mean_lies_among_them(name, fitted, panel):
    forecasts = fitted[name].predict(*parts(panel))
    assert (np.diff(forecasts.quantiles, axis=-1) >= 0).all()
    assert (
        (forecasts.quantiles[..., 0] <= forecasts.mean)
        & (forecasts.mean <= forecasts.quantiles[..., -1])
    ).all()
    assert not forecasts.fallback.any()


@pytest.mark.parametrize("name", MODELS)
def test_it_beats_the_seasonal_naive_and_has_learned_the_promotion(name, fitted, panel):
    history, future = parts(panel)
    naive = SeasonalNaive().learn(history, horizon=6, context=CONTEXT).predict(history, future)
    forecasts = fitted[name].predict(history, future)
    assert (
        np.abs(forecasts.quantiles[..., 1] - actual(panel)).mean()
        < 0.7 * np.abs(naive.mean - actual(panel)).mean()
    )
    more, less = changed(future, promotion=pl.lit(1.0)), changed(future, promotion=pl.lit(0.0))
    lift = (
        fitted[name].predict(history, more).mean - fitted[name].predict(history, less).mean
    ).mean()
    assert 8 < lift < 32  # 20 in truth


def test_attention_is_another_lstm_that_learns_as_well(fitted, panel):
    history, future = parts(panel)
    attentive = replace(MODELS["lstm"], attention=True).learn(history, horizon=6, context=CONTEXT)
    plain, other = (
        np.abs(model.predict(history, future).quantiles[..., 1] - actual(panel)).mean()
        for model in (fitted["lstm"], attentive)
    )
    assert plain != other
    assert other < 1.3 * plain


@pytest.mark.parametrize("name", MODELS)
def test_every_role_is_read_and_past_only_columns_only_up_to_the_cutoff(name, fitted, panel):
    history, future = parts(panel)
    mean = fitted[name].predict(history, future).mean
    other = {
        "visits": pl.col("visits").shift(1).fill_null(0.0),
        "kind": pl.lit("odd"),
        "weight": pl.lit(3.0),
        "region": pl.lit("south"),
    }
    for column, values in other.items():
        both = (changed(part, **{column: values}) for part in (history, future))
        assert not np.array_equal(fitted[name].predict(*both).mean, mean), column
    assert np.array_equal(
        fitted[name].predict(history, changed(future, visits=pl.lit(1e9))).mean, mean
    )


@pytest.mark.parametrize("name", MODELS)
def test_more_steps_or_fewer_than_it_was_trained_for(name, fitted, panel):
    history, future = parts(panel)
    six = fitted[name].predict(history, future)
    for steps in (1, 9):
        forecasts = fitted[name].predict(*parts(panel, steps))
        assert forecasts.quantiles.shape == (12, steps, 3)
        assert np.isfinite(forecasts.quantiles).all()
    if name != "cnn":  # its convolutions over the steps see those that follow
        assert np.allclose(forecasts.mean[:, :6], six.mean, rtol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_the_same_context_gives_the_same_bits_after_other_fits(name, fitted, panel):
    history, future = parts(panel)
    first = fitted[name].predict(history, future)
    other = MODELS[name].learn(
        history.last(36), horizon=6, context=replace(CONTEXT, seed=9)
    )  # of the same graphs
    assert not np.array_equal(other.predict(history, future).mean, first.mean)
    again = MODELS[name].learn(history, horizon=6, context=CONTEXT).predict(history, future)
    assert again.quantiles.tobytes() == first.quantiles.tobytes()


def test_saved_models_give_the_same_bits_in_a_fresh_process(fitted, panel, tmp_path):
    history, future = parts(panel)
    for name, part in (("history", history), ("future", future)):
        (tmp_path / name).mkdir()
        part.write(tmp_path / name)
    for name, model in fitted.items():
        save_fitted(model, tmp_path / name)
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", LOAD, str(tmp_path), *MODELS], check=True, cwd=root)
    for name, model in fitted.items():
        assert (
            np.load(tmp_path / f"{name}.npy").tobytes()
            == model.predict(history, future).quantiles.tobytes()
        )


def test_each_network_is_trained_anew_on_all_rows_for_the_epochs_that_the_inner_window_chose(
    panel, monkeypatch
):
    stopped, trained = [], []

    def best_epochs(self, target, inner, seed):
        stopped.append((np.isnan(target).sum(), seed))
        return 2 + seed

    def train(self, target, epochs, seed):
        trained.append((np.isnan(target).sum(), seed, epochs))
        return [np.zeros(1, np.float32)]

    monkeypatch.setattr(Training, "best_epochs", best_epochs)
    monkeypatch.setattr(Training, "train", train)
    LSTM(seeds=2, patience=3).learn(parts(panel)[0], horizon=6, context=CONTEXT)
    hidden, unknown = stopped[0][0], trained[0][0]
    assert (
        hidden - unknown == panel.n_series * 6 * 6
    )  # each of the last six rows is a step of six origins
    assert stopped == [(hidden, 0), (hidden, 1)]
    assert trained == [(unknown, 0, 2), (unknown, 1, 3)]
    LSTM(seeds=2, epochs=5, patience=0).learn(parts(panel)[0], horizon=6, context=CONTEXT)
    assert len(stopped) == 2
    assert trained[2:] == [(unknown, 0, 5), (unknown, 1, 5)]


@pytest.mark.parametrize("name", MODELS)
def test_holes_and_short_series_are_answered(name, fitted, panel):
    history, future = parts(panel)
    holes = pl.Series(
        np.where(history.positions % 7 == 3, np.nan, history.target), nan_to_null=True
    )
    holed = changed(history, target=holes).last(9)
    assert np.isfinite(fitted[name].predict(holed, future).quantiles).all()


@pytest.mark.parametrize("name", MODELS)
def test_one_row_a_series_falls_back_and_says_so(name, panel):
    history, future = parts(panel)
    one = history.last(1)
    forecasts = MODELS[name].learn(one, horizon=6, context=CONTEXT).predict(one, future)
    assert forecasts.fallback.all()
    assert np.isfinite(forecasts.mean).all()


def with_bad_series(good):
    """The good series, and seven that no network should have to see."""
    rng = np.random.default_rng(1)
    missing = np.where(rng.random(60) < 0.9, np.nan, 100 + rng.normal(0, 5, 60))
    bad = {
        "constant": np.full(60, 7.0),
        "huge": 1e12 * (1 + rng.random(60)),
        "long": 100 + rng.normal(0, 5, 20_000),
        "missing": missing,
        "negative": -100 + rng.normal(0, 5, 60),
        "one": np.array([5.0]),
        "zero": np.zeros(60),
    }
    columns = ["series_id", "time", "target"]
    table = good.table.select(
        "series_id", pl.int_range(pl.len()).over("series_id").alias("time"), "target"
    )
    added = [
        pl.DataFrame(
            {
                "series_id": [name] * len(y),
                "time": np.arange(len(y)),
                "target": pl.Series(y, nan_to_null=True),
            }
        )
        for name, y in bad.items()
    ]
    return Panel.build(pl.concat([table.select(columns), *added]), Frequency("1i"), horizon=6)


@pytest.mark.parametrize("name", MODELS)
def test_bad_series_are_answered_without_a_warning_and_cost_the_others_little(name, panel):
    whole = with_bad_series(panel_known_at(panel, FromEnd(6)))
    future = future_of(whole, np.arange(whole.n_series), whole.lengths, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forecasts = (
            replace(MODELS[name], epochs=3)
            .learn(whole, horizon=6, context=CONTEXT)
            .predict(whole, future)
        )
    assert np.isfinite(forecasts.mean).all()
    assert np.isfinite(forecasts.quantiles).all()
    of = dict(zip(whole.series_ids.to_list(), forecasts.mean, strict=True))
    for constant, value in (("constant", 7.0), ("zero", 0.0)):
        assert of[constant] == pytest.approx(value, abs=0.1)
    good = np.stack([of[f"s{i}"] for i in sorted(range(12), key=str)])
    assert (
        np.abs(good - actual(panel)).mean() < 20
    )  # the size of a season, for the promotions are not told


def test_no_network_stays_after_its_fit(panel):
    import keras

    def layers():
        gc.collect()
        return sum(
            issubclass(type(each), keras.Layer) for each in gc.get_objects()
        )  # isinstance asks dead proxies, too

    history, _ = parts(panel)
    small = replace(MODELS["mlp"], units=8, epochs=1)
    held = []
    for seed in range(3):
        small.learn(history, horizon=6, context=replace(CONTEXT, seed=seed))
        held.append(layers())
    assert held[2] == held[0]


def test_a_fit_and_its_forecast_leave_no_file_in_the_temporary_folder(panel, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    history, future = parts(panel)
    small = replace(
        MODELS["lstm"], units=4, epochs=1
    )  # of a size whose graphs no other test has traced
    small.learn(history, horizon=6, context=CONTEXT).predict(history, future)
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_that_is_not_there_is_refused(panel, monkeypatch):
    tensorflow = pytest.importorskip("tensorflow")
    monkeypatch.setattr(tensorflow.config, "list_physical_devices", lambda kind: [])
    with pytest.raises(
        ConfigError, match=r"^compute.device: 'gpu', but there is none that TensorFlow can use"
    ):
        MODELS["mlp"].learn(parts(panel)[0], horizon=6, context=replace(CONTEXT, device="gpu"))
