"""Recent: the last rows of the same entity, as a sequence."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import MinLen

from hwds.compiled import compiled
from hwds.features.base import RowFeatures
from hwds.features.live import Live
from hwds.features.moments import Moments, moments_of
from hwds.features.recent_kernel import last_rows
from hwds.features.row_columns import DAY, codes_of, entity_of, must_be_numbers, needs, numbers_of
from hwds.frames.table import Table
from hwds.recipe import Count, Names

MARKS = 2
"""Inputs of each step that are made of the rows' times: whether there is a row, and the days since the one before."""


class Recent(RowFeatures):
    """The last rows of the same entity up to the row itself, for a model of sequences.

    One column `recent`, an array of shape (length, 2 + inputs) for each row: oldest first, the row itself last, zeros in
    front where there were fewer. Of each step it holds 1 for that there is a row; log(1 + days) since the entity's row before,
    0 for its first; and the inputs, each as sign(x) log(1 + |x|), 0 where there is none. A row without an entity stands alone.

    Attributes:
        inputs: Columns of numbers.
        length: Steps.
        entity: The column of whose rows they are; null takes the one with the role `entity`.

    Example:
        python -m hwds +experiment=gray_market_xgboost features=recent
    """

    inputs: Annotated[Names, MinLen(1)] = ("quantity", "unit_price")
    length: Count = 16
    entity: str | None = None

    def check(self, table: Table) -> None:
        """Refuse a table without an entity, or without a column of numbers that is named."""
        needs(table, "recent", "time")
        must_be_numbers(table, "inputs", self.inputs)
        entity_of(table, "entity", self.entity)

    def live(self, schema: Table) -> Live:
        """The same for rows as they arrive."""
        from hwds.features.recent_live import LiveRecent

        self.check(schema)
        return LiveRecent(self, schema)

    def compute(self, table: Table) -> pl.DataFrame:
        """The column of arrays.

        Raises:
            DataError: A row has no time.
        """
        self.check(table)
        moments = moments_of(table)
        group = codes_of(table.data[entity_of(table, "entity", self.entity)])
        values = np.column_stack([flattened(numbers_of(table, name)) for name in self.inputs])
        before, after = _neighbours(moments, group)
        found = np.zeros((len(group), self.length, MARKS + len(self.inputs)), np.float32)
        compiled(last_rows)(moments.order, moments.time, values, 1.0 / DAY, before, after, found)
        return pl.DataFrame({"recent": pl.Series(found, dtype=pl.Array(pl.Float32, found.shape[1:]))})


def flattened(values: np.ndarray) -> np.ndarray:
    """On a scale on which a thousand is not far from a hundred."""
    return np.nan_to_num(np.sign(values) * np.log1p(np.abs(values)), nan=0.0)


def _neighbours(moments: Moments, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The row before and after each one in its group, by time and arrival; -1 where there is none."""
    rows = np.lexsort((moments.place, moments.time, group))
    linked = (group[rows[1:]] == group[rows[:-1]]) & (group[rows[1:]] >= 0)
    before, after = np.full((2, len(group)), -1)
    before[rows[1:][linked]] = rows[:-1][linked]
    after[rows[:-1][linked]] = rows[1:][linked]
    return before, after
