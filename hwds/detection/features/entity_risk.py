"""EntityRisk: the confirmed share of earlier rows at the same place."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import MinLen

from hwds.core.numba_cache import compiled
from hwds.core.recipe import Days, Names, NonNegative, Once
from hwds.detection.features.kernels.entity_risk import POSITIVE, KnownLabels, known_labels
from hwds.detection.features.live.entity_risk import LiveRisk
from hwds.features.base import RowFeatures
from hwds.features.rows.columns import DAY, LONG_AGO, codes_of, must_have, needs
from hwds.features.rows.live import Live
from hwds.features.rows.moments import Labels, Moments, labels_of, moments_of
from hwds.frames.table import Table


class EntityRisk(RowFeatures):
    """The share of confirmed rows among those whose labels had arrived, at the same store, channel, address and customer.

    A window of days ends with the row's own arrival and holds the labels that arrived in it: where every label comes after the
    same delay, the share of `by: [terminal]` with `shrink: 0` is the "terminal risk" of the Fraud Detection Handbook (Le
    Borgne, Siblini, Lebichot and Bontempi 2022, chapter 3), whose window is shifted by that delay. The row's own label never
    counts. A share is that of its own labels and `shrink` more of which as many are positive as of all labels in the window: it
    is the overall share where there are none of its own (0 with `shrink: 0`, as in the handbook). Columns are
    `store_risk_30d`, and `store_labels_30d` and `store_confirmed_30d`, which count the labels and the positive ones.

    Attributes:
        by: Columns of what rows have in common; a row without a value has nothing in common with others.
        days: The lengths of the windows, in days.
        shrink: The number of labels that the overall share counts for.
    """

    by: Annotated[Names, MinLen(1)] = ("store", "channel", "address", "customer")
    days: Annotated[tuple[Days, ...], MinLen(1), Once] = (30, 90)
    shrink: NonNegative = 10.0

    def check(self, table: Table) -> None:
        """Refuse a table without a label, or without a column that is named."""
        must_have(table, "by", self.by)
        needs(table, "entity_risk", "time", "label")

    def live(self, schema: Table) -> Live:
        """Return the same for rows as they arrive."""
        self.check(schema)
        return LiveRisk(self.by, self.days, self.shrink)

    def compute(self, table: Table) -> pl.DataFrame:
        """Three columns for each of `by` and each window.

        Raises:
            ConfigError: No column says when labels arrived.
            DataError: A row has no time.
        """
        self.check(table)
        overall, moments = np.zeros(len(table.data), np.int64), moments_of(table)
        labels = labels_of(table, moments)
        whole = {days: _counted(moments, labels, overall, days) for days in self.days}
        columns: dict[str, np.ndarray] = {}
        for name in self.by:
            group = codes_of(table.data[name])
            for days in self.days:
                count, positive = _counted(moments, labels, group, days)
                columns[f"{name}_risk_{days}d"] = self._share(positive, count, _divided(whole[days][1], whole[days][0]))
                columns[f"{name}_labels_{days}d"] = count
                columns[f"{name}_confirmed_{days}d"] = positive
        return pl.DataFrame(columns)

    def _share(self, positive: np.ndarray, count: np.ndarray, overall: np.ndarray) -> np.ndarray:
        return _divided(positive + self.shrink * overall, count + self.shrink)


def _divided(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)


def _counted(moments: Moments, labels: Labels, group: np.ndarray, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row the labels of its group in the window, and the positive ones of them."""
    groups, counts = int(group.max(initial=-1)) + 1, np.zeros(len(group), np.int64)
    known = _known(moments, labels, group, groups, days)
    held, newest = np.zeros(groups, np.int64), np.full(groups, LONG_AGO)
    tree = np.zeros(len(known.group), np.int64)
    compiled(known_labels)(moments.order, moments.time, group, known, held, newest, tree, counts)
    return counts % POSITIVE, counts // POSITIVE


def _known(moments: Moments, labels: Labels, group: np.ndarray, groups: int, days: int) -> KnownLabels:
    """Return the labels of rows that are of a group."""
    held = group[labels.row] >= 0
    row, enters = labels.row[held], labels.enters[held]
    code, time = group[row], moments.time[row]
    sorted_places = np.lexsort((time, code))
    rank = np.empty_like(sorted_places)
    rank[sorted_places] = np.arange(len(row))
    return KnownLabels(
        group=code,
        value=np.where(labels.value[held] == 1, 1 + POSITIVE, 1),
        rank=rank,
        times=time[sorted_places],
        starts=np.searchsorted(code[sorted_places], np.arange(groups + 1)),
        enters=enters,
        leaves=moments.first_place(labels.time[held] + days * DAY),
        entering=np.argsort(enters, kind="stable"),
    )
