"""A forecaster that sees each series as it is since its last break."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy import ndarray
from pydantic import AfterValidator

from hwds.core.recipe import Level, Steps
from hwds.core.serialization import Serializable
from hwds.forecast.models.base import FittedForecaster, ForecastContext, Forecaster
from hwds.forecast.statistical import fill_holes
from hwds.frames.panel import Forecasts, Panel
from hwds.frames.roles import TARGET

# Level shifts of a series, that trend, season and autocorrelated noise do not explain; and the
# series without them.

LEAST_AFTER = 12
"""Rows after a shift at the least, where two seasons are fewer."""

LEAST_BEFORE = 6
"""Rows before a shift at the least, where a season is fewer."""

SECOND_LOOK = 16
"""The factor on the bound's strictness, as a step is looked for twice. By simulation, of
first-order autoregressions.
"""


class Shift(NamedTuple):
    """The first row of the new level, and how much higher it is."""

    row: int
    size: float


def level_shifts(values: ndarray, season: int, alarms: float) -> list[Shift]:
    """Return all shifts, oldest first.

    The most likely one is found and tested; where it is one, the rows from it on are searched for a
    later one (Bai 1997, "Estimating multiple breaks one at a time"). At least two seasons, and
    `LEAST_AFTER` rows, come after the last.

    Args:
        values: Without holes, shape (rows,).
        season: Rows in a season.
        alarms: The share of series without a shift that may be found to have one.
    """
    shifts: list[Shift] = []
    start = 0
    while (shift := level_shift(values[start:], season, alarms)) is not None:
        start += shift.row
        shifts.append(shift._replace(row=start))
    return shifts


def level_shift(values: ndarray, season: int, alarms: float) -> Shift | None:
    """Return the most likely shift, where it is significant.

    The largest t statistic of a step among trend, season and first-order autoregressive noise, over
    all rows at which the step may be (Andrews 1993, "Tests for parameter instability and structural
    change with unknown change point"; Perron 1989, "The great crash, the oil price shock, and the
    unit root hypothesis"). The noise's autocorrelation is estimated beside the step that is most
    likely at first sight, since a step left unexplained looks like a random walk; and it is freed
    of its bias (Kendall 1954), so that a random walk is not taken for a step. The bound is
    Bonferroni's, `SECOND_LOOK` times as strict.
    """
    from scipy.stats import t

    first, last = max(season, LEAST_BEFORE), len(values) - max(2 * season, LEAST_AFTER)
    rows, columns = np.arange(first, last + 1), _trend_columns(len(values), season)
    freedom = len(values) - columns.shape[1] - 2
    if not len(rows) or freedom < LEAST_BEFORE or np.ptp(values) == 0:
        return None
    unit = float(np.abs(values).max())
    scaled = values / unit
    rho = _autocorrelation(scaled, columns)
    first_guess, _ = _likeliest_shift(scaled, columns, rows, rho)
    with_step = np.column_stack([columns, np.arange(len(values)) >= first_guess.row])
    rho = _autocorrelation(scaled, with_step)
    shift, explained = _likeliest_shift(scaled, columns, rows, rho)
    bound = t.isf(alarms / (2 * SECOND_LOOK * len(rows)), freedom)
    return shift._replace(size=shift.size * unit) if explained * freedom > bound**2 else None


def without_shifts(values: ndarray, shifts: list[Shift], season: int) -> ndarray:
    """Return the series as if it had always been at its last level; holes are NaN and stay.

    What comes before a shift is moved by its size; in proportion where that would make a series
    negative that never was, or a demand of a row without one.
    """
    moved = values.copy()
    for row, size in shifts:
        before = moved[:row]
        lowest = np.nanmin(before)
        in_proportion = np.nanmin(values) >= 0 and (lowest == 0 or lowest + size < 0)
        moved[:row] = (
            before * _season_ratio(moved, row, max(season, LEAST_BEFORE))
            if in_proportion
            else before + size
        )
    return moved


def _season_ratio(values: ndarray, row: int, season: int) -> float:
    """Return the mean of the season from a row on over that of the season before it.

    1 where there is none to be had.
    """
    before, after = values[max(row - season, 0) : row], values[row : row + season]
    if np.isnan(before).all() or np.isnan(after).all() or np.nanmean(before) <= 0:
        return 1.0
    return float(np.nanmean(after) / np.nanmean(before))


def _likeliest_shift(
    values: ndarray, columns: ndarray, rows: ndarray, rho: float
) -> tuple[Shift, float]:
    """Return the step that explains most beside the columns, and what it explains over what it
    leaves.
    """
    steps = (np.arange(len(values))[:, None] >= rows).astype(float)
    # both the series and every step are freed of the columns, so that one product tests each step
    basis = np.linalg.qr(_whiten(columns, rho))[0]
    left = _whiten(np.column_stack([values, steps]), rho)
    left -= basis @ (basis.T @ left)
    target, steps = left[:, 0], left[:, 1:]
    squares, total = (steps**2).sum(0), float(target @ target)
    identified = squares > 1e-8  # a step that the columns make up tells nothing
    size = np.where(identified, target @ steps / np.where(identified, squares, 1.0), 0.0)
    explained = size**2 * squares
    best = int(np.argmax(explained))
    share = float(explained[best] / max(total - explained[best], 1e-24))
    return Shift(int(rows[best]), float(size[best])), share


def _autocorrelation(values: ndarray, columns: ndarray) -> float:
    """Return the autocorrelation of the residuals from row to row, freed of its bias to first order
    and at most 1.
    """
    basis = np.linalg.qr(columns)[0]
    rest = values - basis @ (basis.T @ values)
    total = rest @ rest
    if total < 1e-24:
        return 0.0
    raw, count = float(rest[1:] @ rest[:-1] / total), columns.shape[1]
    return min(raw + (1 + 3 * raw + (count - 1) * (1 + raw)) / len(values), 1.0)


def _whiten(columns: ndarray, rho: float) -> ndarray:
    """Return each row less rho times the row before.

    The first row has the variance of the others (Prais and Winsten 1954).
    """
    first = np.sqrt(max(1.0 - rho**2, 0.0)) * columns[:1]
    return np.concatenate([first, columns[1:] - rho * columns[:-1]])


def _trend_columns(rows: int, season: int) -> ndarray:
    """Return the level, the trend, and the season where there are three of it."""
    columns = [np.ones(rows), np.linspace(-1.0, 1.0, rows)]
    if season > 1 and rows >= 3 * season:
        columns += [(np.arange(rows) % season == place).astype(float) for place in range(1, season)]
    return np.column_stack(columns)


# A forecaster that sees each series as it is since its last break.

EarlierRows = Literal["moved", "dropped"]


def check_local(member: Forecaster) -> Forecaster:
    """Return a member that fits each series alone; another is refused."""
    if not member.local:
        raise ValueError("must be a forecaster that fits each series alone")
    return member


class SinceBreak(Forecaster):
    """A forecaster of each series alone, with earlier levels of the series moved to its last level.

    A test (`level_shifts.level_shift`) finds level shifts, in the history of each forecast. Moving
    what came before one keeps its season and trend, which a few rows cannot tell: on simulated
    shifts that did better than dropping it. At least two seasons stay.

    Attributes:
        member: Any forecaster that fits each series alone.
        earlier: The treatment of the rows before a shift: `moved` to the new level, or `dropped`.
        alarms: The most that the share of false alarms may be, among series that never shifted.
        longest: The most rows of a series that are searched, from its end.

    Example:
        python -m hwds model=forecast/since_break model.member=forecast/sarima
    """

    local = True
    search_space: ClassVar[Mapping[str, Any]] = {
        "earlier": {"choice": ["moved", "dropped"]},
        "alarms": {"loguniform": [0.005, 0.2]},
    }

    member: Annotated[Forecaster, AfterValidator(check_local)]
    earlier: EarlierRows = "moved"
    alarms: Level = 0.05
    longest: Steps = 500

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedSinceBreak:
        """Fit the member to the series without their shifts."""
        since = SinceView(context.season, self.earlier, self.alarms, self.longest)
        return FittedSinceBreak(
            self.member.learn(since.view(history), horizon=horizon, context=context), since
        )


@dataclass(frozen=True)
class SinceView(Serializable):
    """The view of series that the member is shown: rows in a season, and the settings of
    `SinceBreak`.
    """

    season: int
    earlier: EarlierRows
    alarms: float
    longest: int

    def view(self, history: Panel) -> Panel:
        """Return each series since its last shift."""
        shown = [self._view_series(history.series(i)) for i in range(history.n_series)]
        first = np.array([row for row, _ in shown], np.int64)
        values = pl.Series(TARGET, np.concatenate([each for _, each in shown]), nan_to_null=True)
        after_shift = pl.Series(history.positions >= np.repeat(first, history.lengths))
        return replace(history, table=history.table.with_columns(values).filter(after_shift))

    def _view_series(self, values: ndarray) -> tuple[int, ndarray]:
        """Return the first row that is kept, and the values.

        A series of which less than half is known stays as it is.
        """
        known = np.flatnonzero(~np.isnan(values))
        known = known[known >= len(values) - self.longest]
        if not len(known) or 2 * len(known) < known[-1] + 1 - known[0]:
            return 0, values
        start = int(known[0])
        whole = fill_holes(values[start : known[-1] + 1], self.season)
        shifts = level_shifts(whole, self.season, self.alarms)
        shifts = [shift._replace(row=start + shift.row) for shift in shifts]
        if self.earlier == "moved":
            return 0, without_shifts(values, shifts, self.season)
        return shifts[-1].row if shifts else 0, values


@dataclass(frozen=True, eq=False)
class FittedSinceBreak(Serializable):
    """The member as it was fitted, and how series are shown to it."""

    member: Any
    since: SinceView

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Return the member's forecasts of the series without their shifts."""
        fitted: FittedForecaster = self.member
        return fitted.predict(self.since.view(history), future)
