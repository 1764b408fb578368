"""Corrections: labels that were reported anew or withdrawn; the earlier labels stay in the log."""

from __future__ import annotations

from hwds.eventlog.entry import Entry
from hwds.eventlog.log import EventLog

CORRECTION = "correction"
"""The kind of an entry that takes the place of an event's label; its id is `2:A-17` for the second one of event A-17."""

WITHDRAWN = ""
"""The content of one after which an event has no label."""


class Corrections:
    """The labels of a log's events, of which the last one counts.

    Args:
        log: The events and their labels.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log

    @property
    def count(self) -> int:
        """The number of them."""
        return self._log.count(CORRECTION)

    def last(self, id: str) -> Entry | None:
        """Return the last label of an event, or the correction in its place; None where it never had one."""
        made = self._made(id)
        return self._log.find(CORRECTION, f"{made}:{id}") if made else self._log.find("label", id)

    def entry(self, id: str, place: int, at: int, body: str) -> Entry:
        """Return the next correction of an event's label, which is not in the log yet."""
        return Entry(CORRECTION, f"{self._made(id) + 1}:{id}", place, at, body)

    def counts(self, entry: Entry) -> bool:
        """Return whether a label or a correction is the last of its event and says something."""
        assert entry.id is not None
        if entry.kind == CORRECTION:
            number, _, id = entry.id.partition(":")
            last = self._log.find(CORRECTION, f"{int(number) + 1}:{id}") is None
            return last and entry.body != WITHDRAWN
        return self._log.find(CORRECTION, f"1:{entry.id}") is None

    def _made(self, id: str) -> int:
        """Return how many corrections of an event's label there are."""
        number = 0
        while self._log.find(CORRECTION, f"{number + 1}:{id}") is not None:
            number += 1
        return number
