"""Recent: the last rows of the same entity, as a sequence."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import MinLen

from hwds.core.numba_cache import compiled
from hwds.core.recipe import Folds, Names
from hwds.detection.features.kernels.recent import MARKS, flattened, last_rows
from hwds.detection.features.live.recent import LiveRecent
from hwds.features.base import RowFeatures
from hwds.features.rows.columns import DAY, codes_of, entity_of, must_be_numbers, needs, numbers_of
from hwds.features.rows.live import Live
from hwds.features.rows.moments import Moments, moments_of
from hwds.frames.table import Table


class Recent(RowFeatures):
    """The last rows of the same entity up to the row itself, for a model of sequences.

    One column `recent`, an array of shape (length, 2 + inputs) for each row: oldest first, the row itself last, zeros in
    front where there were fewer. Of each step it holds 1 for that there is a row; log(1 + days) since the entity's row before,
    0 for its first; and the inputs, each as sign(x) log(1 + |x|), 0 where there is none. A row without an entity stands alone.

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
        needs(table, "recent", "time")
        must_be_numbers(table, "inputs", self.inputs)
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
        moments = moments_of(table)
        group = codes_of(table.data[entity_of(table, "entity", self.entity)])
        values = np.column_stack([flattened(numbers_of(table, name)) for name in self.inputs])
        before, after = _neighbours(moments, group)
        out = np.zeros((len(group), self.length, MARKS + len(self.inputs)), np.float32)
        compiled(last_rows)(moments.order, moments.time, values, 1.0 / DAY, before, after, out)
        return pl.DataFrame({"recent": pl.Series(out, dtype=pl.Array(pl.Float32, out.shape[1:]))})


def _neighbours(moments: Moments, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the row before and after each one in its group, by time and arrival; -1 where there is none."""
    rows = np.lexsort((moments.place, moments.time, group))
    linked = (group[rows[1:]] == group[rows[:-1]]) & (group[rows[1:]] >= 0)
    before, after = np.full((2, len(group)), -1)
    before[rows[1:][linked]] = rows[:-1][linked]
    after[rows[:-1][linked]] = rows[1:][linked]
    return before, after
