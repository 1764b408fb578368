"""A column of vintages as windows read it: at each step of an origin, what was forecast by then, in training as in use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.forecast.models.windows.covariates import Standard
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.frames.vintages import COLUMN, MADE_AT, VALUE

_ROW, _MADE, _LEAD = "row", "made_row", "lead"


@dataclass(frozen=True, eq=False)
class VintageColumn:
    """Forecasts by the row that they are of and how many rows before it they were known, sorted by both.

    Attributes:
        keys: Row times `width` plus lead, rising, shape (n,).
        values: The latest forecast with that lead, standardised, shape (n,).
        width: Above every lead.
    """

    keys: np.ndarray
    values: np.ndarray
    width: int

    @classmethod
    def of(cls, panel: Panel, standard: Standard) -> VintageColumn:
        """Return the forecasts of a panel's column; one that was made between two rows counts as known at the later."""
        assert panel.vintages is not None
        rows = panel.table.select(SERIES, TIME, pl.int_range(pl.len(), dtype=pl.Int64).alias(_ROW))
        forecasts = panel.vintages.table.filter(pl.col(COLUMN) == standard.name).join(rows, on=[SERIES, TIME])
        known = rows.select(SERIES, pl.col(TIME).alias(MADE_AT), pl.col(_ROW).alias(_MADE)).sort(MADE_AT)
        dated = forecasts.sort(MADE_AT).join_asof(known, on=MADE_AT, by=SERIES, strategy="forward", check_sortedness=False)
        ahead = dated.with_columns((pl.col(_ROW) - pl.col(_MADE)).alias(_LEAD)).filter(pl.col(_LEAD) > 0)
        last = ahead.sort(_ROW, _LEAD, MADE_AT).unique([_ROW, _LEAD], keep="last", maintain_order=True)
        lead = last[_LEAD].to_numpy()
        width = int(lead.max()) + 1 if len(lead) else 1
        return cls(last[_ROW].to_numpy() * width + lead, standard.apply(last[VALUE].to_numpy()), width)

    def __getitem__(self, ahead: np.ndarray) -> np.ndarray:
        """Return the forecasts of the rows ahead of n origins, column j for step j + 1; NaN where none, shape (n, h)."""
        lead = np.arange(1, ahead.shape[1] + 1)
        if not len(self.keys):
            return np.full(ahead.shape, np.nan)
        at = np.searchsorted(self.keys, ahead * self.width + np.minimum(lead, self.width - 1))
        place = np.minimum(at, len(self.keys) - 1)
        there = (self.keys[place] // self.width == ahead) & (self.keys[place] % self.width >= lead) & (at < len(self.keys))
        return np.where(there, self.values[place], np.nan)
