"""What global models read: standardised numbers, codes, regressors, targets without holes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.core.serialization import Serializable
from hwds.frames.panel import Panel
from hwds.frames.roles import TIME

# Covariates as a global model reads them: holes filled from the past, numbers standardised,
# texts coded.

MOST_CODES = 255
"""Texts of one static column that are told apart; the rarer ones are coded as unknown."""


@Serializable.register
class Standard(NamedTuple):
    """The standardisation of one numeric column: log of positive columns (a change is then a
    ratio), median, spread.
    """

    name: str
    log: bool
    least: float
    centre: float
    spread: float

    def apply(self, values: ndarray) -> ndarray:
        """Standardise values; NaN stays NaN."""
        moved = np.log(np.maximum(values, self.least)) if self.log else values
        return (moved - self.centre) / self.spread


@Serializable.register
class Codes(NamedTuple):
    """The texts of one static column that were seen in fit, in the order of their codes."""

    name: str
    texts: tuple[str, ...]

    def apply(self, panel: Panel) -> ndarray:
        """Find the code of each series, -1 for a text that is not known, shape (n_series,),
        int32.
        """
        code = {text: i for i, text in enumerate(self.texts)}
        texts = panel.table[self.name].gather(panel.offsets[:-1]).cast(pl.String).to_list()
        return np.array([code.get(text, -1) for text in texts], np.int32)


def learn_standard(panel: Panel, name: str) -> Standard:
    """Take robust statistics of one column: median and mean deviation from it (a flag is mostly 0,
    its quartiles too).
    """
    values = panel.values(name)
    values = values[~np.isnan(values)]
    if not len(values):
        return Standard(name, False, 0.0, 0.0, 1.0)
    least = float(values.min())
    log = least > 0
    moved = np.log(values) if log else values
    centre = float(np.median(moved))
    spread = float(np.mean(np.abs(moved - centre)))
    return Standard(name, log, least, centre, spread if spread > 0 else 1.0)


def learn_codes(panel: Panel, name: str) -> Codes:
    """Take the most frequent texts of a static column, in alphabetical order."""
    texts = panel.table[name].gather(panel.offsets[:-1]).cast(pl.String).drop_nulls()
    frequent = (
        texts.value_counts().sort(["count", name], descending=[True, False])[name].head(MOST_CODES)
    )
    return Codes(name, tuple(frequent.sort().to_list()))


def first_known_rows(values: ndarray, offsets: ndarray) -> ndarray:
    """Find the row of each series' first known value, or its end where there is none, shape
    (n_series,).
    """
    rows = np.where(np.isnan(values), len(values), np.arange(len(values)))
    return np.minimum(np.minimum.reduceat(rows, offsets[:-1]), offsets[1:])


def fill_forward(values: ndarray, starts: ndarray) -> ndarray:
    """Fill each hole with the last known value since the start of its group.

    Args:
        values: Shape (rows,), NaN for holes.
        starts: The row where each row's group begins, shape (rows,).
    """
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
    return np.where(last >= starts, values[last], np.nan)


def fill_from_past(panel: Panel, values: ndarray, season: int) -> ndarray:
    """Fill holes from the past of the same series: the same season of an earlier year, or else the
    last known value.
    """
    if not np.isnan(values).any():
        return values
    starts = np.repeat(panel.offsets[:-1], panel.lengths)
    phase = (
        starts + panel.positions % season
    )  # differs between phases and series: a phase is less than the rows of its series
    order = np.argsort(phase, kind="stable")
    fresh = np.append(True, np.diff(phase[order]) != 0)
    by_season = np.empty_like(values)
    by_season[order] = fill_forward(
        values[order], np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))
    )
    return fill_forward(by_season, starts)


def is_number(panel: Panel, name: str) -> bool:
    """Tell whether a column holds numbers or flags, rather than texts or dates."""
    kind = panel.table.schema[name]
    return kind.is_numeric() or kind == pl.Boolean


def split_static(panel: Panel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the static and level columns that hold numbers, and the others."""
    static = dict.fromkeys((*panel.roles.static, *panel.roles.level))
    numbers = tuple(name for name in static if is_number(panel, name))
    return numbers, tuple(name for name in static if name not in numbers)


# The regressors of SARIMA: known-future columns of numbers, and Fourier terms of a long season.


@dataclass(frozen=True)
class Regressors:
    """The regressor columns.

    Attributes:
        names: Known-future columns.
        period: Rows of the season that Fourier terms tell; 0 for none.
        pairs: Sines and cosines of it.
    """

    names: tuple[str, ...]
    period: int
    pairs: int

    @classmethod
    def of(cls, panel: Panel, period: int, pairs: int, covariates: bool) -> Regressors:
        """Return the regressors of a panel; `period` is 0 where no season needs Fourier terms."""
        names = tuple(
            name for name in panel.roles.known_future if covariates and is_number(panel, name)
        )
        return cls(names, period, pairs if period else 0)

    @property
    def count(self) -> int:
        """The number of columns."""
        return len(self.names) + 2 * self.pairs

    def values(self, panel: Panel) -> ndarray:
        """Return the columns, shape (rows, count).

        A null takes the row before, or the first known one: 0 would be a shock.
        """
        columns = [_fill_regressor(panel, panel.values(name)) for name in self.names]
        if self.pairs:
            angle = 2 * np.pi * _steps_since_epoch(panel) / self.period
            columns += [
                wave(k * angle) for k in range(1, self.pairs + 1) for wave in (np.sin, np.cos)
            ]
        return np.column_stack(columns) if columns else np.zeros((len(panel.table), 0))


def _fill_regressor(panel: Panel, values: ndarray) -> ndarray:
    """Fill holes; 0 in a series without a known value."""
    if not np.isnan(values).any():
        return values
    starts = np.repeat(panel.offsets[:-1], panel.lengths)
    before = fill_forward(values, starts)
    row = first_known_rows(values, panel.offsets)
    first = np.where(row < panel.offsets[1:], np.append(values, 0.0)[row], 0.0)
    return np.where(np.isnan(before), np.repeat(first, panel.lengths), before)


MONTHS = {"mo": 1, "q": 3, "y": 12}
SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
"""Months and seconds in the units of a frequency."""


def split_frequency(every: str) -> tuple[int, str]:
    """Return the number and the unit of a frequency: `3mo`."""
    unit = every.lstrip("0123456789")
    return int(every.removesuffix(unit) or 1), unit


def _steps_since_epoch(panel: Panel) -> ndarray:
    """Return steps since a fixed instant, so that a season's phase is the same whatever the first
    row is; shape (rows,).
    """
    size, unit = split_frequency(panel.frequency.every)
    times = panel.table[TIME]
    if unit in MONTHS:
        months = times.dt.year().cast(pl.Int64) * 12 + times.dt.month()
        first = months.to_numpy() // (size * MONTHS[unit])
    elif unit == "i":
        first = times.cast(pl.Int64).to_numpy() // size
    else:
        epoch = times.cast(pl.Datetime("us")).dt.epoch("s").to_numpy()
        first = epoch // (SECONDS[unit] * size)
    return np.repeat(first[panel.offsets[:-1]], panel.lengths) + panel.positions
