"""Frequency: the distance between the rows of a series, and the instants that follow its last one."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from hwds.core.errors import DataError

SEASONS = {"1h": 24, "1d": 7, "7d": 52, "1w": 52, "1mo": 12, "3mo": 4, "1q": 4}
"""The usual number of rows in a season, for frequencies that have one; 1 for the others."""

SPAN, SPAN_NS = (1, 9999), (1678, 2261)
"""The years of the calendar, and those that nanoseconds can hold."""

_WIDE = {"Datetime(time_unit='ns', time_zone=None)": pl.Datetime("us")}
"""Types in which a step may leave what they hold, each with one that tells so."""


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
        """Return the instants `steps` steps after `times`, of the same type.

        Raises:
            DataError: One is beyond the calendar, or beyond what the type can hold.
        """
        count = int("".join(filter(str.isdigit, self.every))) * steps
        unit = self.every.lstrip("0123456789")
        if unit == "i":
            return times + count
        moved = times.cast(_WIDE.get(str(times.dtype), times.dtype)).dt.offset_by(f"{count}{unit}")
        first, last = SPAN_NS if str(times.dtype) in _WIDE else SPAN
        if not moved.dt.year().drop_nulls().is_between(first, last).all():
            raise DataError(f"dataset: {steps:,} steps of {self.every} from {times.drop_nulls()[0]} lead out of the calendar.")
        moved = moved.cast(times.dtype)
        return moved.dt.month_end() if self.month_end else moved
