"""Peers: how far a row stands from what others like it did of late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, MinLen

from hwds.errors import ConfigError, nearest
from hwds.features.base import RowFeatures
from hwds.features.live import Live
from hwds.features.peer_windows import Spread, spread_of
from hwds.features.row_columns import DAY, arrivals, codes_of, floats, happened, needs, numbered, present
from hwds.frames.table import Table
from hwds.recipe import Count, Names, Whole

COLUMNS = ("quantity_30d", "orders_30d", "amount_30d", "skus_30d")
BY = ("customer_kind", "region")
"""The columns that are used where a table has them; any other name is the user's own and must be there."""

NORMAL = 1.4826
"""The standard deviation of a normal distribution over its MAD."""

Level = tuple[np.ndarray, np.ndarray]
"""The group of each row, and of each group the larger one that it is of."""


class Peers(RowFeatures):
    """How far a row stands from its peers: robust z by the median and MAD of a past window.

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
        window: Days in the reference.
        gap: Whole days between the window and the row's day.
        shrink: How many rows the larger group counts for.

    Example:
        python -m hwds dataset=fraud_handbook model=classify/logistic features=peers 'features.columns=[tx_amount]'
    """

    columns: Annotated[Names, MinLen(1)] = COLUMNS
    by: Names = BY
    window: Count = 28
    gap: Whole = 1
    shrink: Annotated[float, Ge(0)] = 50.0

    def check(self, table: Table) -> None:
        """Refuse a table without time, or without a column of peers that the user named."""
        needs(table, "peers", "time")
        self.grouped_by(table)

    def live(self, schema: Table) -> Live:
        """The same for rows as they arrive."""
        from hwds.features.peer_events import PeerEvents

        self.check(schema)
        return PeerEvents(self, schema)

    def compute(self, table: Table) -> pl.DataFrame:
        """Two columns for each column compared.

        Raises:
            ConfigError: None of the columns is there, or one is not that the user named.
            DataError: A row has no time.
        """
        self.check(table)
        time, arrival = happened(table), arrivals(table)
        day, enters, leaves = self.days_of(time, arrival)
        first, days = day.min(), int(day.max() - day.min()) + 1
        levels = list(self._levels(table))
        found: dict[str, pl.Series] = {}
        for name in self.compared(table):
            values = floats(table.data[name])
            spread = self.reference(values, levels, enters - first, leaves - first, days)[-1]
            at = levels[-1][0], day - first
            peers, z = stand(values, Spread(spread.median[at], spread.deviation[at], spread.rows[at]))
            found[f"{name}_peers"] = pl.Series(peers, nan_to_null=True)
            found[f"{name}_z"] = pl.Series(z, nan_to_null=True)
        return pl.DataFrame(found)

    def grouped_by(self, table: Table) -> list[str]:
        """The columns of `by` that a table has."""
        return [name for name in self.by if present(table, "by", name, name if name in BY else "")]

    def compared(self, table: Table) -> list[str]:
        """The columns to compare that a table has.

        Raises:
            ConfigError: None of them is there, or one is not that the user named.
        """
        found = [name for name in self.columns if present(table, "columns", name, name if name in COLUMNS else "")]
        for name in found:
            numbered(table, "columns", name)
        if not found:
            near = nearest(self.columns[0], table.data.columns)
            raise ConfigError(f"features.columns: none of {', '.join(self.columns)} is there (`purchases` makes them){near}")
        return found

    def days_of(self, time: np.ndarray, arrival: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each row its day, and the days from which on it is in the reference of others, and is not any more."""
        happened, arrived = time // DAY, arrival // DAY
        enters = np.maximum(happened + self.gap, arrived) + 1
        return np.minimum(happened, arrived), enters, happened + self.gap + self.window + 1

    def reference(
        self, values: np.ndarray, levels: Sequence[Level], enters: np.ndarray, leaves: np.ndarray, days: int
    ) -> list[Spread]:
        """What is compared with, of each level's groups on each day.

        Args:
            values: Of the rows, NaN where not known.
            levels: From all rows to the narrowest groups.
            enters: The first day on which a row is in the reference, from 0.
            leaves: The first day on which it is not any more.
            days: How many.
        """
        found: list[Spread] = []
        for group, parent in levels:
            own = spread_of(values, group, len(parent), enters, leaves, days)
            found.append(self._shrunk(own, found[-1], parent) if found else own)
        return found

    def _levels(self, table: Table) -> Iterator[Level]:
        """For all rows, then for each column of `by` more: the group of each row, and each group's larger one."""
        group = np.zeros(len(table.data), np.int64)
        yield group, np.zeros(1, np.int64)
        for name in self.grouped_by(table):
            parts = codes_of(table.data[name])
            finer = codes_of(pl.Series(group * (parts.max() + 2) + parts + 1))
            parent = np.zeros(int(finer.max()) + 1, np.int64)
            parent[finer] = group
            group = finer
            yield group, parent

    def _shrunk(self, own: Spread, larger: Spread, parent: np.ndarray) -> Spread:
        """What is taken for each group: its own, as far as its rows go, and the larger group's."""
        median, deviation, rows = (values[parent] for values in larger)
        scaled = np.where(own.deviation > 0, own.rows, 0.0)
        alone = np.where(own.rows >= self.shrink, own.deviation, 0.0)
        mixed = np.where(deviation > 0, _weighed(own.deviation, scaled, deviation, self.shrink), alone)
        return Spread(_weighed(own.median, own.rows, median, self.shrink), mixed, rows)


def stand(values: np.ndarray, spread: Spread) -> tuple[np.ndarray, np.ndarray]:
    """What peers of each value do, and its distance from it in standard deviations; NaN where not known."""
    known, scale = spread.rows > 0, NORMAL * spread.deviation
    z = np.divide(values - spread.median, scale, out=np.full(len(values), np.nan), where=known & (scale > 0))
    return np.where(known, spread.median, np.nan), z


def _weighed(own: np.ndarray, rows: np.ndarray, larger: np.ndarray, shrink: float) -> np.ndarray:
    return np.divide(rows * own + shrink * larger, rows + shrink, out=larger.copy(), where=rows > 0)
