"""Lowest as events arrive."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import polars as pl

from hwds.features.rows.columns import DAY
from hwds.features.rows.live import Event, Live, Past, Value, known, number


class LiveLowest(Live):
    """The columns of `Lowest`.

    Args:
        entity: The column that says whose row an event is.
        read: Columns of numbers.
        days: The length of the window.
    """

    changing = ("_past",)

    def __init__(self, entity: str, read: Sequence[str], days: int) -> None:
        self._entity, self._read, self._reach = entity, tuple(read), days * DAY
        self.columns = {f"{name}_least_{days}d": pl.Float64() for name in read}
        self._past: defaultdict[Any, Past] = defaultdict(Past)

    def arrive(self, event: Event) -> Sequence[Value]:
        """Return the lowest values of the entity's rows, this one included."""
        who = event.values.get(self._entity)
        if who is None:
            return (None,) * len(self._read)
        past, lowest = self._past[who], [math.inf] * len(self._read)
        place = past.put(event.time, tuple(number(event.values.get(name)) for name in self._read))
        while place >= 0 and event.time - past.times[place] < self._reach:
            lowest = [value if value < least else least for value, least in zip(past.items[place], lowest, strict=True)]
            place -= 1
        return tuple(known(least if least < math.inf else math.nan) for least in lowest)
