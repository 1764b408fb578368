"""Recent as events arrive."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hwds.features.live import Event, Live, Past, Value, number
from hwds.features.recent import MARKS, flattened
from hwds.features.row_columns import DAY, entity_of

if TYPE_CHECKING:
    from hwds.features.recent import Recent
    from hwds.frames.table import Table


class LiveRecent(Live):
    """The column of `Recent`.

    Args:
        recipe: The features.
        schema: A table of the events' columns and roles, without rows.
    """

    changing = ("_past",)

    def __init__(self, recipe: Recent, schema: Table) -> None:
        self._recipe, self._entity = recipe, entity_of(schema, "entity", recipe.entity)
        self._shape = recipe.length, MARKS + len(recipe.inputs)
        self.columns = {"recent": pl.Array(pl.Float32, self._shape)}
        self._past: defaultdict[Any, Past] = defaultdict(Past)

    def arrive(self, event: Event) -> Sequence[Value]:
        """The last rows of the entity, oldest first."""
        values = flattened(np.array([number(event.values.get(name)) for name in self._recipe.inputs]))
        who, found = event.values.get(self._entity), np.zeros(self._shape, np.float32)
        past = self._past[who] if who is not None else Past()
        place = past.put(event.time, values)
        for step in range(self._shape[0] - 1, max(self._shape[0] - place - 2, -1), -1):
            found[step, 0] = 1.0
            if place:
                found[step, 1] = math.log1p((past.times[place] - past.times[place - 1]) * (1.0 / DAY))
            found[step, 2:] = past.items[place]
            place -= 1
        return (found,)
