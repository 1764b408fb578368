"""Recent: the last rows of the same entity, as a sequence."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import polars as pl
from annotated_types import MinLen
from numpy import ndarray

from hwds.core.compiling import compiled
from hwds.core.recipe import Folds, Names
from hwds.detection.kernels.past import TIME_INPUTS, fill_last_rows, signed_log
from hwds.frames.features.base import RowFeatures
from hwds.frames.rows import (
    DAY_MICROSECONDS,
    Instants,
    Live,
    PastItems,
    RowEvent,
    Value,
    as_float,
    codes_of,
    column_floats,
    drop_past,
    entity_of,
    instants_of,
    require_number_columns,
    require_role,
)
from hwds.frames.table import Table

# Recent as events arrive.


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
        self._shape = length, TIME_INPUTS + len(inputs)
        self.columns = {"recent": pl.Array(pl.Float32, self._shape)}
        self._past: defaultdict[Any, PastItems] = defaultdict(PastItems)

    def forget(self, oldest: int, place: int) -> None:
        """Drop the rows that happened before."""
        drop_past(self._past, oldest)

    def arrive(self, event: RowEvent) -> Sequence[Value]:
        """Return the last rows of the entity, oldest first."""
        values = signed_log(np.array([as_float(event.values.get(name)) for name in self._inputs]))
        who, out = event.values.get(self._entity), np.zeros(self._shape, np.float32)
        past = self._past[who] if who is not None else PastItems()
        place = past.put(event.time, values)
        for step in range(self._shape[0] - 1, max(self._shape[0] - place - 2, -1), -1):
            out[step, 0] = 1.0
            if place:
                out[step, 1] = math.log1p(
                    (past.times[place] - past.times[place - 1]) * (1.0 / DAY_MICROSECONDS)
                )
            out[step, 2:] = past.items[place]
            place -= 1
        return (out,)


# Recent: the last rows of the same entity, as a sequence.


class Recent(RowFeatures):
    """The last rows of the same entity up to the row itself, for a model of sequences.

    One column `recent`, an array of shape (length, 2 + inputs) for each row: oldest first, the row
    itself last, zeros in front where there were fewer. Each step holds 1 if there is a row; log(1 +
    days) since the entity's previous row, 0 for its first; and the inputs, each as sign(x) log(1 +
    |x|), 0 if missing. A row without an entity stands alone.

    Attributes:
        inputs: The columns of numbers whose last values are taken.
        length: The number of earlier rows of the entity that are taken.
        entity: The column of whose rows they are; null takes the one with the role `entity`.
    """

    inputs: Annotated[Names, MinLen(1)] = ("quantity", "unit_price")
    length: Folds = 16
    entity: str | None = None

    def check(self, table: Table) -> None:
        """Refuse a table without an entity, or without a column of numbers that is named."""
        require_role(table, "recent", "time")
        require_number_columns(table, "inputs", self.inputs)
        entity_of(table, "entity", self.entity)

    def live(self, schema: Table) -> Live:
        """Return the same for rows as they arrive."""
        self.check(schema)
        return LiveRecent(entity_of(schema, "entity", self.entity), self.inputs, self.length)

    def compute(self, table: Table) -> pl.DataFrame:
        """Return the column of arrays.

        Raises:
            DataError: A row has no time.
        """
        self.check(table)
        moments = instants_of(table)
        group = codes_of(table.data[entity_of(table, "entity", self.entity)])
        values = np.column_stack([signed_log(column_floats(table, name)) for name in self.inputs])
        before, after = _neighbours_in_group(moments, group)
        out = np.zeros((len(group), self.length, TIME_INPUTS + len(self.inputs)), np.float32)
        compiled(fill_last_rows)(
            moments.order, moments.time, values, 1.0 / DAY_MICROSECONDS, before, after, out
        )
        return pl.DataFrame({"recent": pl.Series(out, dtype=pl.Array(pl.Float32, out.shape[1:]))})


def _neighbours_in_group(moments: Instants, group: ndarray) -> tuple[ndarray, ndarray]:
    """Return the row before and after each one in its group, by time and arrival.

    -1 where there is none.
    """
    rows = np.lexsort((moments.place, moments.time, group))
    linked = (group[rows[1:]] == group[rows[:-1]]) & (group[rows[1:]] >= 0)
    before, after = np.full((2, len(group)), -1)
    before[rows[1:][linked]] = rows[:-1][linked]
    after[rows[:-1][linked]] = rows[1:][linked]
    return before, after
