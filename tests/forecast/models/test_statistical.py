"""The statistical family: odd series through every model, the library's own numbers, quantiles,
fallbacks, saving.
"""

from __future__ import annotations

import warnings
from statistics import NormalDist

import numpy as np
import pytest

from hwds.core.errors import ConfigError, HwdsError
from hwds.core.serialization import load_fitted, save_fitted
from hwds.evaluation.panel_folds import FromEnd, future_of, panel_known_at
from hwds.forecast.models.adida import ADIDA
from hwds.forecast.models.base import ForecastContext
from hwds.forecast.models.ces import CES
from hwds.forecast.models.croston import Croston
from hwds.forecast.models.damped import Damped
from hwds.forecast.models.ets import ETS
from hwds.forecast.models.lgt import LGT
from hwds.forecast.models.mfles import MFLES
from hwds.forecast.models.seasonal_naive import FittedSeasonalNaive
from hwds.forecast.models.theta import THETA_FORMS, Theta
from hwds.forecast.models.tsb import TSB
from hwds.forecast.smoothing_kernels import (
    NO_TREND_ROWS,
    damped_ahead,
    fit_damped,
    fit_theta,
    forecast_theta,
)
from hwds.forecast.statistical import (
    Statistical,
    demand_bands,
    fill_holes,
    past_origins,
    power_of_two,
    spread_by_step,
)
from tests.support.panels import panel_of

LEVELS = (0.1, 0.5, 0.9)
STEPS = 6
CONTEXT = ForecastContext(0, "fold", levels=LEVELS, season=12)
LIBRARY = [ETS(), Theta(), CES(), MFLES()]
SMOOTH = [*LIBRARY, Damped(), LGT()]
DEMAND = [Croston(), TSB(), ADIDA(), ADIDA(several=True)]
MODELS = [*SMOOTH, *DEMAND]


def label(model):
    return type(model).__name__.lower()


def wave(rows, seed=0):
    t = np.arange(rows)
    return (
        100
        + 0.3 * t
        + 10 * np.sin(2 * np.pi * t / 12)
        + np.random.default_rng(seed).normal(0, 3, rows)
    )


def intermittent(rows=60):
    rng = np.random.default_rng(1)
    return (rng.random(rows) < 0.3) * (1.0 + rng.poisson(2, rows))


def parts(series):
    panel = panel_of(series, STEPS)
    ends = FromEnd(STEPS).ends(panel)
    return panel_known_at(panel, FromEnd(STEPS)), future_of(
        panel, np.arange(panel.n_series), ends, STEPS
    )


def answer(model, series):
    history, future = parts(series)
    return model.learn(history, horizon=STEPS, context=CONTEXT).predict(history, future)


def simple(series):
    return FittedSeasonalNaive(12, LEVELS).predict(*parts(series))


HOLES = wave(60)
HOLES[np.random.default_rng(2).permutation(60)[:50]] = np.nan
ODD = {
    "constant": np.full(40, 5.0),
    "zero": np.zeros(40),
    "one_point": np.array([7.0]),
    "two_points": np.array([7.0, 9.0]),
    "mostly_missing": HOLES,
    "unknown": np.r_[np.full(20, np.nan)],
    "huge": wave(72) * 1e10,
    "negative": wave(72) - 150,
    "tiny": wave(72) * 1e-9,
    "short": wave(13),
    "late_hole": np.r_[wave(70), np.nan, np.nan],
}


