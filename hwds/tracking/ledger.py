"""Ledger: what of a run or a sweep is mirrored where, in its own folder, so that nothing is forgotten or sent twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from hwds.errors import HwdsError
from hwds.results.atomic import write_text
from hwds.results.files import undamaged
from hwds.results.folder import OUTPUTS

FILE = "tracking.json"

State = Literal["asked", "written", "sent"]


@dataclass(frozen=True)
class Entry:
    """One mirror of a folder.

    Attributes:
        state: `asked` for but not whole, `written`, or `sent` to a service.
        tracker: The recipe of the tracker as plain data.
        content: The digest of what was mirrored.
        places: Where it lies.
    """

    state: State
    tracker: dict[str, Any]
    content: str = ""
    places: Sequence[str] = ()


@dataclass(frozen=True)
class Ledger:
    """The mirrors of one run or sweep, by the tracker's name."""

    folder: Path

    def read(self) -> dict[str, Entry]:
        """All entries; none where nothing was asked for yet.

        Raises:
            HwdsError: The file is damaged.
        """
        path = self.folder / FILE
        if not path.is_file():
            return {}
        with undamaged(path):
            return {name: Entry(**told) for name, told in json.loads(path.read_text(encoding="utf-8")).items()}

    def write(self, name: str, entry: Entry) -> None:
        """Set one entry."""
        told = {key: asdict(value) for key, value in (self.read() | {name: entry}).items()}
        write_text(self.folder / FILE, json.dumps(told, indent=1))

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Hold one mirror against a second process; the system frees the lock of one that dies.

        Raises:
            HwdsError: Another process holds it.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / f".{name}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise HwdsError("another process is writing it.") from error
        except OSError as error:
            raise HwdsError(f"{self.folder}: cannot be written: {error.strerror or error}.") from error
        try:
            yield
        finally:
            lock.release()


def ledgers() -> list[Ledger]:
    """Those of all runs and sweeps below the current folder, the oldest first."""
    found = [path for kind in ("runs", "sweeps") for path in (OUTPUTS / kind).glob(f"*/*/{FILE}")]
    return [Ledger(path.parent.resolve()) for path in sorted(found, key=lambda path: path.stat().st_mtime_ns)]
