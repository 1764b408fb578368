"""Pending mirrors: those that by the ledgers of all runs and sweeps are not written, or not sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hwds.config.build import build
from hwds.core.errors import HwdsError
from hwds.tracking.ledger import Entry, ledgers
from hwds.tracking.mirroring import current
from hwds.tracking.reading import finished
from hwds.tracking.trackers.base import Tracker


@dataclass(frozen=True)
class Pending:
    """One mirror that is not complete.

    Attributes:
        folder: The folder of a finished run or sweep.
        tracker: The tracker that it is for.
        what: The missing steps: `write`, `send`, or `write and send`.
        count: The number of the tracker's runs; 0 where that is not known yet.
    """

    folder: Path
    tracker: Tracker
    what: str
    count: int = 0

    @property
    def title(self) -> str:
        """`<experiment>/<id>`."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def description(self) -> str:
        """`send forecast/1a2b to wandb (51 runs)`."""
        many = f" ({self.count} runs)" if self.count > 1 else ""
        return f"{self.what} {self.title} to {self.tracker.name}{many}"


def all_pending() -> tuple[list[Pending], list[str]]:
    """Return the pending mirrors of all finished runs and sweeps, and a line for each unreadable ledger."""
    pending, unknown = list[Pending](), list[str]()
    for ledger in ledgers():
        try:
            if finished(ledger.folder):
                pending += [each for name, entry in ledger.read().items() for each in _pending(ledger.folder, name, entry)]
        except HwdsError as error:
            unknown.append(f"{ledger.folder.parent.name}/{ledger.folder.name}: {error}")
    return pending, unknown


def _pending(folder: Path, name: str, entry: Entry) -> Iterator[Pending]:
    tracker = build("tracker", "tracker", entry.tracker | {"name": name})
    assert isinstance(tracker, Tracker)
    if not current(tracker, folder, entry):
        yield Pending(folder, tracker, "write and send" if tracker.service else "write")
    elif entry.state == "written" and (unsent := tracker.unsent(entry.places)):
        yield Pending(folder, tracker, "send", len(unsent))
