"""The work of a forecaster before it is done: seconds of one core of the machine that the laws here were measured on.

One unit of work is about one second there. A law follows from rows, series, steps, trees and epochs alone, so that the same
panel and settings have the same work on any machine; how fast a machine is, is measured apart (`evaluation/speed.py`).
`python -m bench.candidates` prints each law beside what a fit took.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hwds.core.recipe import Recipe
from hwds.forecast.models.windows.source import ROWS_BACK, SEASONS_BACK
from hwds.frames.panel import Panel

BEGIN, PER_ROW = 0.25, 6e-7
"""Units of beginning a cell, and of cutting, scaling and writing a row of it, whatever the model."""

USUAL_ROUNDS = 115
"""Rounds after which trees that stop early have mostly stopped, those of patience among them."""


class Size(NamedTuple):
    """The size of a panel as a forecaster meets it.

    Attributes:
        series: The number of series.
        length: The mean number of their rows.
        season: Rows in a season.
        horizon: Steps to forecast.
        columns: Known-future and past-only columns.
        levels: Quantile levels.
    """

    series: int
    length: float
    season: int
    horizon: int
    columns: int = 0
    levels: int = 3

    def shorter(self, rows: int) -> Size:
        """Return the size some rows earlier."""
        return self._replace(length=max(self.length - rows, 1.0))


class Work(NamedTuple):
    """Units of work: of a fit, and of asking it for all series at one cutoff."""

    fit: float
    ask: float

    @property
    def total(self) -> float:
        """Both."""
        return self.fit + self.ask


def size_of(panel: Panel, horizon: int, season: int, levels: int = 3) -> Size:
    """Return the size of a history."""
    columns = len(panel.roles.known_future) + len(panel.roles.past_only)
    series = max(panel.n_series, 1)
    return Size(series, len(panel.table) / series, season, horizon, columns, levels)


def work_of(model: Recipe, size: Size) -> Work | None:
    """Return the work of one fit and one answer; None of a model without a law."""
    module = type(model).__module__
    law = LAWS.get(module.rpartition(".")[2]) if module.startswith("hwds.") else None
    return None if law is None else law(model, size)


def backtest_work(model: Recipe, size: Size, windows: int) -> Work | None:
    """Return the work of inner windows from one fit, or from one a window where series are fitted alone, and no final fit."""
    work = work_of(model, size.shorter(windows * size.horizon))
    if work is None:
        return None
    return Work(windows * work.fit if getattr(model, "local", False) else work.fit, windows * work.ask)


def cell_work(model: Recipe, size: Size, cutoffs: int, inner: int) -> float | None:
    """Return the work of a cell: a fit, an answer at each cutoff, and the inner windows that its protocol learns from.

    Args:
        model: The recipe.
        size: Of the history at the first cutoff.
        cutoffs: The number of cutoffs that the fit serves.
        inner: Inner windows before the first of them.
    """
    work, earlier = work_of(model, size), backtest_work(model, size, inner) if inner else Work(0.0, 0.0)
    if work is None or earlier is None:
        return None
    rows = size.series * (size.length + cutoffs * size.horizon)
    return BEGIN + rows * PER_ROW + work.fit + cutoffs * work.ask + earlier.total


def _each(per_row: float, power: float = 1.1, seasonal: float = 1.0) -> Callable[[Any, Size], Work]:
    """Return the law of a model that is fitted to each series when it forecasts."""

    def law(model: Any, size: Size) -> Work:
        rows = min(size.length, getattr(model, "longest", size.length))
        inside = getattr(model, "origins", 0) and min(model.origins, max(4, 4_000 / max(rows, 1)), rows)
        factor = seasonal if 1 < size.season <= 24 else 1.0
        return Work(0.0, 0.002 + size.series * (1e-4 + (1 + 0.5 * inside) * factor * per_row * rows**power))

    return law


def _plain(model: Any, size: Size) -> Work:
    """Return the law of what is read off the last rows."""
    return Work(0.001, 0.005 + size.series * (size.length + size.horizon) * 2e-8)


def _truth(model: Any, size: Size) -> Work:
    """Return the law of `hardware_demand`'s truth: quantiles of mixtures by bisection."""
    return Work(0.0, 0.01 + size.series * size.horizon * size.levels * 3.4e-6)


def _analog(model: Any, size: Size) -> Work:
    """Return the law of launches: a regression on at most `max_rows` rows, and a filter of all."""
    rows, width = min(size.series * size.length, model.max_rows), 20 + 4 * size.columns + min(size.season, 60)
    return Work(0.22 + rows * width * 5.5e-7, 0.005 + size.series * (size.length + size.horizon) * width * 2e-8)