@pytest.mark.parametrize("model", MODELS, ids=label)
def test_odd_series_are_forecast_or_counted_and_nothing_is_said(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forecasts = answer(model, ODD)
    names = sorted(ODD)
    fell = {name for name, fallback in zip(names, forecasts.fallback, strict=True) if fallback}
    simpler = {"constant", "zero", "one_point", "two_points", "mostly_missing", "unknown"}
    assert fell == simpler | ({"negative"} if model in DEMAND or isinstance(model, LGT) else set())
    known = np.array([name != "unknown" for name in names])
    assert np.isfinite(forecasts.mean[known]).all()
    assert np.isfinite(forecasts.quantiles[known]).all()
    assert (np.diff(forecasts.quantiles[known], axis=-1) >= 0).all()
    assert np.isnan(forecasts.mean[~known]).all()
    np.testing.assert_array_equal(
        forecasts.mean[forecasts.fallback], simple(ODD).mean[forecasts.fallback]
    )


@pytest.mark.parametrize("model", MODELS, ids=label)
def test_three_thousand_points_are_forecast(model):
    forecasts = answer(model, {"long": wave(3_000)})
    assert not forecasts.fallback.any()
    assert (np.abs(forecasts.mean - 1_000) < 150).all()


@pytest.mark.parametrize("model", SMOOTH, ids=label)
def test_forecasts_follow_the_scale_and_the_sign_of_a_huge_series(model):
    forecasts = answer(model, {"huge": wave(72) * 2.0**40, "plain": wave(72)})
    np.testing.assert_allclose(forecasts.mean[0] / 2.0**40, forecasts.mean[1], rtol=0.02)
    assert (answer(model, {"negative": wave(72) - 300}).mean < 0).all()


def library(model):
    from statsforecast import models

    return {
        "ets": models.AutoETS(season_length=12),
        "theta": models.DynamicOptimizedTheta(season_length=12),
        "ces": models.AutoCES(season_length=12),
        "mfles": models.MFLES(season_length=12),
        "croston": models.CrostonOptimized(),
        "tsb": models.TSB(0.1, 0.1),
        "adida": models.IMAPA() if getattr(model, "several", False) else models.ADIDA(),
    }[label(model)]


@pytest.mark.parametrize("model", [*LIBRARY, *DEMAND], ids=label)
def test_the_mean_is_the_library_s_own(model):
    values = intermittent() if model in DEMAND else wave(72)
    model = Theta(seasons="tested") if isinstance(model, Theta) else model
    expected = library(model).forecast(y=values, h=STEPS)["mean"]
    near = (
        0.01 if isinstance(model, (ETS, Theta)) else 0.0
    )  # ours are searched, theirs where a simplex stopped
    np.testing.assert_allclose(answer(model, {"clean": values}).mean[0], expected, rtol=near)


@pytest.mark.parametrize("form", THETA_FORMS)
def test_theta_fits_as_closely_as_the_library_but_for_the_prior_of_its_weight(form):
    from statsforecast.theta import auto_theta
    from statsforecast.theta import forecast_theta as reference

    dynamic, weight = THETA_FORMS[form]
    name = {"standard": "STM", "optimised": "OTM", "dynamic": "DSTM", "dynamic_optimised": "DOTM"}[
        form
    ]
    for seed in range(12):
        rng = np.random.default_rng(seed)
        values = (
            100 + np.cumsum(rng.normal(0.3, 3, 14 + 9 * seed)) + rng.normal(0, 4, 14 + 9 * seed)
        )
        theirs = auto_theta(values, 1, model=name)
        loss = theirs["mse"] * np.abs(values).mean() / (len(values) - 3)
        fit = fit_theta(values, dynamic=dynamic, weight=weight)
        assert fit.loss <= loss * (1.05 if np.isnan(weight) else 1 + 1e-6)
        if not np.isnan(weight) and fit.loss > loss * (1 - 1e-5):
            expected = reference(theirs, STEPS)["mean"]
            np.testing.assert_allclose(
                forecast_theta(fit, len(values), STEPS, dynamic=dynamic)[0], expected, rtol=0.01
            )


def test_the_variance_of_theta_s_own_errors_is_that_of_smoothing_and_of_the_library_s_paths():
    from statsforecast.theta import compute_pi_samples

    values = wave(60) + 0.5 * np.arange(60)
    flat = fit_theta(values, dynamic=False)
    _, variance = forecast_theta(flat, 60, STEPS, dynamic=False)
    np.testing.assert_allclose(variance / variance[0], 1 + flat.alpha**2 * np.arange(STEPS))
    fit = fit_theta(values, dynamic=True, weight=0.5)
    spread = np.sqrt(forecast_theta(fit, 60, STEPS, dynamic=True)[1])
    state = np.array([[fit.level, fit.mean, fit.first, fit.slope, 0.0]])
    paths = compute_pi_samples(
        60, STEPS, state, spread[0], fit.alpha, 2.0, fit.mean, n_samples=20_000
    )
    np.testing.assert_allclose(paths.std(1), spread, rtol=0.05)


def test_a_damped_trend_is_that_of_statsmodels_from_its_least_squares_state():
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    values = 100 + np.cumsum(np.random.default_rng(3).normal(0.8, 3, 40))
    fit = fit_damped(values)
    mean, variance = damped_ahead(fit, 40, STEPS)
    model = ETSModel(
        values,
        error="add",
        trend="add",
        damped_trend=True,
        initialization_method="known",
        initial_level=0,
        initial_trend=0,
    )

    def smoothed(level, trend):
        model.set_initialization_method(
            "known", initial_level=level, initial_trend=trend / fit.damping
        )
        return model.smooth([fit.alpha, fit.beta, fit.damping, level, trend])

    errors = [smoothed(*state).resid for state in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))]
    paths = np.stack(
        [errors[0] - errors[1], errors[0] - errors[2]], 1
    )  # what a level and a trend of 1 explain
    drawn = paths.T @ paths + np.diag([0.0, NO_TREND_ROWS / 40 * (paths[:, 1] ** 2).sum()])
    state = np.linalg.solve(drawn, paths.T @ errors[0])
    results = smoothed(*state)
    assert np.isclose(fit.loss, np.mean(results.resid**2))
    np.testing.assert_allclose(mean, results.forecast(STEPS), rtol=1e-6)
    level, trend, answers = fit.alpha, fit.beta, [1.0]  # to an error of 1
    for _ in range(STEPS - 1):
        level, trend = level + fit.damping * trend, fit.damping * trend
        answers.append(level)
    np.testing.assert_allclose(variance / variance[0], np.cumsum(np.square(answers)))


