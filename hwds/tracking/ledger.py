"""Ledger: the mirrors of a run or a sweep, recorded in its folder, so that nothing is forgotten or sent twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from hwds.core.checksums.files import read_json, write_json
from hwds.core.errors import HwdsError
from hwds.core.locks import locked
from hwds.core.moved import current_paths
from hwds.core.outputs import OUTPUTS
from hwds.results.files import undamaged

FILE = "tracking.json"

State = Literal["asked", "written", "sent"]


@dataclass(frozen=True)
class Entry:
    """One mirror of a folder.

    Attributes:
        state: `asked` (requested but not complete), `written`, or `sent` to a service.
        tracker: The recipe of the tracker as plain data.
        content: The digest of the mirrored files.
        places: The locations of the mirror.
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
        """Return all entries; none where no mirror was requested yet.

        Raises:
            HwdsError: The file is damaged.
        """
        path = self.folder / FILE
        if not path.is_file():
            return {}
        with undamaged(path):
            return {name: Entry(**current_paths(data)) for name, data in read_json(path).items()}

    def write(self, name: str, entry: Entry) -> None:
        """Set one entry."""
        entries = {key: asdict(value) for key, value in (self.read() | {name: entry}).items()}
        write_json(self.folder / FILE, entries)

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Lock one mirror against a second process; the system releases the lock of a process that dies.

        Raises:
            HwdsError: Another process has locked it.
        """
        with ExitStack() as stack:
            try:
                free = stack.enter_context(locked(self.folder / f".{name}.lock"))
            except OSError as error:
                raise HwdsError(f"{self.folder}: cannot be written: {error.strerror or error}.") from error
            if not free:
                raise HwdsError("another process is writing it.")
            yield


def ledgers() -> list[Ledger]:
    """Return the ledgers of all runs and sweeps below the current folder, the oldest first."""
    files = [path for kind in ("runs", "sweeps") for path in (OUTPUTS / kind).glob(f"*/*/{FILE}")]
    return [Ledger(path.parent.resolve()) for path in sorted(files, key=lambda path: path.stat().st_mtime_ns)]