def _windows(size: Size) -> float:
    """Return the number of origins that windows are cut at."""
    back = max(SEASONS_BACK * size.season, ROWS_BACK) + size.horizon
    return size.series * max(min(size.length - min(size.season, size.length / 3), back), 1.0)


def _width(size: Size, length: int) -> float:
    """Return the number of inputs of a row."""
    return min(length, 2 * size.season) + 12 + 3 * size.columns


def _xgboost(model: Any, size: Size) -> Work:
    """Return the law of boosted trees: rows are gathered, binned and read once a round."""
    origins, width = _windows(size), _width(size, model.length)
    quantile = model.objective == "quantile"
    rows = min(origins * (min(size.horizon, model.looks) if quantile else size.horizon), model.max_rows)
    gathered = min(origins, rows) * (3 * size.season + 10 * size.horizon) * 1e-7
    line = (1.5e-4 + 2.5e-6 * size.length) if model.base == "lines" else 0.0
    drawn = line * (min(origins, model.max_rows / model.looks) + size.series)
    grown = min(model.trees, USUAL_ROUNDS) if model.patience else model.trees
    rounds = (1.4 if model.patience else 1.0) * grown + 20 if quantile else 2 * (2 if model.patience else 1) * grown
    fit = 0.1 + gathered + drawn + rounds * (0.002 + rows * width * 2e-9)
    return Work(fit, 0.02 + size.series * (line + size.horizon * (width * 4e-8 + rounds * 7e-9)))


def _network(per_step: float) -> Callable[[Any, Size], Work]:
    def law(model: Any, size: Size) -> Work:
        windows = min(_windows(size), model.max_windows)
        epochs = (1.6 if model.patience else 1.0) * model.epochs * model.seeds
        rows = min(48, 2 * size.season) + size.horizon
        weight = (getattr(model, "units", getattr(model, "channels", 48)) / 48) ** 0.5
        fit = 4.0 + epochs * windows * rows * per_step * weight
        return Work(fit, 1.0 + size.series * rows * model.seeds * per_step)

    return law


def _sarima(model: Any, size: Size) -> Work:
    """Return the law of an order search in each series, and of one filter pass for all cutoffs."""
    season = size.season if size.season <= 24 else 1
    return Work(0.05 + size.series * (5e-4 + 5e-5 * size.length * (1 + season / 10)), 0.01 + size.series * size.length * 2e-6)


def _members(model: Any, size: Size) -> Work | None:
    """Return the law of what combines others: each one's fits before every inner window, and its final one."""
    total = Work(0.05, 0.0)
    for member in model.members:
        final = work_of(member, size)
        if final is None:
            return None
        inner = work_of(member, size.shorter(size.horizon * model.windows))
        assert inner is not None
        total = Work(total.fit + model.windows * inner.total + final.fit, total.ask + final.ask)
    return total


def _adjusted(model: Any, size: Size) -> Work | None:
    """Return the law of effects, which are learned by one regression a series and tried memory, and of the member."""
    member = work_of(model.member, size._replace(columns=0))
    if member is None:
        return None
    effects = 0.05 + size.series * (4e-4 + size.length * (1 + size.columns) * 3e-7)
    return Work(effects + member.fit, member.ask + size.series * (size.length + size.horizon) * size.columns * 1e-7)


def _long_season(model: Any, size: Size) -> Work | None:
    """Return the law of the member, and of two decompositions of each series, in the fit and when it is asked."""
    member = work_of(model.member, size)
    if member is None:
        return None
    taken_out = size.series * (1e-4 + size.length * 2e-7)
    return Work(member.fit + taken_out, member.ask + taken_out)


def _auto(model: Any, size: Size) -> Work:
    """Return the whole budget."""
    from hwds.forecast.models.racing.budget import amount

    return Work(amount(model.budget), 0.0)


LAWS: Mapping[str, Callable[[Any, Size], Work | None]] = {
    "seasonal_naive": _plain,
    "naive": _plain,
    "drift": _plain,
    "zero": _plain,
    "theta": _each(8e-7),
    "damped": _each(3e-6),
    "ets": _each(4e-6, seasonal=3.0),
    "lgt": _each(2.3e-4, 0.79),
    "ces": _each(2.7e-4, 0.6),
    "mfles": _each(1.1e-3, 0.2),
    "croston": _each(5e-7),
    "tsb": _each(5e-7),
    "adida": _each(5e-7),
    "analog": _analog,
    "xgboost": _xgboost,
    "lstm": _network(2e-6),
    "cnn": _network(1.5e-6),
    "mlp": _network(2.2e-7),
    "sarima": _sarima,
    "adjusted": _adjusted,
    "long_season": _long_season,
    "stack": _members,
    "select": _members,
    "auto": _auto,
    "truth": _truth,
}
"""By the module of the model's class. A model that is not here has no law, and is foreseen once it was timed."""
