"""Lowest: what the rows of an entity never go below."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import polars as pl
from annotated_types import MinLen

from hwds.core.compiling import compiled
from hwds.core.recipe import Days, Names
from hwds.detection.features.peers import present_columns
from hwds.detection.kernels.past import fill_lowest, order_by_entity
from hwds.frames.features.base import RowFeatures
from hwds.frames.rows import (
    DAY_MICROSECONDS,
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
    known_float,
    require_role,
)
from hwds.frames.table import Table

# Lowest as events arrive.


class LiveLowest(Live):
    """The columns of `Lowest`.

    Args:
        entity: The column that says whose row an event is.
        read: Columns of numbers.
        days: The length of the window.
    """

    changing = ("_past",)
    since_ever = ()

    def __init__(self, entity: str, read: Sequence[str], days: int) -> None:
        self._entity, self._read, self._reach = entity, tuple(read), days * DAY_MICROSECONDS
        self.columns = {f"{name}_least_{days}d": pl.Float64() for name in read}
        self._past: defaultdict[Any, PastItems] = defaultdict(PastItems)
        self.reach = self._reach

    def forget(self, oldest: int, place: int) -> None:
        """Drop the values of rows that happened before."""
        drop_past(self._past, oldest)

    def arrive(self, event: RowEvent) -> Sequence[Value]:
        """Return the lowest values of the entity's rows, this one included."""
        who = event.values.get(self._entity)
        if who is None:
            return (None,) * len(self._read)
        past, lowest = self._past[who], [math.inf] * len(self._read)
        place = past.put(event.time, tuple(as_float(event.values.get(name)) for name in self._read))
        while place >= 0 and event.time - past.times[place] < self._reach:
            lowest = [
                value if value < least else least
                for value, least in zip(past.items[place], lowest, strict=True)
            ]
            place -= 1
        return tuple(known_float(least if least < math.inf else math.nan) for least in lowest)


# Lowest: what the rows of an entity never go below.

COLUMNS = ("quantity", "spread_share")
"""The columns that are used where a table has them; any other name is the user's own and must be
there.
"""


class Lowest(RowFeatures):
    """The lowest values of an entity in the days up to each row: an honest buyer has small and idle
    lines, too.

    Whoever buys to resell buys where it pays, and never little: not one line tells it, all of them
    together do. No label is read. Columns: `quantity_least_90d`, the lowest number among the
    entity's rows of the 90 days before the row that had arrived, itself included; null if no row
    has a number.

    Attributes:
        columns: Numbers whose lowest is taken, those of features before this one too (`arbitrage`).
        days: The length of the window, in days.
        entity: The column of whose rows they are; null takes the one with the role `entity`.
    """

    columns: Annotated[Names, MinLen(1)] = COLUMNS
    days: Days = 90
    entity: str | None = None

    def check(self, table: Table) -> None:
        """Refuse a table without an entity or a time."""
        require_role(table, "lowest", "time")
        entity_of(table, "entity", self.entity)

    def live(self, schema: Table) -> Live:
        """Return the same for rows as they arrive."""
        self.check(schema)
        return LiveLowest(entity_of(schema, "entity", self.entity), self.read_of(schema), self.days)

    def compute(self, table: Table) -> pl.DataFrame:
        """Return a column for each one that is read.

        Raises:
            ConfigError: None of the columns is there, or one is not that the user named.
            DataError: A row has no time.
        """
        self.check(table)
        moments = instants_of(table)
        code = codes_of(table.data[entity_of(table, "entity", self.entity)])
        order = order_by_entity(code, moments.time, moments.place)
        lowest = {}
        for name in self.read_of(table):
            out = np.full(len(code), np.nan)
            compiled(fill_lowest)(
                order,
                code,
                moments.time,
                moments.place,
                column_floats(table, name),
                self.days * DAY_MICROSECONDS,
                out,
            )
            lowest[f"{name}_least_{self.days}d"] = pl.Series(out, nan_to_null=True)
        return pl.DataFrame(lowest)

    def read_of(self, table: Table) -> list[str]:
        """Return the columns that a table has.

        Raises:
            ConfigError: None of them is there, or one is not that the user named.
        """
        return present_columns(table, self.columns, COLUMNS)
