"""EntityRisk: the confirmed share of earlier rows at the same place."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Annotated, Any, NamedTuple

import numpy as np
import polars as pl
from annotated_types import MinLen
from numpy import ndarray

from hwds.core.compiling import compiled
from hwds.core.recipe import Days, Names, NonNegative, Once
from hwds.core.serialization import Serializable
from hwds.detection.kernels.past import POSITIVE, LabelArrays, count_known_labels
from hwds.frames.features.base import RowFeatures
from hwds.frames.rows import (
    DAY_MICROSECONDS,
    LONG_AGO,
    ByPlace,
    Instants,
    LabelArrivals,
    Live,
    PastItems,
    RowEvent,
    RowOutcome,
    Value,
    codes_of,
    instants_of,
    label_arrivals_of,
    require_known_columns,
    require_role,
)
from hwds.frames.table import Table

# EntityRisk as events and labels arrive.

ALL_ROWS = (-1, None)
"""The group of all rows."""

Group = tuple[int, Any]


@Serializable.register
class KnownLabel(NamedTuple):
    """A label that is known: of a row that happened at `time`, since `at`; the groups it counts
    in.
    """

    time: int
    at: int
    positive: int
    groups: tuple[Group, ...]


class HeldLabels(Serializable):
    """The labels of a group: how many each window holds, all and positive ones.

    Attributes:
        counts: By window, labels and positive ones.
        newest: A time that no row of a label is later than.
        rows: Labels by the time of their rows; those that have left the longest window are dropped
            now and then.
    """

    __slots__ = ("counts", "newest", "rows")

    def __init__(self, windows: int) -> None:
        self.counts = [[0, 0] for _ in range(windows)]
        self.newest = LONG_AGO
        self.rows = PastItems()

    def enter(self, label: KnownLabel) -> None:
        """Count a label in all windows."""
        for count in self.counts:
            count[0] += 1
            count[1] += label.positive
        self.newest = max(self.newest, label.time)
        self.rows.put(label.time, label)

    def in_window(self, window: int, time: int, since: int) -> tuple[int, int]:
        """Return labels and positive ones of a window that began after `since`, of rows that
        happened by a time.
        """
        count, positive = self.counts[window]
        if self.newest > time:
            for label in self.rows.items[self.rows.upto(time) :]:
                if label.at > since:
                    count -= 1
                    positive -= label.positive
        return count, positive

    def take_away(self, label: KnownLabel, windows: Sequence[bool]) -> None:
        """Take a label out of those windows that hold it."""
        for count, holds in zip(self.counts, windows, strict=True):
            if holds:
                count[0] -= 1
                count[1] -= label.positive
        begin, end = bisect_left(self.rows.times, label.time), self.rows.upto(label.time)
        if label in self.rows.items[begin:end]:
            place = self.rows.items.index(label, begin, end)
            del self.rows.items[place], self.rows.times[place]

    def drop_before(self, since: int) -> None:
        """Drop labels that came by a moment, once they are half of all."""
        if len(self.rows.items) > 2 * max(count for count, _ in self.counts) + 64:
            remaining = [label for label in self.rows.items if label.at > since]
            self.rows.items, self.rows.times = remaining, [label.time for label in remaining]


class LiveRisk(Live):
    """The columns of `EntityRisk`.

    Args:
        by: Columns of what rows have in common.
        days: Lengths of the windows.
        shrink: The number of labels that the overall share counts for.
    """

    changing = ("_groups", "_held", "_leaving", "_entered", "_undone")
    since_ever = ()

    def __init__(self, by: Sequence[str], days: Sequence[int], shrink: float) -> None:
        self._by = tuple(by)
        self._spans = [each * DAY_MICROSECONDS for each in days]
        self._shrink = shrink
        kinds = {"risk": pl.Float64, "labels": pl.Int64, "confirmed": pl.Int64}
        self.columns = {
            f"{name}_{what}_{each}d": kind
            for name in by
            for each in days
            for what, kind in kinds.items()
        }
        self.reach = max(self._spans)
        self._groups = ByPlace()
        self._held: dict[Group, HeldLabels] = {ALL_ROWS: HeldLabels(len(days))}
        self._leaving: list[list[tuple[int, int, KnownLabel]]] = [[] for _ in days]
        self._entered = 0
        self._undone: dict[tuple[int, KnownLabel], int] = {}

    def arrive(self, event: RowEvent) -> Sequence[Value]:
        """Return shares and counts of the labels that have arrived and not left."""
        self._leave(event.arrival)
        groups = [(k, event.values.get(name)) for k, name in enumerate(self._by)]
        known = (group for group in groups if group[1] is not None)
        self._groups.put(event.place, (ALL_ROWS, *known))
        whole = [
            self._share(*self._counts(ALL_ROWS, window, event), 0.0, 0.0)
            for window in range(len(self._spans))
        ]
        features: list[Value] = []
        for group in groups:
            for window, overall in enumerate(whole):
                count, positive = (
                    self._counts(group, window, event) if group[1] is not None else (0, 0)
                )
                features += (self._share(count, positive, overall, self._shrink), count, positive)
        return features

    def confirm(self, outcome: RowOutcome) -> None:
        """Let a label enter all windows."""
        label = KnownLabel(
            outcome.time, outcome.at, int(outcome.positive), self._groups[outcome.place]
        )
        self._entered += 1
        for group in label.groups:
            if group not in self._held:
                self._held[group] = HeldLabels(len(self._spans))
            self._held[group].enter(label)
        for leaving, span in zip(self._leaving, self._spans, strict=True):
            heappush(leaving, (label.at + span, self._entered, label))

    def retract(self, outcome: RowOutcome, now: int) -> None:
        """Take a label out of the windows that it has not left; its turn to leave is passed
        over.
        """
        label = KnownLabel(
            outcome.time, outcome.at, int(outcome.positive), self._groups[outcome.place]
        )
        holds = [label.at + span > now for span in self._spans]
        for group in label.groups:
            if group in self._held:
                self._held[group].take_away(label, holds)
        for window in np.flatnonzero(holds).tolist():
            self._undone[window, label] = self._undone.get((window, label), 0) + 1

    def forget(self, oldest: int, place: int) -> None:
        """Drop the groups of rows before, and groups without labels."""
        self._groups.drop_before(place)
        for group, held in list(self._held.items()):
            if group != ALL_ROWS and not any(count for count, _ in held.counts):
                del self._held[group]

    def _passed_over(self, window: int, label: KnownLabel) -> bool:
        """Return whether a label that would leave a window was taken out of it before."""
        undone = self._undone.pop((window, label), 0)
        if undone > 1:
            self._undone[window, label] = undone - 1
        return undone > 0

    def _leave(self, now: int) -> None:
        longest = now - max(self._spans)
        for window, leaving in enumerate(self._leaving):
            while leaving and leaving[0][0] <= now:
                label = heappop(leaving)[2]
                if self._undone and self._passed_over(window, label):
                    continue
                for group in label.groups:
                    held = self._held[group]
                    held.counts[window][0] -= 1
                    held.counts[window][1] -= label.positive
                    held.drop_before(longest)

    def _counts(self, group: Group, window: int, event: RowEvent) -> tuple[int, int]:
        held = self._held.get(group)
        return (
            held.in_window(window, event.time, event.arrival - self._spans[window])
            if held
            else (0, 0)
        )

    @staticmethod
    def _share(count: int, positive: int, overall: float, shrink: float) -> float:
        below = count + shrink
        return (positive + shrink * overall) / below if below > 0 else 0.0


# EntityRisk: the confirmed share of earlier rows at the same place.


class EntityRisk(RowFeatures):
    """The share of confirmed rows among those whose labels had arrived, at the same store, channel,
    address and customer.

    A window of days ends with the row's own arrival and holds the labels that arrived in it. If
    every label has the same delay, the share of `by: [terminal]` with `shrink: 0` is the "terminal
    risk" of the Fraud Detection Handbook (Le Borgne, Siblini, Lebichot and Bontempi 2022, chapter
    3), whose window is shifted by that delay. The row's own label never counts. A share counts the
    entity's own labels and `shrink` more, of which the share of all labels in the window is
    positive. Without own labels it is the overall share (0 with `shrink: 0`, as in the handbook).
    Columns are `store_risk_30d`, and `store_labels_30d` and `store_confirmed_30d`, which count the
    labels and the positive ones.

    Attributes:
        by: Columns of what rows have in common; a row without a value has nothing in common with
            others.
        days: The lengths of the windows, in days.
        shrink: The number of labels that the overall share counts for.
    """

    by: Annotated[Names, MinLen(1)] = ("store", "channel", "address", "customer")
    days: Annotated[tuple[Days, ...], MinLen(1), Once] = (30, 90)
    shrink: NonNegative = 10.0

    def check(self, table: Table) -> None:
        """Refuse a table without a label, or without a column that is named."""
        require_known_columns(table, "by", self.by)
        require_role(table, "entity_risk", "time", "label")

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
        overall, moments = np.zeros(len(table.data), np.int64), instants_of(table)
        labels = label_arrivals_of(table, moments)
        whole = {days: _count_labels(moments, labels, overall, days) for days in self.days}
        columns: dict[str, ndarray] = {}
        for name in self.by:
            group = codes_of(table.data[name])
            for days in self.days:
                count, positive = _count_labels(moments, labels, group, days)
                columns[f"{name}_risk_{days}d"] = self._share(
                    positive, count, _divide(whole[days][1], whole[days][0])
                )
                columns[f"{name}_labels_{days}d"] = count
                columns[f"{name}_confirmed_{days}d"] = positive
        return pl.DataFrame(columns)

    def _share(self, positive: ndarray, count: ndarray, overall: ndarray) -> ndarray:
        return _divide(positive + self.shrink * overall, count + self.shrink)


def _divide(above: ndarray, below: ndarray) -> ndarray:
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)


def _count_labels(
    moments: Instants, labels: LabelArrivals, group: ndarray, days: int
) -> tuple[ndarray, ndarray]:
    """Return for each row the labels of its group in the window, and the positive ones of them."""
    groups, counts = int(group.max(initial=-1)) + 1, np.zeros(len(group), np.int64)
    known = _labels_by_group(moments, labels, group, groups, days)
    held, newest = np.zeros(groups, np.int64), np.full(groups, LONG_AGO)
    tree = np.zeros(len(known.group), np.int64)
    compiled(count_known_labels)(
        moments.order, moments.time, group, known, held, newest, tree, counts
    )
    return counts % POSITIVE, counts // POSITIVE


def _labels_by_group(
    moments: Instants, labels: LabelArrivals, group: ndarray, groups: int, days: int
) -> LabelArrays:
    """Return the labels of rows that are of a group."""
    held = group[labels.row] >= 0
    row, enters = labels.row[held], labels.enters[held]
    code, time = group[row], moments.time[row]
    sorted_places = np.lexsort((time, code))
    rank = np.empty_like(sorted_places)
    rank[sorted_places] = np.arange(len(row))
    return LabelArrays(
        group=code,
        value=np.where(labels.value[held] == 1, 1 + POSITIVE, 1),
        rank=rank,
        times=time[sorted_places],
        starts=np.searchsorted(code[sorted_places], np.arange(groups + 1)),
        enters=enters,
        leaves=moments.first_place(labels.time[held] + days * DAY_MICROSECONDS),
        entering=np.argsort(enters, kind="stable"),
    )
