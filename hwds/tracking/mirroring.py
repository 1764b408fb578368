"""Mirroring: one folder to one tracker, from the ledger's `asked` to `written` and `sent`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hwds.core.errors import HwdsError
from hwds.core.recipe import canonical
from hwds.tracking.ledger import Entry, Ledger
from hwds.tracking.reading import content_of, finished, records_of
from hwds.tracking.trackers.base import Following, Tracker

SENDING = "sending"
"""The step that talks to a server."""


def settled(tracker: Tracker, folder: Path) -> bool:
    """Return whether the folder as it is now is mirrored and sent; False where the ledger is damaged."""
    try:
        entry = Ledger(folder).read().get(tracker.name)
    except HwdsError:  # the next write reports it
        return False
    if entry is None or not finished(folder) or not current(tracker, folder, entry):
        return False
    return entry.state == "sent" or not (tracker.sends() and tracker.unsent(entry.places))


def current(tracker: Tracker, folder: Path, entry: Entry) -> bool:
    """Return whether an entry's mirror is complete and of the folder as it is now."""
    if entry.state == "asked" or entry.tracker != canonical(tracker) or entry.content != content_of(folder):
        return False
    return entry.state == "sent" or tracker.there(entry.places)


def request(tracker: Tracker, folder: Path) -> None:
    """Record that a mirror is wanted, so that `hwds sync` completes it whatever happens; an existing entry is kept."""
    ledger = Ledger(folder)
    if tracker.name not in ledger.read():
        ledger.write(tracker.name, Entry("asked", canonical(tracker)))


def mirror(
    tracker: Tracker,
    folder: Path,
    *,
    send: bool,
    step: Callable[[str], None] = lambda _: None,
    following: Following | None = None,
) -> str:
    """Write and send whatever is missing; return the location of the mirror, in a line.

    Args:
        tracker: The tracker.
        folder: The folder of a finished run or sweep.
        send: Whether to send the mirror, too.
        step: Called with the name of the next step.
        following: The mirror that has shown the run so far, and completes it; None where there is none.

    Raises:
        HwdsError: The run is not finished, or another process mirrors it.
        TrackingError: The store or the service does not accept it.
    """
    ledger = Ledger(folder)
    with ledger.held(tracker.name):
        entry = ledger.read().get(tracker.name)
        if entry is None or not current(tracker, folder, entry):
            entry = Entry("asked", canonical(tracker), content_of(folder))
            ledger.write(tracker.name, entry)
            step(SENDING if tracker.remote() else "writing")
            records = records_of(folder, tracker.group, every=tracker.metrics == "all")
            places = tracker.write(records) if following is None else following.finish(records)
            entry = replace(entry, state="written", places=places)
            ledger.write(tracker.name, entry)
        unsent = tracker.unsent(entry.places) if entry.state == "written" else []
        if send and unsent:
            step(SENDING)
            tracker.send(unsent)
            ledger.write(tracker.name, replace(entry, state="sent"))
        return tracker.location(entry.places)
