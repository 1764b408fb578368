"""Due: what the ledgers of all runs and sweeps say is not written, or not sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hwds.config.check import build
from hwds.errors import HwdsError
from hwds.tracking.base import Tracker
from hwds.tracking.ledger import Entry, ledgers
from hwds.tracking.mirroring import current
from hwds.tracking.reading import finished


@dataclass(frozen=True)
class Due:
    """One mirror that is not as it should be.

    Attributes:
        folder: Of a finished run or sweep.
        tracker: Where it is to go.
        what: `write` or `send`.
        count: How many runs of the tracker; 0 where that is not known before.
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
    def said(self) -> str:
        """`send forecast/1a2b to wandb (51 runs)`."""
        many = f" ({self.count} runs)" if self.count > 1 else ""
        return f"{self.what} {self.title} to {self.tracker.name}{many}"


def all_due() -> tuple[list[Due], list[str]]:
    """Of all runs and sweeps below the current folder what is due, and of which it cannot be told, with the reason.

    One that is not finished is not due.
    """
    found, unknown = list[Due](), list[str]()
    for ledger in ledgers():
        try:
            if finished(ledger.folder):
                found += [due for name, entry in ledger.read().items() for due in _due(ledger.folder, name, entry)]
        except HwdsError as error:
            unknown.append(f"{ledger.folder.parent.name}/{ledger.folder.name}: {error}")
    return found, unknown


def _due(folder: Path, name: str, entry: Entry) -> Iterator[Due]:
    tracker = build("tracker", "tracker", entry.tracker | {"name": name})
    assert isinstance(tracker, Tracker)
    if not current(tracker, folder, entry):
        yield Due(folder, tracker, "write and send" if tracker.service else "write")
    elif entry.state == "written" and (unsent := tracker.unsent(entry.places)):
        yield Due(folder, tracker, "send", len(unsent))
