"""Frequency: the distance between the rows of a series, and the instants that follow its last one."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

SEASONS = {"1h": 24, "1d": 7, "7d": 52, "1w": 52, "1mo": 12, "3mo": 4, "1q": 4}
"""The usual number of rows in a season, for frequencies that have one; 1 for the others."""


@dataclass(frozen=True, slots=True)
class Frequency:
    """The step of a regular series.

    Attributes:
        every: A polars duration (`1mo`, `3mo`, `7d`, `1h`), or `1i` for integers in steps of one.
        month_end: Dates stand on the last day of their month, whichever that is.
    """

    every: str
    month_end: bool = False

    @property
    def season(self) -> int:
        """The usual season of this frequency in rows."""
        return SEASONS.get(self.every, 1)

    def after(self, times: pl.Series, steps: int) -> pl.Series:
        """Return the instants `steps` steps after `times`, of the same type."""
        count = int("".join(filter(str.isdigit, self.every))) * steps
        unit = self.every.lstrip("0123456789")
        if unit == "i":
            return times + count
        moved = times.dt.offset_by(f"{count}{unit}")
        return moved.dt.month_end() if self.month_end else moved
