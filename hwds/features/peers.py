"""Peers: how far a row stands from what others like it did of late."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, MinLen

from hwds.errors import ConfigError, nearest
from hwds.features.base import RowFeatures
from hwds.features.peer_windows import Spread, spread_of
from hwds.features.row_columns import DAY, arrivals, codes, floats, instants, needs, numbered, present
from hwds.frames.table import Table
from hwds.recipe import Count, Names, Whole

COLUMNS = ("quantity_30d", "orders_30d", "amount_30d", "skus_30d")
BY = ("customer_kind", "region")
"""The columns that are used where a table has them; any other name is the user's own and must be there."""

NORMAL = 1.4826
"""The standard deviation of a normal distribution over its MAD."""


class Peers(RowFeatures):
    """How far a row stands from its peers: robust z by the median and MAD of a past window.

    The reference of a row are rows of its group in the days of a window that ended `gap` days before the row's day, as far as
    they had arrived before that day began; never the rows that are scored with it. Median and MAD of each group are shrunk to
    those of the next larger group (`by` less its last column; in the end, all rows): the group's own count as many rows as it
    has, the larger group's count `shrink`. A MAD of 0 (more than half of the rows are alike) is no scale: the group takes the
    larger group's, and where the larger group has none, a group of at least `shrink` rows keeps its own. Without a scale z is
    null. Columns: `quantity_30d_peers`, what peers do, and
    `quantity_30d_z`, the row's distance from it in standard deviations (MAD x 1.4826).

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
        for name in self.by:
            present(table, "by", name, name if name in BY else "")

    def compute(self, table: Table) -> pl.DataFrame:
        """Two columns for each column compared.

        Raises:
            ConfigError: None of the columns is there, or one is not that the user named.
            DataError: A row has no time.
        """
        self.check(table)
        day, enters, leaves = self._days(table)
        first, days = day.min(), int(day.max() - day.min()) + 1
        groups = list(self._groups(table))
        found: dict[str, pl.Series] = {}
        for name in self._compared(table):
            values, spread = floats(table.data[name]), None
            for group, parent in groups:
                own = spread_of(values, group, len(parent), enters - first, leaves - first, days)
                spread = own if spread is None else self._shrunk(own, spread, parent)
            assert spread is not None
            at = groups[-1][0], day - first
            known = spread.rows[at] > 0
            middle, scale = spread.median[at], NORMAL * spread.deviation[at]
            z = np.divide(values - middle, scale, out=np.full(len(values), np.nan), where=known & (scale > 0))
            found[f"{name}_peers"] = pl.Series(np.where(known, middle, np.nan), nan_to_null=True)
            found[f"{name}_z"] = pl.Series(z, nan_to_null=True)
        return pl.DataFrame(found)

    def _compared(self, table: Table) -> list[str]:
        found = [name for name in self.columns if present(table, "columns", name, name if name in COLUMNS else "")]
        for name in found:
            numbered(table, "columns", name)
        if not found:
            near = nearest(self.columns[0], table.data.columns)
            raise ConfigError(f"features.columns: none of {', '.join(self.columns)} is there (`purchases` makes them){near}")
        return found

    def _days(self, table: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each row its day, and the days from which on it is in the reference of others, and is not any more."""
        happened, arrived = instants(table.column("time")) // DAY, arrivals(table) // DAY
        enters = np.maximum(happened + self.gap, arrived) + 1
        return np.minimum(happened, arrived), enters, happened + self.gap + self.window + 1

    def _groups(self, table: Table) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For all rows, then for each column of `by` more: the group of each row, and each group's larger one."""
        group = np.zeros(len(table.data), np.int64)
        yield group, np.zeros(1, np.int64)
        for name in self.by:
            if name not in table.data.columns:
                continue
            parts = codes(table.data[name])
            finer = codes(pl.Series(group * (parts.max() + 2) + parts + 1))
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


def _weighed(own: np.ndarray, rows: np.ndarray, larger: np.ndarray, shrink: float) -> np.ndarray:
    total = rows + shrink
    return np.divide(rows * own + shrink * larger, total, out=larger.copy(), where=total > 0)
