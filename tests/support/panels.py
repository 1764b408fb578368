"""Small panels and models for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hwds.core.cache import Cache, Codec, Value
from hwds.forecast.models.base import ForecastContext, Forecaster
from hwds.forecast.predictions import InnerBacktests
from hwds.frames.features.none import None_
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Forecasts, Panel
from hwds.frames.roles import Roles


def monthly_panel(n_series: int = 6, months: int = 60, seed: int = 0, horizon: int = 6) -> Panel:
    """Trend, season and noise, with a known-future and a past-only column."""
    rng = np.random.default_rng(seed)
    times = pl.date_range(date(2018, 1, 1), date(2040, 1, 1), "1mo", eager=True)[:months]
    parts = []
    for i in range(n_series):
        t = np.arange(months)
        promotion = (rng.random(months) < 0.2).astype(float)
        level = 100 + 20 * i + 0.5 * t + 15 * np.sin(2 * np.pi * t / 12) + 20 * promotion
        columns = {
            "series_id": [f"s{i}"] * months,
            "time": times,
            "target": level + rng.normal(0, 3, months),
        }
        parts.append(
            pl.DataFrame(
                columns | {"promotion": promotion, "visits": level + rng.normal(0, 1, months)}
            )
        )
    roles = Roles(known_future=("promotion",), past_only=("visits",))
    return Panel.build(pl.concat(parts), Frequency("1mo"), roles=roles, horizon=horizon)


def panel_of(series: dict[str, Iterable[float]], horizon: int) -> Panel:
    """Monthly series by name, each followed by a horizon of zeros."""
    parts = []
    for name, values in series.items():
        target = pl.Series([*values, *[0.0] * horizon], dtype=pl.Float64).fill_nan(None)
        times = pl.date_range(date(300, 1, 1), date(2020, 1, 1), "1mo", eager=True)[: len(target)]
        parts.append(
            pl.DataFrame({"series_id": [name] * len(times), "time": times, "target": target})
        )
    return Panel.build(pl.concat(parts), Frequency("1mo"), season=12, horizon=horizon)


def inner_context(folder: Path, fold: str = "fold", **fields: Any) -> ForecastContext:
    """What a model that asks others for backtests is given.

    Their forecasts are cached in a folder.
    """
    given = {
        "levels": (0.1, 0.5, 0.9),
        "season": 12,
        "features": None_(),
        "backtests": InnerBacktests(Cache(folder)),
    }
    return ForecastContext(0, fold, **given | fields)


class AskedAnew(Cache):
    """A cache that keeps nothing: what models ask of each other is computed each time."""

    def get_or_make(self, key: str, codec: Codec[Value], make: Callable[[], Value]) -> Value:
        return make()


class LastValue(Forecaster):
    """Repeats the last value."""

    local = True

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedLastValue:
        return FittedLastValue(context.levels)


@dataclass(frozen=True)
class FittedLastValue:
    levels: tuple[float, ...]

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        last = history.target[history.offsets[1:] - 1]
        mean = np.repeat(last[:, None], future.lengths[0], axis=1)
        return Forecasts.of(mean, np.repeat(mean[..., None], len(self.levels), axis=2))


class Breaks(Forecaster):
    """Fails on purpose where a block holds the series it names."""

    local = True
    series: str = "s1"

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedLastValue:
        if self.series in history.series_ids.to_list():
            raise ValueError(f"cannot fit {self.series}")
        return FittedLastValue(context.levels)
