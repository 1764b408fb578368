"""Peers: how far a row stands from what others like it did of late."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import MinLen

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Days, Names, NonNegative, ZeroDays
from hwds.detection.features.kernels.peers import Spread
from hwds.detection.features.kernels.reference import Level, Reference, stand
from hwds.detection.features.live.peers import PeerEvents
from hwds.features.base import RowFeatures
from hwds.features.rows.columns import arrivals, codes_of, floats, happened, needs, numbered, present
from hwds.features.rows.live import Live
from hwds.frames.table import Table

COLUMNS = ("quantity_30d", "orders_30d", "amount_30d", "skus_30d")
BY = ("customer_kind", "region")
"""The columns that are used where a table has them; any other name is the user's own and must be there."""


class Peers(RowFeatures):
    """The distance of a row from its peers: robust z by the median and MAD of a past window.

    The reference of a row are rows of its group in the days of a window that ended `gap` days before the row's day, as far as
    they had arrived before that day began; never the rows that are scored with it. Median and MAD of each group are shrunk to
    those of the next larger group (`by` less its last column; in the end, all rows): the group's own count as many rows as it
    has, the larger group's count `shrink`. A MAD of 0 (more than half of the rows are alike) is no scale: the group takes the
    larger group's, and where the larger group has none, a group of at least `shrink` rows keeps its own. Without a scale z is
    null. Columns: `quantity_30d_peers`, what peers do, and `quantity_30d_z`, the row's distance from it in standard deviations
    (MAD x 1.4826).

    Attributes:
        columns: Numbers to compare, those of features before this one too (`purchases`).
        by: Columns that make a peer, from the widest group to the narrowest; a null is a group too.
        window: The days of rows that each row is compared with.
        gap: Whole days between the window and the row's day.
        shrink: The number of rows that the larger group counts for.
    """

    columns: Annotated[Names, MinLen(1)] = COLUMNS
    by: Names = BY
    window: Days = 28
    gap: ZeroDays = 1
    shrink: NonNegative = 50.0

    def check(self, table: Table) -> None:
        """Refuse a table without time, or without a column of peers that the user named."""
        needs(table, "peers", "time")
        self.grouped_by(table)

    def live(self, schema: Table) -> Live:
        """Return the same for rows as they arrive."""
        self.check(schema)
        return PeerEvents(self.compared(schema), self.grouped_by(schema), self.reference)

    def compute(self, table: Table) -> pl.DataFrame:
        """Return two columns for each column compared.

        Raises:
            ConfigError: None of the columns is there, or one is not that the user named.
            DataError: A row has no time.
        """
        self.check(table)
        time, arrival = happened(table), arrivals(table)
        reference = self.reference
        day, enters, leaves = reference.days_of(time, arrival)
        first, days = day.min(), int(day.max() - day.min()) + 1
        levels = list(self._levels(table))
        columns: dict[str, pl.Series] = {}
        for name in self.compared(table):
            values = floats(table.data[name])
            spread = reference.spreads(values, levels, enters - first, leaves - first, days)[-1]
            at = levels[-1][0], day - first
            peers, z = stand(values, Spread(spread.median[at], spread.deviation[at], spread.rows[at]))
            columns[f"{name}_peers"] = pl.Series(peers, nan_to_null=True)
            columns[f"{name}_z"] = pl.Series(z, nan_to_null=True)
        return pl.DataFrame(columns)

    @property
    def reference(self) -> Reference:
        """The rows that a row is compared with."""
        return Reference(self.window, self.gap, self.shrink)

    def grouped_by(self, table: Table) -> list[str]:
        """Return the columns of `by` that a table has."""
        return [name for name in self.by if present(table, "by", name, name if name in BY else "")]

    def compared(self, table: Table) -> list[str]:
        """Return the columns to compare that a table has.

        Raises:
            ConfigError: None of them is there, or one is not that the user named.
        """
        names = [name for name in self.columns if present(table, "columns", name, name if name in COLUMNS else "")]
        for name in names:
            numbered(table, "columns", name)
        if not names:
            near = nearest(self.columns[0], table.data.columns)
            raise ConfigError(f"features.columns: none of {', '.join(self.columns)} is there (`purchases` makes them){near}")
        return names

    def _levels(self, table: Table) -> Iterator[Level]:
        """Yield, for all rows and then for each column of `by` more, the group of each row and each group's larger one."""
        group = np.zeros(len(table.data), np.int64)
        yield group, np.zeros(1, np.int64)
        for name in self.grouped_by(table):
            parts = codes_of(table.data[name])
            finer = codes_of(pl.Series(group * (parts.max() + 2) + parts + 1))
            parent = np.zeros(int(finer.max()) + 1, np.int64)
            parent[finer] = group
            group = finer
            yield group, parent
