"""Automatic ARIMA of M3 monthly series: hwds, statsforecast, pmdarima; seconds, and the errors of an inner window."""

from __future__ import annotations

import os
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

from bench.rows import Row
from hwds.context import Context
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.models.forecast.sarima import Sarima

NAME = "sarima"
SEASON, STEPS = 12, 18
SERIES = {"statsforecast AutoARIMA": 50, "pmdarima auto_arima": 10}
"""How many series each rival is asked for: what fits into three minutes."""


def measure() -> list[Row]:
    """Each series alone on one thread; the last 18 rows of what may be learned from are cut off first and scored."""
    count = int(os.environ.get("SARIMA_SERIES", "0"))
    return [_against(name, count or few) for name, few in SERIES.items()]


def _against(name: str, count: int) -> Row:
    series = _series(count)
    _ours(series[:1])  # compiled before the clock starts
    start = perf_counter()
    ours = _errors(series, _ours(series))
    middle = perf_counter()
    theirs = _errors(series, [_rival(name, values[:-STEPS]) for values in series])
    own, other = middle - start, perf_counter() - middle
    apart = ours - theirs
    error = float(apart.std(ddof=1) / np.sqrt(len(apart)))
    what = f"{count} series, MASE {ours.mean():.3f}"
    rival = f"{name}, {theirs.mean():.3f} +- {error:.3f}"
    return Row(what, own, rival, other, other / own, bool(apart.mean() <= error))


def _series(count: int) -> list[np.ndarray]:
    """An even sample of the training parts that are long enough."""
    table = pl.read_parquet(Path(os.environ["HWDS_DATA"]) / "m3" / "m3_monthly.parquet")
    train = table.filter(pl.col("split") == "train").sort("series_id", "date")
    parts = [part["y"].to_numpy().astype(float) for _, part in train.group_by("series_id", maintain_order=True)]
    long = [values for values in parts if len(values) > STEPS + 2 * SEASON + 5]
    return [long[i] for i in np.linspace(0, len(long) - 1, count).astype(int)]


def _ours(series: list[np.ndarray]) -> list[np.ndarray]:
    known = [values[:-STEPS] for values in series]
    history, future = _panel(known, 0), _panel([np.full(STEPS, np.nan)] * len(known), [len(values) for values in known])
    context = Context(0, levels=(0.1, 0.5, 0.9), season=SEASON, horizon=STEPS)
    return list(Sarima().fit(history, horizon=STEPS, context=context).predict(history, future).mean)


def _panel(series: list[np.ndarray], starts: Any) -> Panel:
    lengths = [len(values) for values in series]
    ids = np.repeat([f"{i:05}" for i in range(len(series))], lengths)
    begins = np.broadcast_to(starts, len(series))
    time = np.concatenate([start + np.arange(length) for start, length in zip(begins, lengths, strict=True)])
    target = pl.Series(np.concatenate(series)).fill_nan(None)
    table = pl.DataFrame({"series_id": ids, "time": time, "target": target})
    return Panel.build(table, Frequency("1i"), season=SEASON)


def _rival(name: str, values: np.ndarray) -> np.ndarray:
    if name.startswith("pmdarima"):
        import pmdarima

        model = pmdarima.auto_arima(values, m=SEASON, error_action="ignore", suppress_warnings=True)
        return np.asarray(model.predict(STEPS))
    from statsforecast.models import AutoARIMA

    return np.asarray(AutoARIMA(season_length=SEASON).forecast(values, STEPS)["mean"])


def _errors(series: list[np.ndarray], forecasts: list[np.ndarray]) -> np.ndarray:
    scales = [np.abs(values[SEASON:-STEPS] - values[: -SEASON - STEPS]).mean() for values in series]
    return np.array([np.abs(v[-STEPS:] - f).mean() / s for v, f, s in zip(series, forecasts, scales, strict=True)])