def test_sums_over_several_rows_move_a_damped_trend_and_are_left_out_where_few():
    values = wave(40)
    single, both = (
        Damped(aggregated=kind, origins=0).plain(values, 12, STEPS)[0] for kind in (False, True)
    )
    assert np.abs(single - both).max() > 0.01
    few = values[:15]
    np.testing.assert_array_equal(
        *(Damped(aggregated=kind).plain(few, 12, STEPS)[0] for kind in (False, True))
    )


@pytest.mark.parametrize("kind", [Theta, Damped])
def test_in_logarithms_a_trend_is_a_rate_and_a_band_is_skewed(kind):
    """Each series that is positive: its forecast is that of its logarithms, the way back, whatever
    its unit.
    """
    values = wave(48) * 1.02 ** np.arange(48)
    logged, plain = kind(logs=True, origins=0), kind(decomposition="additive", origins=0)
    mean, quantiles = logged.forecast(values, 12, STEPS, LEVELS)
    level = np.log(values.mean())
    in_logs = plain.forecast(np.log(values) - level, 12, STEPS, LEVELS)
    np.testing.assert_allclose(np.log(mean) - level, in_logs[0])
    np.testing.assert_allclose(np.log(quantiles) - level, in_logs[1])
    np.testing.assert_allclose(logged.forecast(1e6 * values, 12, STEPS, LEVELS)[0], 1e6 * mean)
    assert (quantiles[:, -1] - mean > mean - quantiles[:, 0]).all()


@pytest.mark.parametrize(
    "values", [np.r_[0.0, wave(47)], np.r_[wave(47), 0.0]], ids=["first", "last"]
)
def test_a_series_that_falls_to_zero_is_forecast_as_it_is_from_every_origin(values):
    for part in (0, 1):
        np.testing.assert_array_equal(
            *(Theta(logs=logs).forecast(values, 12, STEPS, LEVELS)[part] for logs in (True, False))
        )


