"""Recent as events arrive."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from hwds.detection.features.kernels.recent import MARKS, flattened
from hwds.features.rows.columns import DAY
from hwds.features.rows.live import Event, Live, Past, Value, number


class LiveRecent(Live):
    """The column of `Recent`.

    Args:
        entity: The column that says whose row an event is.
        inputs: Columns of numbers.
        length: Steps.
    """

    changing = ("_past",)

    def __init__(self, entity: str, inputs: Sequence[str], length: int) -> None:
        self._entity, self._inputs = entity, tuple(inputs)
        self._shape = length, MARKS + len(inputs)
        self.columns = {"recent": pl.Array(pl.Float32, self._shape)}
        self._past: defaultdict[Any, Past] = defaultdict(Past)

    def arrive(self, event: Event) -> Sequence[Value]:
        """Return the last rows of the entity, oldest first."""
        values = flattened(np.array([number(event.values.get(name)) for name in self._inputs]))
        who, out = event.values.get(self._entity), np.zeros(self._shape, np.float32)
        past = self._past[who] if who is not None else Past()
        place = past.put(event.time, values)
        for step in range(self._shape[0] - 1, max(self._shape[0] - place - 2, -1), -1):
            out[step, 0] = 1.0
            if place:
                out[step, 1] = math.log1p((past.times[place] - past.times[place - 1]) * (1.0 / DAY))
            out[step, 2:] = past.items[place]
            place -= 1
        return (out,)
