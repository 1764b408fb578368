"""Usual values of inputs: quantiles and shares among the rows that a model learned from, which make a value high or rare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl

from hwds.core.serialization import Serializable
from hwds.detection.reasons.sentences import LEAST_SHARE
from hwds.frames.table import Table

GRID = 100
"""Quantiles lie 1 % apart."""

MOST_ROWS = 5000
"""Rows that quantiles are computed from, evenly spaced; more would move no whole percent."""


@dataclass(frozen=True, eq=False)
class Usual(Serializable):
    """Quantiles of the inputs that are numbers, and how common each text of the others is.

    Attributes:
        names: Of the inputs.
        quantiles: From the least to the largest value of each, shape (names, 101); NaN where no row has a value.
        texts: Of each input that is no number the share of rows that has a text, the commonest first and none below
            `LEAST_SHARE`; rows without one have the empty text.
    """

    added: ClassVar[Mapping[str, Any]] = {"texts": {}}

    names: tuple[str, ...]
    quantiles: np.ndarray
    texts: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def learn(cls, rows: Table) -> Self:
        """Return the quantiles and shares of a table's inputs."""
        schema = rows.data.schema
        names = tuple(name for name in rows.inputs if schema[name].is_numeric() or str(schema[name]) == "Boolean")
        step = max(rows.height // MOST_ROWS, 1)
        some = rows.filter(np.arange(rows.height) % step == 0)
        numbers = some.numbers(names)
        quantiles = np.full((len(names), GRID + 1), np.nan)
        for place, column in enumerate(numbers.T):
            known = column[np.isfinite(column)]
            if len(known):
                quantiles[place] = np.quantile(known, np.linspace(0, 1, GRID + 1), method="inverted_cdf")
        texts = {name: _shares(some.data[name]) for name in rows.inputs if name not in names and not schema[name].is_nested()}
        return cls(names, quantiles, texts)

    @classmethod
    def unknown(cls) -> Self:
        """Return that of no input."""
        return cls((), np.zeros((0, GRID + 1)))

    def ranks(self, name: str, value: float) -> tuple[float | None, float | None]:
        """Return the share of rows with a lower value and of those with a higher one; None twice where that is not known."""
        if name not in self.names or not np.isfinite(value):
            return None, None
        grid = self.quantiles[self.names.index(name)]
        if np.isnan(grid[0]):
            return None, None
        below, above = np.searchsorted(grid, value, "left"), len(grid) - np.searchsorted(grid, value, "right")
        return float(below) / len(grid), float(above) / len(grid)

    def text_shares(self, name: str, text: str | None) -> tuple[float | None, float | None]:
        """Return the share of rows with a text, 0 below `LEAST_SHARE`, and with a commoner one; None twice where not known."""
        if text is None or name not in self.texts:
            return None, None
        own = self.texts[name].get(text, 0.0)
        return own, sum(share for share in self.texts[name].values() if share > own)


def _shares(column: pl.Series) -> dict[str, float]:
    counts = column.cast(pl.String).fill_null("").value_counts().sort("count", column.name, descending=[True, False])
    return {text: count / len(column) for text, count in counts.iter_rows() if count >= LEAST_SHARE * len(column)}
