"""Covariates as a global model reads them: holes filled from the past, numbers standardised, texts coded."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from hwds.core.serialization import Serializable
from hwds.frames.panel import Panel

MOST_CODES = 255
"""Texts of one static column that are told apart; the rarer ones are coded as unknown."""


@Serializable.register
class Standard(NamedTuple):
    """The standardisation of one numeric column: log of positive columns (a change is then a ratio), median, spread."""

    name: str
    log: bool
    least: float
    centre: float
    spread: float

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Standardise values; NaN stays NaN."""
        moved = np.log(np.maximum(values, self.least)) if self.log else values
        standard: np.ndarray = (moved - self.centre) / self.spread
        return standard


@Serializable.register
class Codes(NamedTuple):
    """The texts of one static column that were seen in fit, in the order of their codes."""

    name: str
    texts: tuple[str, ...]

    def apply(self, panel: Panel) -> np.ndarray:
        """Find the code of each series, -1 for a text that is not known, shape (n_series,), int32."""
        code = {text: i for i, text in enumerate(self.texts)}
        texts = panel.table[self.name].gather(panel.offsets[:-1]).cast(pl.String).to_list()
        return np.array([code.get(text, -1) for text in texts], np.int32)


def learn_standard(panel: Panel, name: str) -> Standard:
    """Take robust statistics of one column: median and mean deviation from it (a flag is mostly 0, its quartiles too)."""
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
    frequent = texts.value_counts().sort(["count", name], descending=[True, False])[name].head(MOST_CODES)
    return Codes(name, tuple(frequent.sort().to_list()))


def first_known(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Find the row of each series' first known value, or its end where there is none, shape (n_series,)."""
    rows = np.where(np.isnan(values), len(values), np.arange(len(values)))
    first: np.ndarray = np.minimum(np.minimum.reduceat(rows, offsets[:-1]), offsets[1:])
    return first


def forward_filled(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Fill each hole with the last known value since the start of its group.

    Args:
        values: Shape (rows,), NaN for holes.
        starts: The row where each row's group begins, shape (rows,).
    """
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
    return np.where(last >= starts, values[last], np.nan)


def filled(panel: Panel, values: np.ndarray, season: int) -> np.ndarray:
    """Fill holes from the past of the same series: the same season of an earlier year, or else the last known value."""
    if not np.isnan(values).any():
        return values
    starts = np.repeat(panel.offsets[:-1], panel.lengths)
    phase = starts + panel.positions % season  # differs between phases and series: a phase is less than the rows of its series
    order = np.argsort(phase, kind="stable")
    fresh = np.append(True, np.diff(phase[order]) != 0)
    by_season = np.empty_like(values)
    by_season[order] = forward_filled(values[order], np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0)))
    return forward_filled(by_season, starts)


def is_number(panel: Panel, name: str) -> bool:
    """Tell whether a column holds numbers or flags, rather than texts or dates."""
    kind = panel.table.schema[name]
    return kind.is_numeric() or kind == pl.Boolean
