"""Exponential smoothing: its recursion and likelihood beside statsforecast's, its quantiles, and
what is refused.
"""

from __future__ import annotations

import numpy as np
import pytest

from hwds.forecast.models.ets import ETS, best_form, smoothed_bands
from hwds.forecast.smoothing_kernels import (
    ADDED,
    MULTIPLIED,
    NONE,
    TREND_PENALTY,
    SmoothingForm,
    fit_smoothing,
    smoothed_ahead,
)

ROWS, SEASON, STEPS = 61, 4, 6
FACTORS = {
    NONE: np.zeros(1),
    ADDED: np.array([9.0, -4.0, -8.0, 3.0]),
    MULTIPLIED: np.array([1.1, 0.97, 0.9, 1.03]),
}
BEGIN = {NONE: (115.0, 0.0), ADDED: (130.0, -0.5), MULTIPLIED: (130.0, 0.996)}
"""The level and the trend that the backward path begins with."""


def demand(seed=0, rows=ROWS):
    rng, t = np.random.default_rng(seed), np.arange(rows)
    level = 100 + 0.5 * t + np.cumsum(rng.normal(0, 2, rows))
    return level * (1 + 0.1 * np.sin(2 * np.pi * t / SEASON)) * np.exp(rng.normal(0, 0.02, rows))


@pytest.mark.parametrize(
    "form",
    [
        SmoothingForm(ADDED, NONE, NONE, False),
        SmoothingForm(ADDED, ADDED, ADDED, True),
        SmoothingForm(MULTIPLIED, ADDED, MULTIPLIED, False),
        SmoothingForm(MULTIPLIED, MULTIPLIED, MULTIPLIED, True),
    ],
)
def test_errors_likelihood_and_states_are_the_library_s_along_the_same_path(form):
    from statsforecast.ets import pegelsresid_C

    values, factors = demand(), FACTORS[form.seasonal]
    fit = fit_smoothing(values, form, BEGIN[form.trend], factors, SEASON)
    paces = {
        "alpha": fit.alpha,
        "beta": fit.alpha * fit.beta_share,
        "gamma": fit.gamma,
        "phi": fit.damping,
    }

    def smoothed(rows, level, trend, seasons):
        begin = np.r_[
            level, [trend] if form.trend else [], seasons if form.seasonal else []
        ]  # the last place first
        letters = dict(
            zip(
                ("errortype", "trendtype", "seasontype"),
                ("NAM"[kind] for kind in form[:3]),
                strict=True,
            )
        )
        _, errors, states, loss = pegelsresid_C(
            rows, SEASON, begin, **letters, damped=form.damped, **paces, nmse=1
        )
        return errors, states[-1], loss

    _, state, _ = smoothed(values[::-1], *BEGIN[form.trend], np.roll(factors, -1))
    level, trend = state[0], state[1] if form.trend else 0.0
    if form.trend:
        turned = (
            (level * trend**fit.damping, 1 / trend)
            if form.trend == MULTIPLIED
            else (level + fit.damping * trend, -trend)
        )
        level, trend = turned
    errors, state, loss = smoothed(values, level, trend, state[: -SEASON - 1 : -1])
    assert np.isclose(fit.square, (errors**2).sum())
    assert np.isclose(fit.loss - TREND_PENALTY * SEASON * fit.beta_share, loss)
    own = np.r_[
        fit.level,
        [fit.trend] if form.trend else [],
        fit.seasons[[0, 3, 2, 1]] if form.seasonal else [],
    ]
    np.testing.assert_allclose(own, state)


def test_a_forecast_goes_on_from_the_last_state():
    fit = best_form(demand(), SEASON, [SmoothingForm(MULTIPLIED, ADDED, MULTIPLIED, True)])
    reach = fit.trend * np.cumsum(fit.damping ** np.arange(1, STEPS + 1))
    places = (ROWS + np.arange(STEPS)) % SEASON
    np.testing.assert_allclose(
        smoothed_ahead(fit, ROWS, STEPS), (fit.level + reach) * fit.seasons[places]
    )


@pytest.mark.parametrize("letters", ["ANN", "AAA", "MAM"])
def test_the_likelihood_is_no_less_than_where_the_library_s_simplex_stopped(letters):
    from statsforecast.ets import ets_f

    form = SmoothingForm(*("NAM".index(letter) for letter in letters), damped=False)
    for seed in range(4):
        values = demand(seed)
        fit = best_form(values, SEASON, [form])
        theirs = ets_f(values, SEASON, letters, damped=False)
        assert fit.loss - TREND_PENALTY * SEASON * fit.beta_share <= 1 - 2 * theirs["loglik"]


def test_simulated_quantiles_are_nearly_the_normal_ones_where_relative_errors_are_small():
    values = 1000 + np.cumsum(np.random.default_rng(0).normal(0, 5, 80))
    levels = (0.1, 0.5, 0.9)
    mean, quantiles = smoothed_bands(
        best_form(values, 1, [SmoothingForm(ADDED, NONE, NONE, False)]), 80, STEPS, levels
    )
    other, simulated = smoothed_bands(
        best_form(values, 1, [SmoothingForm(MULTIPLIED, NONE, NONE, False)]), 80, STEPS, levels
    )
    np.testing.assert_array_equal(other, simulated[:, 1])
    np.testing.assert_allclose(
        simulated - other[:, None], quantiles - mean[:, None], rtol=0.1, atol=1e-9
    )


def test_a_trend_of_the_last_rows_alone_is_not_drawn_out():
    t = np.arange(60)
    bent = 100 + np.maximum(t - 54, 0) * 5.0 + np.random.default_rng(1).normal(0, 2, 60)
    mean = ETS(seasonal="N", trend="A", damped="never").forecast(bent, 12, STEPS, ())[0]
    assert mean[-1] < bent[-1] + 5


def test_what_multiplies_needs_values_above_zero_and_a_form_needs_rows():
    with pytest.raises(ValueError, match="no form"):
        ETS(error="M").forecast(np.r_[0.0, demand()], SEASON, STEPS, ())
    with pytest.raises(ValueError, match="no form"):
        ETS(seasonal="A").forecast(demand(rows=8), SEASON, STEPS, ())


def test_a_form_that_foresees_no_positive_value_anywhere_is_not_chosen():
    fallen = np.r_[np.linspace(100, 5, 20), np.full(10, 0.1)]
    form = SmoothingForm(MULTIPLIED, ADDED, NONE, False)
    assert np.isinf(fit_smoothing(fallen, form, (10.0, 3.0), FACTORS[NONE], 1).loss)
    with pytest.raises(ValueError, match="no form"):
        ETS(error="M", trend="A", damped="never").forecast(fallen, 1, STEPS, ())
