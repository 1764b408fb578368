"""The work of a forecaster before it is done, in seconds of one core, and the budget of a
search.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator

from hwds.core.recipe import Recipe
from hwds.frames.panel import Panel

# The budget of a search: seconds of the clock, or units of work that are the same on any
# machine.

BUDGET_FORM = re.compile(r"\d+(\.\d+)?[smhu]")
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}

SEARCH_SHARE = 0.85
"""The share of a budget in seconds that a search may use: the rest is for asking the final members,
and for scoring.
"""

TIMING_WEIGHT = 0.5
"""The share by which the speed of a model that was timed once moves the price of others."""

TIMING_PRIOR = 2.0
"""Units at the usual speed that a timing is drawn to: the first one imports and compiles, too."""

CACHED_SHARE = 0.05
"""The share of its price below which work was in the cache, and says nothing of speed."""


def _valid_budget(value: str) -> str:
    if BUDGET_FORM.fullmatch(value) is None or not 1 <= budget_amount(value) <= 604_800:
        raise ValueError(
            "must be seconds, minutes, hours or units of work, such as 60s, 10m, 2h or 300u, from "
            "1s to 168h or 1u to 604800u"
        )
    return value


def _as_text(value: Any) -> Any:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else value


Budget = Annotated[str, BeforeValidator(_as_text), AfterValidator(_valid_budget)]
"""A text such as `60s`, `10m`, `2h` or `300u`."""


def in_units(budget: str) -> bool:
    """Return whether a budget is in units of work."""
    return budget.endswith("u")


def budget_amount(budget: str) -> float:
    """Return a budget in seconds or in units."""
    return float(budget[:-1]) * SECONDS.get(budget[-1], 1.0)


@dataclass
class Allowance:
    """A budget, and the part of it that is spent.

    Attributes:
        limit: The budget in seconds of the clock, or units of work.
        units: Whether the limit is in units.
        began: The clock when it began.
        spent: Units that were spent.
        speeds: Seconds for a unit, by model, of what was timed.
        usual: Seconds for a unit of a model that was not timed yet.
    """

    limit: float
    units: bool
    began: float = field(default_factory=time.perf_counter)
    spent: float = 0.0
    speeds: dict[str, float] = field(default_factory=dict)
    usual: float = 1.0

    @classmethod
    def of(cls, budget: str) -> Allowance:
        """Return a whole budget, of which the clock begins now."""
        if in_units(budget):
            return cls(budget_amount(budget), True)
        from hwds.evaluation.workers import seconds_per_unit

        return cls(SEARCH_SHARE * budget_amount(budget), False, usual=seconds_per_unit(idle=False))

    @property
    def used(self) -> float:
        """The part that is spent so far."""
        return self.spent if self.units else time.perf_counter() - self.began

    @property
    def left(self) -> float:
        """The part that is left."""
        return self.limit - self.used

    def price(self, name: str, work: float) -> float:
        """Return the part of the budget that so many units of a model's work will take."""
        return work if self.units else work * self.speeds.get(name, self.usual)

    def charge(self, name: str, work: float, seconds: float) -> None:
        """Take off the work of a model.

        Args:
            name: The model.
            work: Its units by the law.
            seconds: Its seconds by the clock.
        """
        self.spent += work
        if self.units or work < 0.01 or seconds < CACHED_SHARE * work * self.usual:
            return
        own = (TIMING_PRIOR * self.usual + seconds) / (TIMING_PRIOR + work)
        self.speeds[name] = own
        if work > 0.2:
            self.usual += TIMING_WEIGHT * (own - self.usual)


# The work of a forecaster before it is done: seconds of one core of the machine that the laws
# here were measured on.
# One unit of work is about one second there. A law follows from rows, series, steps, trees and
# epochs alone, so that the same panel and settings have the same work on any machine; how fast
# a machine is, is measured apart (`evaluation/speed.py`). `python -m bench.candidates` prints
# each law beside what a fit took.

PER_CELL, PER_ROW = 0.25, 6e-7
"""Units of beginning a cell, and of cutting, scaling and writing a row of it, whatever the model.
"""

USUAL_ROUNDS = 115
"""Rounds after which trees that stop early have mostly stopped, those of patience among them."""


class PanelSize(NamedTuple):
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

    def shorter(self, rows: int) -> PanelSize:
        """Return the size some rows earlier."""
        return self._replace(length=max(self.length - rows, 1.0))


