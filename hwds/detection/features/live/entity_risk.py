"""EntityRisk as events and labels arrive."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any, NamedTuple

import polars as pl

from hwds.core.serialization import Serializable
from hwds.features.rows.columns import DAY, LONG_AGO
from hwds.features.rows.live import Event, Live, Outcome, Past, Value

WHOLE = (-1, None)
"""The group of all rows."""

Group = tuple[int, Any]


@Serializable.register
class Label(NamedTuple):
    """A label that is known: of a row that happened at `time`, since `at`; the groups it counts in."""

    time: int
    at: int
    positive: int
    groups: tuple[Group, ...]


class Held(Serializable):
    """The labels of a group: how many each window holds, all and positive ones.

    Attributes:
        counts: By window, labels and positive ones.
        newest: A time that no row of a label is later than.
        rows: Labels by the time of their rows; those that have left the longest window are dropped now and then.
    """

    __slots__ = ("counts", "newest", "rows")

    def __init__(self, windows: int) -> None:
        self.counts = [[0, 0] for _ in range(windows)]
        self.newest = LONG_AGO
        self.rows = Past()

    def enter(self, label: Label) -> None:
        """Count a label in all windows."""
        for count in self.counts:
            count[0] += 1
            count[1] += label.positive
        self.newest = max(self.newest, label.time)
        self.rows.put(label.time, label)

    def in_window(self, window: int, time: int, since: int) -> tuple[int, int]:
        """Return labels and positive ones of a window that began after `since`, of rows that happened by a time."""
        count, positive = self.counts[window]
        if self.newest > time:
            for label in self.rows.items[self.rows.upto(time) :]:
                if label.at > since:
                    count -= 1
                    positive -= label.positive
        return count, positive

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

    changing = ("_groups", "_held", "_leaving", "_entered")

    def __init__(self, by: Sequence[str], days: Sequence[int], shrink: float) -> None:
        self._by, self._spans, self._shrink = tuple(by), [each * DAY for each in days], shrink
        kinds = {"risk": pl.Float64, "labels": pl.Int64, "confirmed": pl.Int64}
        self.columns = {f"{name}_{what}_{each}d": kind for name in by for each in days for what, kind in kinds.items()}
        self._groups: list[tuple[Group, ...]] = []
        self._held: dict[Group, Held] = {WHOLE: Held(len(days))}
        self._leaving: list[list[tuple[int, int, Label]]] = [[] for _ in days]
        self._entered = 0

    def arrive(self, event: Event) -> Sequence[Value]:
        """Return shares and counts of the labels that have arrived and not left."""
        self._leave(event.arrival)
        groups = [(k, event.values.get(name)) for k, name in enumerate(self._by)]
        self._groups.append((WHOLE, *(group for group in groups if group[1] is not None)))
        whole = [self._share(*self._counts(WHOLE, window, event), 0.0, 0.0) for window in range(len(self._spans))]
        features: list[Value] = []
        for group in groups:
            for window, overall in enumerate(whole):
                count, positive = self._counts(group, window, event) if group[1] is not None else (0, 0)
                features += (self._share(count, positive, overall, self._shrink), count, positive)
        return features

    def confirm(self, outcome: Outcome) -> None:
        """Let a label enter all windows."""
        label = Label(outcome.time, outcome.at, int(outcome.positive), self._groups[outcome.place])
        self._entered += 1
        for group in label.groups:
            if group not in self._held:
                self._held[group] = Held(len(self._spans))
            self._held[group].enter(label)
        for leaving, span in zip(self._leaving, self._spans, strict=True):
            heappush(leaving, (label.at + span, self._entered, label))

    def _leave(self, now: int) -> None:
        longest = now - max(self._spans)
        for window, leaving in enumerate(self._leaving):
            while leaving and leaving[0][0] <= now:
                label = heappop(leaving)[2]
                for group in label.groups:
                    held = self._held[group]
                    held.counts[window][0] -= 1
                    held.counts[window][1] -= label.positive
                    held.drop_before(longest)

    def _counts(self, group: Group, window: int, event: Event) -> tuple[int, int]:
        held = self._held.get(group)
        return held.in_window(window, event.time, event.arrival - self._spans[window]) if held else (0, 0)

    @staticmethod
    def _share(count: int, positive: int, overall: float, shrink: float) -> float:
        below = count + shrink
        return (positive + shrink * overall) / below if below > 0 else 0.0
