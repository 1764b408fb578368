"""The regressors of SARIMA: known-future columns of numbers, and Fourier terms of a long season."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.forecast.models.windows.covariates import first_known, forward_filled, is_number
from hwds.frames.panel import Panel
from hwds.frames.roles import TIME


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
        names = tuple(name for name in panel.roles.known_future if covariates and is_number(panel, name))
        return cls(names, period, pairs if period else 0)

    @property
    def count(self) -> int:
        """The number of columns."""
        return len(self.names) + 2 * self.pairs

    def values(self, panel: Panel) -> np.ndarray:
        """Return the columns, shape (rows, count); a null takes the row before, or the first known one: 0 would be a shock."""
        columns = [_filled(panel, panel.values(name)) for name in self.names]
        if self.pairs:
            angle = 2 * np.pi * _steps(panel) / self.period
            columns += [wave(k * angle) for k in range(1, self.pairs + 1) for wave in (np.sin, np.cos)]
        return np.column_stack(columns) if columns else np.zeros((len(panel.table), 0))


def _filled(panel: Panel, values: np.ndarray) -> np.ndarray:
    """Fill holes; 0 in a series without a known value."""
    if not np.isnan(values).any():
        return values
    starts = np.repeat(panel.offsets[:-1], panel.lengths)
    before = forward_filled(values, starts)
    row = first_known(values, panel.offsets)
    first = np.where(row < panel.offsets[1:], np.append(values, 0.0)[row], 0.0)
    return np.where(np.isnan(before), np.repeat(first, panel.lengths), before)


def _steps(panel: Panel) -> np.ndarray:
    """Return steps since a fixed instant, so that a season's phase is the same whatever the first row is; shape (rows,)."""
    every = panel.frequency.every
    size, unit = int("".join(filter(str.isdigit, every))), every.lstrip("0123456789")
    times = panel.table[TIME]
    if unit in ("mo", "q", "y"):
        months = times.dt.year().cast(pl.Int64) * 12 + times.dt.month()
        first = months.to_numpy() // (size * {"mo": 1, "q": 3, "y": 12}[unit])
    elif unit == "i":
        first = times.cast(pl.Int64).to_numpy() // size
    else:
        seconds = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}[unit] * size
        first = times.cast(pl.Datetime("us")).dt.epoch("s").to_numpy() // seconds
    steps: np.ndarray = np.repeat(first[panel.offsets[:-1]], panel.lengths) + panel.positions
    return steps
