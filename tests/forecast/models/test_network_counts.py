"""The count head: the likelihood is the negative binomial's, its quantiles are, and series that are
no counts fall back.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from scipy.stats import nbinom

from hwds.core.errors import DataError
from hwds.evaluation.panel_folds import FromEnd, future_of, panel_known_at
from hwds.forecast.models.base import ForecastContext
from hwds.forecast.models.mlp import MLP
from hwds.forecast.networks import CountHead
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel

LEVELS = (0.1, 0.5, 0.9)
CONTEXT = ForecastContext(3, "fold", levels=LEVELS, season=12)
MODEL = MLP(units=16, epochs=5, seeds=1, batch=128, likelihood="negative_binomial")


def counts(n_series=30, months=60, odd=()):
    """Negative binomial demand of mean 1 and dispersion 2: two months in three are zero.

    Some series are no counts.
    """
    rng = np.random.default_rng(0)
    times = pl.date_range(date(2018, 1, 1), date(2040, 1, 1), "1mo", eager=True)[:months]
    parts = []
    for i in range(n_series):
        values = rng.negative_binomial(0.5, 1 / 3, months) + (0.5 if i in odd else 0.0)
        parts.append(
            pl.DataFrame(
                {"series_id": [f"s{i:02}"] * months, "time": times, "target": values.astype(float)}
            )
        )
    return Panel.build(pl.concat(parts), Frequency("1mo"), horizon=6)


def forecasts_of(panel):
    cutoff = FromEnd(6)
    history = panel_known_at(panel, cutoff)
    future = future_of(panel, np.arange(panel.n_series), cutoff.ends(panel), 6)
    return MODEL.learn(history, horizon=6, context=CONTEXT).predict(history, future)


def test_the_loss_is_the_negative_log_likelihood_up_to_a_constant_and_both_forms_agree():
    tf = pytest.importorskip("tensorflow")
    count, size, share, dispersion = 3.0, 2.0, np.array([0.7, 1.3]), np.array([0.4, 2.5])
    mean, places = size * share, 1 / dispersion
    truth = -nbinom.logpmf(count, places, places / (places + mean))
    target = np.array([[[count, size]]], np.float32)
    answers = [np.array([[[a, b]]], np.float32) for a, b in zip(share, dispersion, strict=True)]
    ours = [CountHead().score(answer, target) for answer in answers]
    assert ours[0] - ours[1] == pytest.approx(truth[0] - truth[1], rel=1e-5)
    assert [
        float(CountHead().loss(tf.constant(answer), tf.constant(target))) for answer in answers
    ] == pytest.approx(ours, 1e-4)


def test_it_finds_the_law_of_intermittent_demand():
    forecasts = forecasts_of(counts())
    assert (forecasts.quantiles == np.floor(forecasts.quantiles)).all()
    assert not forecasts.fallback.any()
    assert forecasts.mean.mean() == pytest.approx(1.0, abs=0.25)
    truth = nbinom.ppf(LEVELS, 0.5, 1 / 3)
    assert np.abs(forecasts.quantiles.mean((0, 1)) - truth) == pytest.approx(0, abs=0.6)


def test_a_series_that_is_no_count_falls_back_alone():
    forecasts = forecasts_of(counts(odd=(3, 7)))
    assert np.flatnonzero(forecasts.fallback).tolist() == [3, 7]
    assert np.isfinite(forecasts.quantiles).all()


def test_a_panel_without_counts_is_refused():
    with pytest.raises(
        DataError,
        match=r"^model.likelihood: 'negative_binomial' needs counts, but every series has",
    ):
        forecasts_of(counts(3, odd=(0, 1, 2)))