@pytest.mark.parametrize("seed", [1, 5])
def test_a_season_is_tested_and_taken_out_whole_as_the_library_does(seed):
    rng = np.random.default_rng(seed)
    values = rng.poisson(3 + seed * np.sin(np.arange(60) * np.pi / 6) ** 2).astype(float)
    values[seed] = 0.0
    expected = library(Theta()).forecast(y=values, h=STEPS)["mean"]
    mean, _ = Theta().forecast(values, 12, STEPS, LEVELS)
    np.testing.assert_allclose(mean, expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("model", [ETS(), CES(origins=0)], ids=label)
def test_the_intervals_are_the_library_s_own_where_they_are_asked_for(model):
    expected = library(model).forecast(y=wave(72), h=STEPS, level=[80])
    quantiles = answer(model, {"clean": wave(72)}).quantiles[0]
    theirs = np.column_stack([expected["lo-80"], expected["mean"], expected["hi-80"]])
    np.testing.assert_allclose(quantiles, theirs, rtol=0.02 if isinstance(model, ETS) else 0.0)


def test_a_hole_at_the_end_is_forecast_and_stepped_over():
    with_hole = answer(Theta(), {"a": np.r_[wave(70), np.nan, np.nan]}).mean[0]
    np.testing.assert_array_equal(
        with_hole[: STEPS - 2], answer(Theta(), {"a": wave(70)}).mean[0][2:]
    )


@pytest.mark.parametrize("model", MODELS, ids=label)
def test_saved_models_forecast_the_same_bytes_and_a_series_does_not_feel_its_neighbours(
    model, tmp_path
):
    series = {"a": intermittent(), "b": wave(50), "c": np.full(30, 2.0)}
    history, future = parts(series)
    fitted = model.learn(history, horizon=STEPS, context=CONTEXT)
    save_fitted(fitted, tmp_path / "model")
    first, again = (
        fitted.predict(history, future),
        load_fitted(tmp_path / "model").predict(history, future),
    )
    assert first.mean.tobytes() == again.mean.tobytes()
    assert first.quantiles.tobytes() == again.quantiles.tobytes()
    alone = fitted.predict(history.block(1, 2), future.block(1, 2))
    assert alone.quantiles.tobytes() == first.quantiles[1:2].tobytes()


@pytest.mark.parametrize("model", MODELS, ids=label)
def test_what_was_never_negative_is_not_forecast_below_zero(model):
    least = 0.1 if isinstance(model, LGT) else 0.0
    falling = np.maximum(
        40 - 0.8 * np.arange(60) + np.random.default_rng(0).normal(0, 4, 60), least
    )
    forecasts = answer(model, {"falling": falling})
    assert (forecasts.mean >= 0).all()
    assert (forecasts.quantiles >= 0).all()


def test_a_library_that_fails_or_runs_wild_is_a_counted_fallback(monkeypatch):
    series = {"a": wave(40)}
    for broken in (
        lambda *_: (_ for _ in ()).throw(Exception("no model able to be fitted")),
        lambda *_: (np.full(STEPS, np.nan), np.zeros((STEPS, 3))),
        lambda *_: (np.full(STEPS, 1e9), np.zeros((STEPS, 3))),
    ):
        monkeypatch.setattr(Theta, "forecast", broken)
        forecasts = answer(Theta(), series)
        assert forecasts.fallback.all()
        np.testing.assert_array_equal(forecasts.quantiles, simple(series).quantiles)


@pytest.mark.parametrize("rows", [2, 7, 12])
def test_intervals_of_a_seasonal_naive_hold_as_much_of_series_no_longer_than_a_season(rows):
    rng = np.random.default_rng(rows)
    many = {f"s{i:03d}": 100 + rng.normal(0, 8, rows) for i in range(200)}
    history, future = parts(
        {**many, "t": np.array([7.0]), "u": np.full(rows, 7.0), "v": np.full(rows, 0.0)}
    )
    fitted = FittedSeasonalNaive(12, LEVELS)
    said = fitted.predict(history, future)
    low, high = said.quantiles[:200, :, 0], said.quantiles[:200, :, 2]
    happened = 100 + rng.normal(0, 8, low.shape)
    assert 0.7 < ((low <= happened) & (happened <= high)).mean() < 0.85
    widths = said.quantiles[..., 2] - said.quantiles[..., 0]
    assert widths[200] == pytest.approx(
        2 * NormalDist().inv_cdf(0.9) * 7.0
    )  # one row tells no change
    assert widths[201] == pytest.approx(2 * NormalDist().inv_cdf(0.9) * 0.7), (
        "rows that are alike tell that it is little"
    )
    assert (widths[202] == 0).all()
    paths = fitted.sample(history.block(0, 1), future.block(0, 1), 4_000, [rng])
    assert paths[0, :, 0].std() == pytest.approx(
        widths[0, 0] / (2 * NormalDist().inv_cdf(0.9)), rel=0.05
    )
    alone = fitted.predict(history.block(3, 4), future.block(3, 4))
    assert alone.quantiles.tobytes() == said.quantiles[3:4].tobytes()


def test_what_was_the_same_a_season_before_has_no_width():
    said = simple({"same": np.tile(np.arange(12.0), 3)})
    assert (said.quantiles == said.mean[..., None]).all()


def test_levels_far_out_make_no_fallback_of_series_that_usual_ones_leave():
    rng = np.random.default_rng(1)
    history, future = parts({f"s{i}": np.exp(rng.normal(0, 0.3, 48).cumsum()) for i in range(40)})
    levels = (0.0005, *LEVELS, 0.9995)
    far = (
        ETS()
        .learn(history, horizon=STEPS, context=ForecastContext(0, levels=levels, season=12))
        .predict(history, future)
    )
    usual = ETS().learn(history, horizon=STEPS, context=CONTEXT).predict(history, future)
    peaks = np.maximum.reduceat(history.target, history.offsets[:-1])
    assert (far.quantiles[..., -1].max(1) > 10 * peaks).any()
    assert not far.fallback.any()
    np.testing.assert_array_equal(far.quantiles[..., 1:-1], usual.quantiles)


def test_forms_that_do_not_exist_are_refused():
    for fields in (
        {"error": "A", "seasonal": "M"},
        {"error": "A", "trend": "M"},
        {"trend": "M", "seasonal": "A"},
    ):
        with pytest.raises(ConfigError, match="not stable"):
            ETS(**fields)
    with pytest.raises(ConfigError, match="nothing to damp"):
        ETS(trend="N", damped="always")


def test_seasons_that_smoothing_cannot_hold_are_left_out():
    fitted = ETS(season=30).learn(parts({"a": wave(80)})[0], horizon=STEPS, context=CONTEXT)
    plain = ETS(season=1).learn(parts({"a": wave(80)})[0], horizon=STEPS, context=CONTEXT)
    np.testing.assert_array_equal(
        fitted.predict(*parts({"a": wave(80)})).mean, plain.predict(*parts({"a": wave(80)})).mean
    )


def test_settings_of_mfles_are_chosen_on_windows_of_the_history():
    series = {"a": wave(72)}
    assert not np.array_equal(
        answer(MFLES(windows=2, origins=1), series).mean, answer(MFLES(origins=1), series).mean
    )


def test_holes_take_the_season_before_or_the_line():
    values = np.arange(8.0)
    values[[2, 6]] = np.nan
    np.testing.assert_array_equal(fill_holes(values, 1), np.arange(8.0))
    np.testing.assert_array_equal(fill_holes(values, 4)[[2, 6]], [2.0, 2.0])
    values[7] = 100.0
    np.testing.assert_array_equal(fill_holes(values, 3)[[2, 6]], [2.0, 3.0])


def test_scales_are_powers_of_two_and_only_where_they_are_needed():
    assert power_of_two(wave(50)) == 1.0
    assert np.frexp(power_of_two(wave(50) * 1e12))[0] == 0.5
    assert 100 < np.abs(wave(50) * 1e-9 / power_of_two(wave(50) * 1e-9)).max() < 1_100


def test_the_spread_of_past_errors_grows_with_the_step_and_never_shrinks():
    rng = np.random.default_rng(0)
    walks = [np.cumsum(rng.normal(0, 2, 12)) for _ in range(2_000)]
    np.testing.assert_allclose(spread_by_step(walks, 12), 2 * np.sqrt(np.arange(1, 13)), rtol=0.06)
    falling = [np.array([3.0, 1.0]), np.array([-3.0, 1.0])]
    np.testing.assert_allclose(spread_by_step(falling, 2), np.sqrt(5.0))
    assert (spread_by_step([np.array([2.0])], 3) == 2.0).all()


def test_normal_intervals_are_as_wide_as_the_spread():
    quantiles = answer(MFLES(), {"a": wave(72)}).quantiles[0]
    np.testing.assert_allclose(quantiles[:, 2] - quantiles[:, 1], quantiles[:, 1] - quantiles[:, 0])
    assert ((quantiles[:, 2] - quantiles[:, 1]) / NormalDist().inv_cdf(0.9) < 10).all()


def test_past_origins_leave_a_third_of_the_history_and_cost_a_bounded_number_of_rows():
    assert past_origins(60, 6, 12, 6) == list(range(58, 34, -2))
    assert past_origins(30, 18, 12, 6) == [24, 18, 12]
    assert past_origins(6, 6, 12, 6) == []
    assert len(past_origins(2_500, 6, 12, 6)) == 4


def test_demand_comes_by_chance_with_the_forecast_as_its_mean():
    values = np.array([0.0, 0, 0, 2, 0, 0, 4, 0, 0, 6])
    levels = tuple(np.arange(0.0005, 1, 0.001))
    mean, quantiles = demand_bands(values, 1.0, 2, levels)
    assert (mean == 1.0).all()
    assert set(quantiles[0]) == {0.0, 2.0, 4.0, 6.0}
    np.testing.assert_allclose(quantiles[0].mean(), 1.0, atol=0.01)
    assert (quantiles[0] == 0).mean() == pytest.approx(0.75, abs=0.002)
    np.testing.assert_allclose(demand_bands(values, 8.0, 2, levels)[1][0].mean(), 8.0, atol=0.05)
    assert not demand_bands(values, 0.0, 2, (0.1, 0.9))[1].any()


class Refusing(Statistical):
    """A model whose library raises what it is given."""

    def forecast(self, values, season, steps, levels):
        raise self.raised


def refusing(error):
    model = Refusing()
    object.__setattr__(model, "raised", error)
    return model


def of(error, cause=None, context=None):
    error.__cause__, error.__context__ = cause, context
    return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        MemoryError(),
        of(ValueError("no model"), cause=OSError(27, "File too large")),
        of(Exception("no model able to be fitted"), context=MemoryError()),
        of(ValueError("b"), context=of(ValueError("a"), cause=BrokenPipeError())),
        ExceptionGroup("two", [ValueError("a"), OSError("b")]),
        ValueError("std::bad_alloc"),
        RuntimeError("can't start new thread"),
        HwdsError("outputs: cannot be written"),
        Exception("anything"),
        TypeError("a mistake"),
    ],
    ids=str,
)
def test_what_is_no_failure_of_a_model_is_no_fallback(error):
    with pytest.raises(type(error)) as raised:
        answer(refusing(error), {"a": wave(40)})
    assert raised.value is error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (np.linalg.LinAlgError("singular"), "LinAlgError"),
        (FloatingPointError("overflow"), "FloatingPointError"),
        (of(ValueError("too few"), context=KeyError("x")), "ValueError"),
        (IndexError("no candidate"), "IndexError"),
        (Exception("no model able to be fitted"), "no model able to be fitted"),
        (
            RuntimeError("No ARIMA model able to be estimated"),
            "No ARIMA model able to be estimated",
        ),
    ],
    ids=str,
)
def test_a_fallback_says_why_and_is_counted_by_it(error, kind):
    series = {"a": wave(40), "b": wave(40), "equal": np.full(40, 5.0), "few": wave(5)}
    forecasts = answer(
        refusing(error), series | {"holes": np.r_[wave(9), np.full(30, np.nan), 1.0]}
    )
    assert forecasts.kinds.tolist() == [
        kind,
        kind,
        "all values equal",
        "fewer than 6 values",
        "less than half known",
    ]


def test_where_the_model_answers_no_kind_is_told():
    assert answer(ETS(), {"a": wave(40)}).kinds.tolist() == [None]