class ForecastWork(NamedTuple):
    """Units of work: of a fit, and of asking it for all series at one cutoff."""

    fit: float
    ask: float

    @property
    def total(self) -> float:
        """Both."""
        return self.fit + self.ask


def size_of(panel: Panel, horizon: int, season: int, levels: int = 3) -> PanelSize:
    """Return the size of a history."""
    columns = len(panel.roles.known_future) + len(panel.roles.past_only)
    series = max(panel.n_series, 1)
    return PanelSize(series, len(panel.table) / series, season, horizon, columns, levels)


def work_of(model: Recipe, size: PanelSize) -> ForecastWork | None:
    """Return the work of one fit and one answer; None of a model without a law."""
    module = type(model).__module__
    law = WORK_LAWS.get(module.rpartition(".")[2]) if module.startswith("hwds.") else None
    return None if law is None else law(model, size)


def backtest_work(model: Recipe, size: PanelSize, windows: int) -> ForecastWork | None:
    """Return the work of inner windows from one fit, or from one a window where series are fitted
    alone, and no final fit.
    """
    work = work_of(model, size.shorter(windows * size.horizon))
    fits = windows if getattr(model, "local", False) else 1
    return None if work is None else ForecastWork(fits * work.fit, windows * work.ask)


def cell_work(
    model: Recipe, size: PanelSize, cutoffs: int, inner: int, fits: int = 1
) -> float | None:
    """Return the work of a cell: its fits, an answer at each cutoff, and the inner windows that its
    protocol learns from.

    Args:
        model: The recipe.
        size: The size of the history at the first cutoff.
        cutoffs: The number of cutoffs that the fits serve.
        inner: Inner windows before the first of them.
        fits: The number of fits, the first at the first cutoff.
    """
    work = work_of(model, size)
    earlier = backtest_work(model, size, inner) if inner else ForecastWork(0.0, 0.0)
    if work is None or earlier is None:
        return None
    rows = size.series * (size.length + cutoffs * size.horizon)
    return PER_CELL + rows * PER_ROW + fits * work.fit + cutoffs * work.ask + earlier.total


def _law_by_series(
    per_row: float, power: float = 1.1, seasonal: float = 1.0
) -> Callable[[Any, PanelSize], ForecastWork]:
    """Return the law of a model that is fitted to each series when it forecasts."""

    def law(model: Any, size: PanelSize) -> ForecastWork:
        rows = min(size.length, getattr(model, "longest", size.length))
        origins = getattr(model, "origins", 0)
        inside = origins and min(origins, max(4, 4_000 / max(rows, 1)), rows)
        factor = seasonal if 1 < size.season <= 24 else 1.0
        each = 1e-4 + (1 + 0.5 * inside) * factor * per_row * rows**power
        return ForecastWork(0.0, 0.002 + size.series * each)

    return law


def _naive_work(model: Any, size: PanelSize) -> ForecastWork:
    """Return the law of what is read off the last rows."""
    return ForecastWork(0.001, 0.005 + size.series * (size.length + size.horizon) * 2e-8)


def _analog_work(model: Any, size: PanelSize) -> ForecastWork:
    """Return the law of launches: a regression on at most `max_rows` rows, and a filter of all."""
    rows = min(size.series * size.length, model.max_rows)
    width = 20 + 4 * size.columns + min(size.season, 60)
    asked = size.series * (size.length + size.horizon) * width * 2e-8
    return ForecastWork(0.22 + rows * width * 5.5e-7, 0.005 + asked)


def _window_count(size: PanelSize) -> float:
    """Return the number of origins that windows are cut at."""
    from hwds.forecast.windows import ROWS_BACK, SEASONS_BACK

    back = max(SEASONS_BACK * size.season, ROWS_BACK) + size.horizon
    return size.series * max(min(size.length - min(size.season, size.length / 3), back), 1.0)


def _boosting_work(model: Any, size: PanelSize) -> ForecastWork:
    """Return the law of boosted trees: rows are gathered, binned and read once a round."""
    origins = _window_count(size)
    width = min(model.length, 2 * size.season) + 12 + 3 * size.columns  # inputs of a row
    quantile = model.objective == "quantile"
    looks = min(size.horizon, model.looks) if quantile else size.horizon
    rows = min(origins * looks, model.max_rows)
    gathered = min(origins, rows) * (3 * size.season + 10 * size.horizon) * 1e-7
    line = (1.5e-4 + 2.5e-6 * size.length) if model.base == "lines" else 0.0
    drawn = line * (min(origins, model.max_rows / model.looks) + size.series)
    grown = min(model.trees, USUAL_ROUNDS) if model.patience else model.trees
    rounds = (1.4 if model.patience else 1.0) * grown + 20
    if not quantile:
        rounds = 2 * (2 if model.patience else 1) * grown
    fit = 0.1 + gathered + drawn + rounds * (0.002 + rows * width * 2e-9)
    asked = line + size.horizon * (width * 4e-8 + rounds * 7e-9)
    return ForecastWork(fit, 0.02 + size.series * asked)


