"""Lowest: what the rows of an entity never go below."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import MinLen

from hwds.core.errors import ConfigError, nearest
from hwds.core.numba_cache import compiled
from hwds.core.recipe import Days, Names
from hwds.detection.features.kernels.handbook_windows import by_entity
from hwds.detection.features.kernels.lowest import look_lowest
from hwds.detection.features.live.lowest import LiveLowest
from hwds.features.base import RowFeatures
from hwds.features.rows.columns import DAY, codes_of, entity_of, needs, numbers_of, present_numbers
from hwds.features.rows.live import Live
from hwds.features.rows.moments import moments_of
from hwds.frames.table import Table

COLUMNS = ("quantity", "spread_share")
"""The columns that are used where a table has them; any other name is the user's own and must be there."""


class Lowest(RowFeatures):
    """The lowest values of an entity in the days up to each row: an honest buyer has small and idle lines, too.

    Whoever buys to resell buys where it pays, and never little: not one line tells it, all of them together do. No label is
    read. Columns: `quantity_least_90d`, the lowest number among the rows of the entity that happened less than 90 days before
    the row and had arrived, itself included; null where no row has a number.

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
        needs(table, "lowest", "time")
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
        moments, code = moments_of(table), codes_of(table.data[entity_of(table, "entity", self.entity)])
        order = by_entity(code, moments.time, moments.place)
        lowest = {}
        for name in self.read_of(table):
            out = np.full(len(code), np.nan)
            compiled(look_lowest)(order, code, moments.time, moments.place, numbers_of(table, name), self.days * DAY, out)
            lowest[name_of(name, self.days)] = pl.Series(out, nan_to_null=True)
        return pl.DataFrame(lowest)

    def read_of(self, table: Table) -> list[str]:
        """Return the columns that a table has.

        Raises:
            ConfigError: None of them is there, or one is not that the user named.
        """
        names = [name for name in self.columns if present_numbers(table, "columns", name, name if name in COLUMNS else "")]
        if not names:
            near = nearest(self.columns[0], table.data.columns)
            raise ConfigError(f"features.columns: none of {', '.join(self.columns)} is there{near}")
        return names


def name_of(column: str, days: int) -> str:
    """Return the name of a column's lowest value."""
    return f"{column}_least_{days}d"
