"""A forecaster and a feature set of a user's own, run on two toy cells: two series of a panel, then one of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwds.core.errors import with_article
from hwds.evaluation.abilities import WrongAnswerError
from hwds.forecast.context import ForecastContext
from hwds.forecast.models.base import Forecaster
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.results.formatting import counted
from hwds.splitting.cutoffs import Cutoff, future_of, known_at, select, series_at

MOST_ROWS = 200
"""The last rows of each series that a toy cell has."""


def try_forecaster(model: Forecaster, panel: Panel, cutoff: Cutoff, context: ForecastContext, horizon: int) -> None:
    """Fit a model on toys and ask it for their next steps.

    Raises:
        WrongAnswerError: The answer is no `Forecasts`, an array of it has another shape, or quantiles cross.
    """
    for most in (2, 1):
        block = panel.block(0, min(most, panel.n_series))
        series, ends = series_at(block, cutoff), cutoff.ends(block)
        if not len(series):
            return
        history = known_at(select(block, series), cutoff, MOST_ROWS)
        if history.n_series != len(series):
            return  # launches, of which nothing is known
        answer = model.learn(history, horizon=horizon, context=context)
        check_forecasts(answer.predict(history, future_of(block, series, ends, horizon)), len(series), context, horizon)


def check_forecasts(answer: Any, series: int, context: ForecastContext, horizon: int) -> None:
    """Refuse an answer for so many series and steps that is not what `predict` must return.

    Raises:
        WrongAnswerError: It is no `Forecasts`, an array has another shape, or quantiles cross.
    """
    asked = f"predict was asked for {counted(series, 'series')} and {counted(horizon, 'steps')}"
    if not isinstance(answer, Forecasts):
        shape = f" of shape {answer.shape}" if isinstance(answer, np.ndarray) else ""
        raise WrongAnswerError(f"{asked} and must return hwds.Forecasts, got {with_article(type(answer).__name__)}{shape}")
    shapes = {"mean": (series, horizon), "quantiles": (series, horizon, len(context.levels)), "fallback": (series,)}
    for name, wanted in shapes.items():
        got = getattr(answer, name)
        if not isinstance(got, np.ndarray):
            raise WrongAnswerError(f"{asked}: '{name}' must be an array, got {with_article(type(got).__name__)}")
        if got.shape != wanted or got.dtype.kind not in "biuf":
            raise WrongAnswerError(f"{asked}: '{name}' must be numbers of shape {wanted}, got {got.dtype} of shape {got.shape}")
    if (np.diff(answer.quantiles, axis=-1) < 0).any():
        raise WrongAnswerError(f"{asked}: 'quantiles' must not decrease along their last axis; Forecasts.of sorts them")


def try_panel_features(features: Any, panel: Panel, horizon: int) -> None:
    """Compute a feature set of two series.

    Raises:
        WrongAnswerError: The answer is no panel of these rows, or lacks a column of the plan as floats.
    """
    toy = panel.block(0, min(2, panel.n_series)).last(MOST_ROWS)
    names = [feature.name for feature in features.columns(toy.roles, horizon).features]
    answer = features.compute(toy)
    rows = counted(len(toy.table), "rows")
    if not isinstance(answer, Panel):
        raise WrongAnswerError(f"compute of {rows} must return a Panel, got {with_article(type(answer).__name__)}")
    if len(answer.table) != len(toy.table):
        raise WrongAnswerError(f"compute of {rows} must return as many, got {len(answer.table):,}")
    for name in names:
        dtype = answer.table.schema.get(name)
        if dtype is None or not dtype.is_float():
            raise WrongAnswerError(
                f"compute of {rows} must add '{name}', which its plan names, as floats, got {dtype or 'no such'}"
            )