def _network_law(per_step: float) -> Callable[[Any, PanelSize], ForecastWork]:
    def law(model: Any, size: PanelSize) -> ForecastWork:
        windows = min(_window_count(size), model.max_windows)
        epochs = (1.6 if model.patience else 1.0) * model.epochs * model.seeds
        rows = min(48, 2 * size.season) + size.horizon
        weight = (getattr(model, "units", getattr(model, "channels", 48)) / 48) ** 0.5
        fit = 4.0 + epochs * windows * rows * per_step * weight
        return ForecastWork(fit, 1.0 + size.series * rows * model.seeds * per_step)

    return law


def _sarima_work(model: Any, size: PanelSize) -> ForecastWork:
    """Return the law of an order search in each series, and of one filter pass for all cutoffs."""
    season = size.season if size.season <= 24 else 1
    fit = 0.05 + size.series * (5e-4 + 5e-5 * size.length * (1 + season / 10))
    return ForecastWork(fit, 0.01 + size.series * size.length * 2e-6)


def _members_work(model: Any, size: PanelSize) -> ForecastWork | None:
    """Return the law of what combines others: each one's fits before every inner window, and its
    final one.
    """
    total = ForecastWork(0.05, 0.0)
    for member in model.members:
        final = work_of(member, size)
        if final is None:
            return None
        inner = work_of(member, size.shorter(size.horizon * model.windows))
        assert inner is not None
        fit = total.fit + model.windows * inner.total + final.fit
        total = ForecastWork(fit, total.ask + final.ask)
    return total


def _adjusted_work(model: Any, size: PanelSize) -> ForecastWork | None:
    """Return the law of effects, which are learned by one regression a series and tried memory, and
    of the member.
    """
    member = work_of(model.member, size._replace(columns=0))
    if member is None:
        return None
    effects = 0.05 + size.series * (4e-4 + size.length * (1 + size.columns) * 3e-7)
    asked = size.series * (size.length + size.horizon) * size.columns * 1e-7
    return ForecastWork(effects + member.fit, member.ask + asked)


def _long_season_work(model: Any, size: PanelSize) -> ForecastWork | None:
    """Return the law of the member, and of two decompositions of each series, in the fit and when
    it is asked.
    """
    member = work_of(model.member, size)
    if member is None:
        return None
    taken_out = size.series * (1e-4 + size.length * 2e-7)
    return ForecastWork(member.fit + taken_out, member.ask + taken_out)


WORK_LAWS: Mapping[str, Callable[[Any, PanelSize], ForecastWork | None]] = {
    "seasonal_naive": _naive_work,
    "naive": _naive_work,
    "drift": _naive_work,
    "zero": _naive_work,
    "theta": _law_by_series(8e-7),
    "damped": _law_by_series(3e-6),
    "ets": _law_by_series(4e-6, seasonal=3.0),
    "lgt": _law_by_series(2.3e-4, 0.79),
    "ces": _law_by_series(2.7e-4, 0.6),
    "mfles": _law_by_series(1.1e-3, 0.2),
    "croston": _law_by_series(5e-7),
    "tsb": _law_by_series(5e-7),
    "adida": _law_by_series(5e-7),
    "analog": _analog_work,
    "xgboost": _boosting_work,
    "lstm": _network_law(2e-6),
    "cnn": _network_law(1.5e-6),
    "mlp": _network_law(2.2e-7),
    "sarima": _sarima_work,
    "adjusted": _adjusted_work,
    "long_season": _long_season_work,
    "stack": _members_work,
    "select": _members_work,
    "auto": lambda model, size: ForecastWork(budget_amount(model.budget), 0.0),
    # the truth: quantiles of mixtures by bisection
    "hardware_demand": lambda model, size: ForecastWork(
        0.0, 0.01 + size.series * size.horizon * size.levels * 3.4e-6
    ),
}
"""By the module of the model's class. A model that is not here has no law, and is foreseen once it
was timed.
"""
