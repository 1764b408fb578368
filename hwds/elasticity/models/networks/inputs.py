"""Inputs of the network of demand for each row, and the targets of its heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hwds.core.serialization import Serializable
from hwds.elasticity.design.rows import Design
from hwds.elasticity.models.networks.shape import CODES, Constants, Goal

HISTORY = 4
"""The columns of the history."""


class DemandInputs(NamedTuple):
    """Inputs of n rows; none is made of units, and none of what comes after the row's period.

    Attributes:
        history: Of the periods before the row's, the oldest first: own log price, the gap to the product's other channels, the
            promotion, and whether there was a price; shape (n, steps, 4).
        market: Today's gap, and today's price over that of the cheapest other channel; shape (n, 2). Only the heads of gap
            and risk read it.
        codes: Of product, channel and family, shape (n, 3).
        price: Today's log price less its cell's mean, shape (n, 1). Only the own price's path reads it.
        constants: See `Constants`, shape (n, 4).
    """

    history: np.ndarray
    market: np.ndarray
    codes: np.ndarray
    price: np.ndarray
    constants: np.ndarray

    def take(self, rows: np.ndarray) -> DemandInputs:
        """Return some of the rows."""
        return DemandInputs(*(part[rows] for part in self))


class DemandExamples(NamedTuple):
    """Inputs, and the targets of the heads; see `Goal`.

    Attributes:
        inputs: Of n rows.
        target: Shape (n, 3), NaN where unknown.
    """

    inputs: DemandInputs
    target: np.ndarray


@dataclass(frozen=True, eq=False)
class Scaling(Serializable):
    """The constants by which prices are standardised, and those of all rows.

    Attributes:
        steps: Periods of history.
        price: The standard deviation of log prices less their cell's mean.
        gap: That of the changes of gaps.
        start: See `Constants`.
        log_overdispersion: See `Constants`.
        pull: See `Constants`.
        threshold: The log price beyond the cheapest other channel's from which moving goods pays.
    """

    steps: int
    price: float
    gap: float
    start: float
    log_overdispersion: float
    pull: float
    threshold: float


@dataclass(frozen=True, eq=False)
class Market:
    """Log prices by cell and period, against those of the same product in other channels; NaN where unknown.

    Attributes:
        price: Less the cell's mean, shape (K, T).
        gap: The log price less the mean of the other channels', shape (K, T).
        excess: The log price less the least of the other channels', shape (K, T).
        promotion: 0 for none, shape (K, T).
    """

    price: np.ndarray
    gap: np.ndarray
    excess: np.ndarray
    promotion: np.ndarray

    @classmethod
    def of(cls, design: Design) -> Market:
        """Return the prices of a design's rows."""
        shape = (len(design), design.periods)
        price, promotion = np.full(shape, np.nan), np.zeros(shape)
        price[design.cell, design.period] = design.log_price
        if design.promotion is not None:
            promotion[design.cell, design.period] = np.nan_to_num(design.x[:, design.promotion])
        logs, code = price + design.centres[:, None], design.codes("sku")
        gap, excess = np.full(shape, np.nan), np.full(shape, np.nan)
        for product in np.unique(code):
            own = np.flatnonzero(code == product)
            gap[own], excess[own] = _against_others(logs[own])
        return cls(price, gap, excess, promotion)


def _against_others(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log prices of channels less the mean, and less the least, of the others, NaN without others; shape (c, T)."""
    there = np.isfinite(logs)
    count = there.sum(axis=0) - there
    total = np.where(there, logs, 0.0).sum(axis=0) - np.where(there, logs, 0.0)
    known = there & (count > 0)
    lowest = np.full(logs.shape, np.inf)
    for channel in range(len(logs)):
        others = np.delete(np.where(there, logs, np.inf), channel, axis=0)
        lowest[channel] = others.min(axis=0, initial=np.inf)
    mean = total / np.maximum(count, 1)
    return np.where(known, logs - mean, np.nan), np.where(known, logs - np.where(known, lowest, 0.0), np.nan)


def examples(design: Design, base: np.ndarray, scaling: Scaling) -> DemandExamples:
    """Return the inputs and targets of all rows of a design.

    The targets of the heads of gap and risk are of the next period: the inputs end with today's prices.

    Args:
        design: The rows.
        base: The log mean without the own price's path, shape (rows,).
        scaling: How prices are standardised.
    """
    market = Market.of(design)
    cell, period = design.cell, design.period
    history = _history(market, cell, period, scaling)
    today = np.stack([market.gap[cell, period], market.excess[cell, period]], axis=1)
    codes = np.stack([design.codes(name)[cell] for name in CODES], axis=1).astype(np.int32)
    own = np.nan_to_num(design.log_price)[:, None] / scaling.price
    same = (np.full(len(cell), value) for value in (scaling.start, scaling.log_overdispersion, scaling.pull))
    constants = Constants(base, *same)
    inputs = DemandInputs(
        history.astype(np.float32),
        np.nan_to_num(today / scaling.price).astype(np.float32),
        codes,
        own.astype(np.float32),
        np.stack(constants, axis=1).astype(np.float32),
    )
    gap, excess = _next(market.gap, cell, period), _next(market.excess, cell, period)
    wide = np.where(np.isfinite(excess), excess > scaling.threshold, np.nan)
    goal = Goal(np.where(design.used, design.units, np.nan), (gap - market.gap[cell, period]) / scaling.gap, wide)
    return DemandExamples(inputs, np.stack(goal, axis=1).astype(np.float32))


def _next(values: np.ndarray, cell: np.ndarray, period: np.ndarray) -> np.ndarray:
    """Return the values of the next period, NaN for the last, shape (n,)."""
    later = np.concatenate([values[:, 1:], np.full((len(values), 1), np.nan)], axis=1)
    return later[cell, period]


def _history(market: Market, cell: np.ndarray, period: np.ndarray, scaling: Scaling) -> np.ndarray:
    """Return the columns of the periods before each row's, 0 where there was no price, shape (n, steps, 4)."""
    columns = np.stack(
        [market.price / scaling.price, market.gap / scaling.price, market.promotion, np.isfinite(market.price)], axis=2
    )
    padded = np.concatenate([np.zeros((len(columns), scaling.steps, HISTORY)), np.nan_to_num(columns)], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, scaling.steps, axis=1)  # (K, T + 1, 4, steps)
    return np.asarray(windows[cell, period].transpose(0, 2, 1))


def gap_spread(design: Design) -> float:
    """Return the standard deviation of the changes of gaps from one period to the next; 1 where there is none."""
    change = np.diff(Market.of(design).gap, axis=1)
    known = change[np.isfinite(change)]
    spread = float(known.std()) if len(known) else 0.0
    return spread if spread > 1e-9 else 1.0
