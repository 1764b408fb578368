"""Forecasters beside those of other libraries on the same panel: CPU seconds of fit and forecast,
and MASE.

M3 monthly, an even sample. Every contestant is asked for the same steps and an 80 % interval, in
this process and on one thread, and was asked for two series before, so that what is compiled is
compiled; what that took is in the note. Of networks and boosters rivals have the settings of their
own documentation. `python -m bench forecasters=200`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from bench.rows import Row
from bench.sarima import DATA as PANEL
from bench.sarima import STEPS, panel_of, sample
from hwds.core.compose import option
from hwds.core.config import build
from hwds.forecast.models.base import ForecastContext

NAME = "forecasters (M3 monthly, 18 steps, an 80 % interval)"
SIZE = 100
"""Series."""

DATA = PANEL
SEASON = 12
LEVELS = (0.1, 0.5, 0.9)
NEAR = 1.01
"""Beyond this many times the rival's MASE ours counts as unequal."""

LOCAL = {
    "forecast/theta": "DynamicOptimizedTheta",
    "forecast/ets": "AutoETS",
    "forecast/ces": "AutoCES",
    "forecast/sarima": "AutoARIMA",
}
"""Our options and their twins in statsforecast."""


class Played(NamedTuple):
    """The time and the error of a contestant.

    Attributes:
        cold: CPU seconds of the first two series.
        seconds: CPU seconds of all.
        mase: Mean over series.
    """

    cold: float
    seconds: float
    mase: float


Contestant = Callable[[list[np.ndarray]], np.ndarray]
"""Histories to medians, shape (series, STEPS)."""


def measure(count: int = SIZE) -> list[Row]:
    """Return a row a pair; the note says what is not installed."""
    series = sample(count)
    rows = [
        _row(series, name, _ours(name), f"statsforecast {twin}", _twin(twin))
        for name, twin in LOCAL.items()
    ]
    if find_spec("lightgbm"):
        rows.append(
            _row(
                series,
                "forecast/xgboost",
                _ours("forecast/xgboost"),
                "mlforecast LightGBM",
                _mlforecast,
            )
        )
    if find_spec("neuralforecast"):
        rows.append(
            _row(
                series,
                "forecast/lstm",
                _ours("forecast/lstm"),
                "neuralforecast LSTM",
                _neuralforecast,
            )
        )
    missing = [name for name in ("lightgbm", "neuralforecast") if not find_spec(name)]
    left = f"; left out, for it is not installed: {', '.join(missing)}" if missing else ""
    return [*rows[:-1], replace(rows[-1], note=rows[-1].note + left)]


def _row(
    series: list[np.ndarray], name: str, ours: Contestant, rival: str, theirs: Contestant
) -> Row:
    own, other = _played(series, ours), _played(series, theirs)
    note = (
        f"MASE {own.mase:.3f}, {other.mase:.3f}; first two series {own.cold:.2f} s, "
        f"{other.cold:.2f} s"
    )
    equal = own.mase <= NEAR * other.mase
    return Row(name, own.seconds, rival, other.seconds, other.seconds / own.seconds, equal, note)


def _played(series: list[np.ndarray], contestant: Contestant) -> Played:
    known = [values[:-STEPS] for values in series]
    began = process_time()
    contestant(known[:2])
    warm = process_time()
    medians = contestant(known)
    seconds = process_time() - warm
    scales = np.array([np.abs(values[SEASON:] - values[:-SEASON]).mean() for values in known])
    errors = np.abs(np.array([values[-STEPS:] for values in series]) - medians).mean(1)
    return Played(warm - began, seconds, float((errors / scales).mean()))


def _ours(name: str) -> Contestant:
    def asked(known: list[np.ndarray]) -> np.ndarray:
        model: Any = build("model", "model", option("model", "model", name))
        history = panel_of(known, 0)
        future = panel_of([np.full(STEPS, np.nan)] * len(known), [len(values) for values in known])
        context = ForecastContext(0, levels=LEVELS, season=SEASON)
        answer = model.learn(history, horizon=STEPS, context=context).predict(history, future)
        return np.asarray(answer.quantiles[..., 1])

    return asked


def _twin(name: str) -> Contestant:
    def asked(known: list[np.ndarray]) -> np.ndarray:
        from statsforecast import models

        model = getattr(models, name)(season_length=SEASON)
        return np.stack([model.forecast(y=values, h=STEPS, level=[80])["mean"] for values in known])

    return asked


def _long(known: list[np.ndarray]) -> pl.DataFrame:
    lengths = [len(values) for values in known]
    ids = np.repeat(np.arange(len(known)), lengths)
    return pl.DataFrame(
        {
            "unique_id": ids,
            "ds": np.concatenate([np.arange(n) for n in lengths]),
            "y": np.concatenate(known),
        }
    )


def _mlforecast(known: list[np.ndarray]) -> np.ndarray:
    """Return medians of boosters of the next row, on lags that are scaled by series, which are fed
    with their own forecasts.
    """
    from lightgbm import LGBMRegressor  # type: ignore[import-not-found]
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import ExpandingMean, RollingMean
    from mlforecast.target_transforms import Differences, LocalStandardScaler

    alphas = dict(zip(("low", "mid", "high"), LEVELS, strict=True))
    models = {
        n: LGBMRegressor(objective="quantile", alpha=a, n_jobs=1, verbosity=-1, random_state=0)
        for n, a in alphas.items()
    }
    forecaster = MLForecast(
        models=models,
        freq=1,
        lags=[*range(1, 14), 24],
        lag_transforms={1: [ExpandingMean(), RollingMean(SEASON)]},
        target_transforms=[Differences([1]), LocalStandardScaler()],
        num_threads=1,
    )
    forecaster.fit(_long(known), static_features=[])
    answers = forecaster.predict(STEPS).sort("unique_id", "ds")
    return np.asarray(answers["mid"].to_numpy().reshape(len(known), STEPS))


def _neuralforecast(known: list[np.ndarray]) -> np.ndarray:
    from neuralforecast import NeuralForecast  # type: ignore[import-not-found]
    from neuralforecast.losses.pytorch import MQLoss  # type: ignore[import-not-found]
    from neuralforecast.models import LSTM  # type: ignore[import-not-found]

    model = LSTM(
        h=STEPS,
        input_size=2 * SEASON,
        loss=MQLoss(quantiles=list(LEVELS)),
        scaler_type="robust",
        random_seed=0,
    )
    forecaster = NeuralForecast(models=[model], freq=1)
    forecaster.fit(_long(known).to_pandas())
    answers = forecaster.predict().sort_values(["unique_id", "ds"])
    median = next(column for column in answers.columns if "median" in column or "0.5" in column)
    return np.asarray(answers[median].to_numpy().reshape(len(known), STEPS))
