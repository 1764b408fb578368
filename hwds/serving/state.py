"""State: the features of events as they arrive, and the labels that wait for their moment."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

from hwds.features.live import Event, Live, Outcome, Value
from hwds.features.row_columns import LONG_AGO


class State:
    """All that features know of what has arrived.

    Events count in the order in which they are handed over; a label or a return from the moment it holds from, for events that
    arrive at or after it.

    Attributes:
        arrival: When the last event arrived, in microseconds.
        events: How many have.
    """

    changing = ("_live", "_times", "_labels", "arrival")

    def __init__(self, live: Live) -> None:
        self._live, self._names = live, tuple(live.columns)
        self._times: list[int] = []
        self._labels: list[tuple[int, int, bool]] = []
        self.arrival = LONG_AGO

    @property
    def events(self) -> int:
        """How many events have arrived."""
        return len(self._times)

    def arrive(self, time: int, arrival: int, values: dict[str, Any]) -> Sequence[Value]:
        """The features of an event; they are put among its values too."""
        while self._labels and self._labels[0][0] <= arrival:
            at, place, positive = heappop(self._labels)
            self._live.confirm(Outcome(place, self._times[place], at, positive))
        event = Event(self.events, time, arrival, values)
        told = self._live.arrive(event)
        values.update(zip(self._names, told, strict=True))
        self._times.append(time)
        self.arrival = arrival
        return told

    def label(self, place: int, positive: bool, at: int) -> None:
        """The label of an event that has arrived holds from a moment on."""
        heappush(self._labels, (at, place, positive))

    def returned(self, place: int, at: int) -> None:
        """An event that has arrived counts as returned from a moment on, which is later than all arrivals."""
        self._live.returned(place, at)
