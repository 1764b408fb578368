"""Columns that are known ahead and have an effect, and the scale on which effects add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.core.serialization import Serializable
from hwds.forecast.models.arima.regressors import Regressors
from hwds.forecast.models.effects.moments import Moments, moments
from hwds.forecast.models.effects.shared import pooled, shared
from hwds.forecast.models.windows.covariates import Standard, is_number, learn_standard
from hwds.frames.panel import Panel

PRICES = ("price", "list_price")
"""Roles of columns that lower demand where they rise."""

WILD = 10.0
"""An effect of more than so many times the usual value is cut: a plan far beyond what was seen tells nothing."""

MEMORIES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
"""Tried coefficients of the level's moving average."""


@dataclass(frozen=True, eq=False)
class Effects(Serializable):
    """Effects of columns that are known ahead.

    Attributes:
        columns: The columns and how each is standardised; positive ones by their log, so that a price has an elasticity.
        ids: The series, in order.
        own: The effect of each column in each of these, shape (series, columns).
        usual: Those of other series, shape (columns,).
        relative: Whether effects multiply (add up in the log of 1 + target), as they do where nothing is below 0.
        memory: The coefficient of the level's moving average.
    """

    columns: tuple[Standard, ...]
    ids: tuple[str, ...]
    own: np.ndarray
    usual: np.ndarray
    relative: bool
    memory: float

    @classmethod
    def learn(cls, history: Panel) -> Effects:
        """Learn from all series of a history; no effects where no column that is known ahead moves."""
        names = [name for name in history.roles.known_future if is_number(history, name)]
        columns = tuple(learn_standard(history, name) for name in names)
        ids = tuple(history.series_ids.to_list())
        relative = not bool((history.target < 0).any())
        values = _standardised(history, columns)
        moving = [j for j in range(len(columns)) if not _is_clock(values[:, j], history.offsets)]
        columns, values = tuple(columns[j] for j in moving), values[:, moving]
        if not columns:
            return cls((), ids, np.zeros((len(ids), 0)), np.zeros(0), relative, 0.0)
        tried = [moments(_eased(history, relative), values, history.offsets, memory) for memory in MEMORIES]
        best = int(np.argmin([_cost(sums) for sums in tried]))
        prices = history.roles.columns(PRICES)
        own, usual = shared(tried[best], np.array([column.name in prices for column in columns]))
        return cls(columns, ids, own, usual, relative, MEMORIES[best])

    def of(self, panel: Panel, rows: np.ndarray) -> np.ndarray:
        """Return the effect at each row, beside the mean one over some of the series' rows, shape (rows,).

        Args:
            panel: Series that need not be those learned from.
            rows: How many of each series' first rows the mean is over, shape (n_series,).
        """
        if not self.columns:
            return np.zeros(len(panel.table))
        places = {name: i for i, name in enumerate(self.ids)}
        number = np.array([places.get(name, -1) for name in panel.series_ids.to_list()])
        weights = np.where(number[:, None] >= 0, self.own[number], self.usual)
        effect = np.zeros(len(panel.table))
        for column, weight in zip(_standardised(panel, self.columns).T, weights.T, strict=True):
            effect += column * np.repeat(weight, panel.lengths)
        inside = panel.positions < np.repeat(rows, panel.lengths)
        means = np.add.reduceat(np.where(inside, effect, 0.0), panel.offsets[:-1]) / np.maximum(rows, 1)
        most = np.log(WILD) if self.relative else WILD
        return np.clip(effect - np.repeat(means, panel.lengths), -most, most)

    def out_of(self, values: np.ndarray, effect: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Return values without an effect; all of one shape, or such that they broadcast.

        Args:
            values: In the target's unit.
            effect: What `of` gives.
            size: Of the series, where effects add up.
        """
        return self.into(values, -effect, size)

    def into(self, values: np.ndarray, effect: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Return values with an effect; see `out_of`."""
        if not self.columns:
            return values
        if self.relative:
            return np.maximum(np.expm1(np.log1p(np.maximum(values, 0.0)) + effect), 0.0)
        moved: np.ndarray = values + size * effect
        return moved


def sizes(panel: Panel) -> np.ndarray:
    """Return the mean absolute value of each series, shape (n_series,)."""
    known = ~np.isnan(panel.target)
    totals = np.add.reduceat(np.abs(np.nan_to_num(panel.target)), panel.offsets[:-1])
    means: np.ndarray = totals / np.maximum(np.add.reduceat(known.astype(float), panel.offsets[:-1]), 1)
    return np.where(means > 0, means, 1.0)


def _eased(panel: Panel, relative: bool) -> np.ndarray:
    if relative:
        return np.log1p(panel.target)
    eased: np.ndarray = panel.target / np.repeat(sizes(panel), panel.lengths)
    return eased


def _standardised(panel: Panel, columns: tuple[Standard, ...]) -> np.ndarray:
    values = Regressors(tuple(column.name for column in columns), 0, 0).values(panel)
    return np.column_stack([column.apply(part) for column, part in zip(columns, values.T, strict=True)]) if columns else values


def _cost(sums: Moments) -> float:
    """Return twice the negative log-likelihood of one effect for all series, but for a constant."""
    return float((sums.rows * np.log(sums.left(pooled(sums)) / np.maximum(sums.rows, 1) + 1e-12)).sum())


def _is_clock(values: np.ndarray, offsets: np.ndarray) -> bool:
    """Return whether a column never moves, or moves on at every row: it tells the time, which is the member's to learn."""
    changes = np.delete(np.diff(values), offsets[1:-1] - 1)
    return bool((changes == 0).all() or (changes > 0).all() or (changes < 0).all())
