"""StockCases: the evidence that stock is decided from: levels by the law of demand, and what demand was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.supply.stock.levels import StockLevels, levels_of, textbook_levels
from hwds.supply.stock.terms import StockTerms, without_depot

SOURCES = {
    "paths": "sample paths",
    "errors": "the steps' quantiles in the rank order of past errors",
    "independent": "the steps' quantiles, as if months had nothing to do with each other",
}
"""The sources of the joint law of a series' steps, in words."""


@dataclass(frozen=True, eq=False)
class StockCases:
    """Levels of w pairs of a series and a cutoff.

    Attributes:
        keys: `series` and `cutoff`, one row a case; and `moment`, the cutoff on a clock of all series, where it is not.
        levels: Of each case.
        actual: Demand, NaN where it is not known, shape (w, periods).
        sources: Where the joint law of each case is from, see `SOURCES`.
        alone: Levels without a depot; those of the rule where it has none, shape (w, periods of orders).
        textbook: Levels of normal demand whose steps have nothing to do with each other, shape (w, periods of orders).
    """

    keys: pl.DataFrame
    levels: tuple[StockLevels, ...]
    actual: np.ndarray
    sources: tuple[str, ...]
    textbook: np.ndarray
    alone: np.ndarray

    def __len__(self) -> int:
        return len(self.levels)

    @property
    def known(self) -> np.ndarray:
        """A flag for each case that has a demand for each of its periods, shape (w,)."""
        return ~np.isnan(self.actual).any(axis=1)

    def stacked(self, name: str) -> np.ndarray:
        """Return a part of the levels, shape (w, periods of orders)."""
        return np.stack([getattr(each, name) for each in self.levels]) if self.levels else np.zeros((0, 0))


def cases_of(keys: pl.DataFrame, draws: Iterable[tuple[np.ndarray, str]], actual: np.ndarray, terms: StockTerms) -> StockCases:
    """Return the levels of each case.

    Args:
        keys: See `StockCases`.
        draws: For each case joint draws, shape (periods, n), and where they are from.
        actual: Demand, shape (w, periods).
        terms: The rule.
    """
    levels, sources, textbook, alone = [], [], [], []
    for each, source in draws:
        levels.append(levels_of(each, terms))
        sources.append(source)
        textbook.append(textbook_levels(each, terms))
        no_depot = terms.policy == "two_echelons"
        alone.append((levels_of(each, without_depot(terms)) if no_depot else levels[-1]).upto)
    return StockCases(keys, tuple(levels), actual, tuple(sources), np.array(textbook), np.array(alone))
