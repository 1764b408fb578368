"""State: the features of events as they arrive, and the labels that wait for their moment."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

from hwds.core.serialization import Unserializable
from hwds.features.rows.columns import LONG_AGO
from hwds.features.rows.live import Event, Live, Outcome, Value


class State:
    """The state of features after the events that have arrived.

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
        """The number of events that have arrived."""
        return len(self._times)

    def arrive(self, time: int, arrival: int, values: dict[str, Any]) -> Sequence[Value]:
        """Return the features of an event; they are put among its values too."""
        while self._labels and self._labels[0][0] <= arrival:
            at, place, positive = heappop(self._labels)
            self._live.confirm(Outcome(place, self._times[place], at, positive))
        event = Event(self.events, time, arrival, values)
        features = self._live.arrive(event)
        values.update(zip(self._names, features, strict=True))
        self._times.append(time)
        self.arrival = arrival
        return features

    def label(self, place: int, positive: bool, at: int) -> None:
        """Let the label of an event that has arrived hold from a moment on."""
        heappush(self._labels, (at, place, positive))

    def returned(self, place: int, at: int) -> None:
        """Let an event that has arrived count as returned from a moment on, which is later than all arrivals."""
        self._live.returned(place, at)


def changes_of(live: Any) -> dict[str, Any]:
    """Return the changing state of an object: its attributes that change, those of its parts in dicts of their own.

    Raises:
        Unserializable: It does not say what changes.
    """
    if live.changing is None:
        raise Unserializable(f"'{type(live).__name__}' does not say what changes.")
    return {name: _changes(getattr(live, name)) for name in live.changing}


def _changes(value: Any) -> Any:
    if hasattr(value, "changing"):
        return changes_of(value)
    if _parts(value):
        return [changes_of(part) for part in value]
    return dict(value) if isinstance(value, dict) else value  # a dict may know what to do about what is missing


def fill(live: Any, changes: dict[str, Any]) -> None:
    """Set the state of a new object to what `changes_of` returned for another one."""
    for name in live.changing:
        current, value = getattr(live, name), changes[name]
        if hasattr(current, "changing"):
            fill(current, value)
        elif _parts(current):
            for part, each in zip(current, value, strict=True):
                fill(part, each)
        elif isinstance(current, dict):
            current.update(value)
        else:
            setattr(live, name, value)


def _parts(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and hasattr(value[0], "changing")
