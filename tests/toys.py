"""Small panels and models for tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from hwds.context import Context
from hwds.frames.forecasts import Forecasts
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import PanelRoles
from hwds.models.forecast.base import Forecaster


def monthly_panel(n_series: int = 6, months: int = 60, seed: int = 0, horizon: int = 6) -> Panel:
    """Trend, season and noise, with a known-future and a past-only column."""
    rng = np.random.default_rng(seed)
    times = pl.date_range(date(2018, 1, 1), date(2040, 1, 1), "1mo", eager=True)[:months]
    parts = []
    for i in range(n_series):
        t = np.arange(months)
        promotion = (rng.random(months) < 0.2).astype(float)
        level = 100 + 20 * i + 0.5 * t + 15 * np.sin(2 * np.pi * t / 12) + 20 * promotion
        columns = {"series_id": [f"s{i}"] * months, "time": times, "target": level + rng.normal(0, 3, months)}
        parts.append(pl.DataFrame(columns | {"promotion": promotion, "visits": level + rng.normal(0, 1, months)}))
    roles = PanelRoles(known_future=("promotion",), past_only=("visits",))
    return Panel.build(pl.concat(parts), Frequency("1mo"), roles=roles, horizon=horizon)


class LastValue(Forecaster):
    """Repeats the last value."""

    local = True

    def fit(self, history: Panel, *, horizon: int, context: Context) -> FittedLastValue:
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

    def fit(self, history: Panel, *, horizon: int, context: Context) -> FittedLastValue:
        if self.series in history.series_ids.to_list():
            raise ValueError(f"cannot fit {self.series}")
        return FittedLastValue(context.levels)
