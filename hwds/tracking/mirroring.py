"""Mirroring: one tracker told of one folder, from the ledger's `asked` to `written` and `sent`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hwds.errors import HwdsError
from hwds.recipe import canonical
from hwds.tracking.base import Tracker
from hwds.tracking.ledger import Entry, Ledger
from hwds.tracking.reading import content_of, finished, records_of

SENDING = "sending"
"""The step in which a server is talked to."""


def settled(tracker: Tracker, folder: Path) -> bool:
    """Whether the tracker has all of the folder as it is now, and has sent it; not where the ledger is damaged."""
    try:
        entry = Ledger(folder).read().get(tracker.name)
    except HwdsError:  # whoever writes to it says so
        return False
    if entry is None or not finished(folder) or not current(tracker, folder, entry):
        return False
    return entry.state == "sent" or not (tracker.sends() and tracker.unsent(entry.places))


def current(tracker: Tracker, folder: Path, entry: Entry) -> bool:
    """Whether an entry's mirror is whole and of the folder as it is now."""
    if entry.state == "asked" or entry.tracker != canonical(tracker) or entry.content != content_of(folder):
        return False
    return entry.state == "sent" or tracker.there(entry.places)


def ask(tracker: Tracker, folder: Path) -> None:
    """Note that a mirror is wanted, so that `hwds sync` makes it good whatever happens; one that is there stays noted."""
    ledger = Ledger(folder)
    if tracker.name not in ledger.read():
        ledger.write(tracker.name, Entry("asked", canonical(tracker)))


def mirror(tracker: Tracker, folder: Path, *, send: bool, step: Callable[[str], None] = lambda _: None) -> str:
    """Write what is not written, send what is not sent; where it all is, in a line.

    Args:
        tracker: One of them.
        folder: Of a finished run or sweep.
        send: Whether to send it, too.
        step: Told what comes next.

    Raises:
        HwdsError: The run is not finished, or another process is at it.
        TrackingError: The store or the service does not take it.
    """
    ledger = Ledger(folder)
    with ledger.held(tracker.name):
        entry = ledger.read().get(tracker.name)
        if entry is None or not current(tracker, folder, entry):
            entry = Entry("asked", canonical(tracker), content_of(folder))
            ledger.write(tracker.name, entry)
            step(SENDING if tracker.remote() else "writing")
            entry = replace(entry, state="written", places=tracker.write(records_of(folder, tracker.group)))
            ledger.write(tracker.name, entry)
        unsent = tracker.unsent(entry.places) if entry.state == "written" else []
        if send and unsent:
            step(SENDING)
            tracker.send(unsent)
            ledger.write(tracker.name, replace(entry, state="sent"))
        return tracker.said(entry.places)
