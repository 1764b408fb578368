"""Automatic ARIMA of M3 monthly series: hwds, statsforecast, pmdarima; CPU seconds, errors of an
inner window, orders.

pmdarima takes some five seconds a series: 20 series take two minutes, 200 (`python -m bench
sarima=200`) a quarter of an hour.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from bench.rows import Row
from hwds.forecast.arima import ArimaSeries, OrderLimits, Orders, OrderSearch, arima_form
from hwds.forecast.models.base import ForecastContext
from hwds.forecast.models.sarima import Sarima
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel

NAME = "sarima"
SIZE = 20
DATA = "m3/m3_monthly.parquet"
"""Series, unless another number is asked for."""

SEASON, STEPS, TURN = 12, 18, 10
LIMITS = OrderLimits(ordinary=5, seasonal=2, total=6, finalists=5)
"""What ours looks at by default; the others bound p, q, P and Q likewise, and not their sum in a
stepwise search.
"""


class Answer(NamedTuple):
    """A mean of shape (steps,), and the orders behind it."""

    mean: np.ndarray
    orders: Orders


@dataclass
class Played:
    """One contestant: its seconds, and its answer to each series."""

    seconds: float
    answers: list[Answer]


def measure(size: int = SIZE) -> list[Row]:
    """Each series alone on one thread, each by its library's defaults.

    18 rows are cut off the training part and scored.
    """
    series = sample(size)
    played = _played(series)
    scores = {
        name: _errors(series, [answer.mean for answer in one.answers])
        for name, one in played.items()
    }
    return [_row(name, series, played, scores) for name in played if name != NAME]


def _played(series: list[np.ndarray]) -> dict[str, Played]:
    """The contestants take turns, ten series each, so that a slow moment of the machine strikes all
    alike.
    """
    contestants: dict[str, Callable[[list[np.ndarray]], list[Answer]]] = {
        NAME: _ours,
        "statsforecast AutoARIMA": lambda known: [_statsforecast(values) for values in known],
        "pmdarima auto_arima": lambda known: [_pmdarima(values) for values in known],
    }
    played = {name: Played(0.0, []) for name in contestants}
    for work in contestants.values():
        work([series[0][:-STEPS]])  # compiled and imported before the clock starts
    for first in range(0, len(series), TURN):
        known = [values[:-STEPS] for values in series[first : first + TURN]]
        for name, work in contestants.items():
            start = process_time()
            played[name].answers += work(known)
            played[name].seconds += process_time() - start
    return played


def _row(
    name: str, series: list[np.ndarray], played: dict[str, Played], scores: dict[str, np.ndarray]
) -> Row:
    ours, theirs = played[NAME].seconds, played[name].seconds
    apart = scores[NAME] - scores[name]
    error = float(apart.std(ddof=1) / np.sqrt(len(apart)))
    what = f"{len(series)} series, MASE {scores[NAME].mean():.3f}"
    rival = f"{name}, {scores[name].mean():.3f} +- {error:.3f}"
    note = _orders_beside(series, played, name)
    return Row(what, ours, rival, theirs, theirs / ours, bool(apart.mean() <= error), note)


def _orders_beside(series: list[np.ndarray], played: dict[str, Played], name: str) -> str:
    """Equal orders among the series that all three differenced alike, and AICc of both by the same
    exact likelihood.
    """
    found = {who: [answer.orders for answer in one.answers] for who, one in played.items()}
    alike = [
        i
        for i in range(len(series))
        if len({_differences(orders[i]) for orders in found.values()}) == 1
    ]
    equal = sum(found[NAME][i] == found[name][i] for i in alike)
    both = np.array(
        [[_aicc(series[i][:-STEPS], found[who][i]) for who in (name, NAME)] for i in alike]
    ).reshape(-1, 2)
    lawful = both[np.isfinite(both).all(1)]
    apart = lawful[:, 0] - lawful[:, 1]
    told = (
        f"AICc {apart.mean():+.2f} over ours (median {np.median(apart):+.2f})"
        if len(apart)
        else "no AICc"
    )
    refused = (
        f", {len(both) - len(lawful)} with a root within .01 of the circle left out"
        if len(lawful) < len(both)
        else ""
    )
    return f"{len(alike)} differenced alike by all: orders equal in {equal}, {told}{refused}"


def _differences(orders: Orders) -> tuple[int, int]:
    return orders[0][1], orders[1][1]


def _aicc(values: np.ndarray, orders: Orders) -> float:
    (p, d, q), (big_p, big_d, big_q), constant = orders
    series = ArimaSeries.of(values, np.zeros((len(values), 0)), SEASON, (d, big_d))
    search = OrderSearch(LIMITS, SEASON, len(values), 0, thorough=True)
    return search.fit(
        series, arima_form(series, p, q, big_p, big_q, int(constant and series.may_drift))
    ).criterion


def sample(count: int) -> list[np.ndarray]:
    """An even sample of the training parts that are long enough."""
    table = pl.read_parquet(Path(os.environ["HWDS_DATA"]).expanduser() / DATA)
    train = table.filter(pl.col("split") == "train").sort("series_id", "date")
    parts = [
        part["y"].to_numpy().astype(float)
        for _, part in train.group_by("series_id", maintain_order=True)
    ]
    long = [values for values in parts if len(values) > STEPS + 2 * SEASON + 5]
    return [long[i] for i in np.linspace(0, len(long) - 1, count).astype(int)]


def _ours(known: list[np.ndarray]) -> list[Answer]:
    history, future = (
        panel_of(known, 0),
        panel_of([np.full(STEPS, np.nan)] * len(known), [len(values) for values in known]),
    )
    context = ForecastContext(0, levels=(0.1, 0.5, 0.9), season=SEASON)
    fitted = Sarima().learn(history, horizon=STEPS, context=context)
    return list(map(Answer, fitted.predict(history, future).mean, _orders_of(fitted.forms)))


def _orders_of(forms: np.ndarray) -> Iterator[Orders]:
    for p, d, q, big_p, big_d, big_q, _, constant in forms.tolist():
        yield (p, d, q), (big_p, big_d, big_q), bool(constant)


def panel_of(series: list[np.ndarray], starts: Any) -> Panel:
    """Return series as a panel, the first row of each at its start."""
    lengths = [len(values) for values in series]
    ids = np.repeat([f"{i:05}" for i in range(len(series))], lengths)
    begins = np.broadcast_to(starts, len(series))
    time = np.concatenate(
        [start + np.arange(length) for start, length in zip(begins, lengths, strict=True)]
    )
    target = pl.Series(np.concatenate(series)).fill_nan(None)
    table = pl.DataFrame({"series_id": ids, "time": time, "target": target})
    return Panel.build(table, Frequency("1i"), season=SEASON)


def _pmdarima(values: np.ndarray) -> Answer:
    import pmdarima

    model = pmdarima.auto_arima(values, m=SEASON, error_action="ignore", suppress_warnings=True)
    orders: Orders = (model.order, model.seasonal_order[:3], bool(model.with_intercept))
    return Answer(np.asarray(model.predict(STEPS)), orders)


def _statsforecast(values: np.ndarray) -> Answer:
    from statsforecast.models import AutoARIMA

    model = AutoARIMA(season_length=SEASON).fit(values)
    p, q, big_p, big_q, _, d, big_d = (int(order) for order in model.model_["arma"])
    constant = bool({"intercept", "drift"} & set(model.model_["coef"]))
    return Answer(
        np.asarray(model.predict(STEPS)["mean"]), ((p, d, q), (big_p, big_d, big_q), constant)
    )


def _errors(series: list[np.ndarray], forecasts: list[np.ndarray]) -> np.ndarray:
    scales = [np.abs(values[SEASON:-STEPS] - values[: -SEASON - STEPS]).mean() for values in series]
    return np.array(
        [
            np.abs(v[-STEPS:] - f).mean() / s
            for v, f, s in zip(series, forecasts, scales, strict=True)
        ]
    )
