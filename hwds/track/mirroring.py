"""Mirrors of runs and sweeps: what a folder notes of them, what is pending, and the processes that
mirror beside a run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from select import select
from typing import Any, Literal, TypeGuard

from hwds.core.checksums import read_json, write_json
from hwds.core.config import build
from hwds.core.errors import HwdsError
from hwds.core.files import OUTPUTS, lock_file
from hwds.core.moved import current_paths
from hwds.core.recipe import canonical
from hwds.core.secrets import without_secrets
from hwds.results.files import refuse_damage
from hwds.track.records import content_digest, folder_records, is_finished
from hwds.track.trackers.base import Following, Tracker, tracking_errors

# A folder notes which mirrors of it are wanted, and how far they are: no tracker can be asked
# which runs it was to have, and one that is down is not asked whether it has them already.

LEDGER_FILE = "tracking.json"


@dataclass(frozen=True)
class MirrorEntry:
    """One mirror of a folder.

    Attributes:
        state: `asked` (requested but not complete), `written`, or `sent` to a service.
        tracker: The recipe of the tracker as plain data.
        content: The digest of the mirrored files; empty before they are being written.
        places: The locations of the mirror.
    """

    state: Literal["asked", "written", "sent"]
    tracker: dict[str, Any]
    content: str = ""
    places: Sequence[str] = ()

    def recipe(self, name: str) -> Tracker:
        """Return the tracker of this name."""
        tracker = build("tracker", "tracker", self.tracker | {"name": name})
        assert isinstance(tracker, Tracker)
        return tracker


@dataclass(frozen=True)
class Ledger:
    """The mirrors of one run or sweep, by the tracker's name."""

    folder: Path

    def read(self) -> dict[str, MirrorEntry]:
        """Return all entries; none where no mirror was requested yet.

        Raises:
            HwdsError: The file is damaged.
        """
        path = self.folder / LEDGER_FILE
        if not path.is_file():
            return {}
        with refuse_damage(path):
            entries = read_json(path).items()
            return {name: MirrorEntry(**current_paths(data)) for name, data in entries}

    def write(self, name: str, entry: MirrorEntry) -> MirrorEntry:
        """Set one entry, and return it."""
        entries = self.read() | {name: entry}
        content = {key: asdict(value) for key, value in entries.items()}
        write_json(self.folder / LEDGER_FILE, content)
        return entry


def is_mirrored(tracker: Tracker, folder: Path) -> bool:
    """Return whether the folder as it is now is mirrored and sent.

    False where the ledger is damaged.
    """
    try:
        entry = Ledger(folder).read().get(tracker.name)
    except HwdsError:  # the next write reports it
        return False
    if not is_finished(folder) or not is_current(entry, tracker, folder):
        return False
    return entry.state == "sent" or not (tracker.sends() and tracker.unsent(entry.places))


def is_current(entry: MirrorEntry | None, tracker: Tracker, folder: Path) -> TypeGuard[MirrorEntry]:
    """Return whether an entry's mirror is complete and of the folder as it is now."""
    if entry is None or entry.state == "asked" or entry.tracker != canonical(tracker):
        return False
    if entry.content != content_digest(folder):
        return False
    return entry.state == "sent" or tracker.exist(entry.places)


def mirror(
    tracker: Tracker,
    folder: Path,
    *,
    send: bool | None = None,
    following: Following | None = None,
) -> str:
    """Write and send whatever is missing; return the location of the mirror, in a line.

    Args:
        tracker: The tracker.
        folder: The folder of a finished run or sweep.
        send: Whether to send the mirror, too; None where its tracker says.
        following: The mirror that has shown the run so far, and completes it; None where there is
            none.

    Raises:
        HwdsError: The run is not finished, or another process mirrors it.
        TrackingError: The store or the service does not accept it.
    """
    ledger, name = Ledger(folder), tracker.name
    with tracking_errors(), lock_file(folder / f".{name}.lock") as free:
        if not free:
            raise HwdsError("another process is writing it.")
        entry = ledger.read().get(name)
        if not is_current(entry, tracker, folder):
            digest = content_digest(folder)
            entry = ledger.write(name, MirrorEntry("asked", canonical(tracker), digest))
            tracker.begin()
            records = folder_records(folder, tracker.group, every=tracker.metrics == "all")
            places = (following.finish if following else tracker.write)(records)
            entry = ledger.write(name, replace(entry, state="written", places=places))
        unsent = tracker.unsent(entry.places) if entry.state == "written" else []
        if unsent and (tracker.sends() if send is None else send):
            tracker.begin()
            tracker.send(unsent)
            ledger.write(name, replace(entry, state="sent"))
        return tracker.location(entry.places)


@dataclass(frozen=True)
class PendingMirror:
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


def all_pending() -> tuple[list[PendingMirror], list[str]]:
    """Return the pending mirrors of all finished runs and sweeps below the current folder, the
    oldest first, and a line for each unreadable ledger.
    """
    pending, unknown = list[PendingMirror](), list[str]()
    files = [*OUTPUTS.glob(f"runs/*/*/{LEDGER_FILE}"), *OUTPUTS.glob(f"sweeps/*/*/{LEDGER_FILE}")]
    for path in sorted(files, key=lambda path: path.stat().st_mtime_ns):
        folder = path.parent.resolve()
        try:
            if is_finished(folder):
                pending += _pending(folder)
        except HwdsError as error:
            unknown.append(f"{folder.parent.name}/{folder.name}: {error}")
    return pending, unknown


def _pending(folder: Path) -> Iterator[PendingMirror]:
    for name, entry in Ledger(folder).read().items():
        tracker = entry.recipe(name)
        if not is_current(entry, tracker, folder):
            yield PendingMirror(folder, tracker, "write and send" if tracker.service else "write")
        elif entry.state == "written" and (unsent := tracker.unsent(entry.places)):
            yield PendingMirror(folder, tracker, "send", len(unsent))


# A tracker of a run works in a process of its own: its library loads while the run computes, and
# what blocks or breaks it costs the run no more than these seconds. `hwds sync` completes the
# mirror later.

LOCAL_SECONDS, LOCAL_SHARE = 20.0, 0.1
"""How long a run waits at its end for a mirror that is being written on this machine: so many
seconds, or that share of the time that the run took.
"""

SERVER_SECONDS = 1.5
"""Seconds that a run waits for a server."""

MARKING_SECONDS = 0.5
"""Seconds in which a process may mark a run that has failed."""

Say = Callable[[str], None]


@contextmanager
def mirroring_processes(tracker: Tracker, folder: Path, say: Say, warn: Say) -> Iterator[None]:
    """Mirror the files that the block writes into the folder; a failure to mirror is a warning.

    Args:
        tracker: The recipe; `none` mirrors nothing.
        folder: The folder of the run or sweep.
        say: Called with the location of the mirror.
        warn: Called with the failure.
    """
    parts, begun = tracker.parts(), time.monotonic()
    started = [_start(part, folder, warn) for part in parts]
    try:
        yield
    except BaseException:
        for process in filter(None, started):
            process.give_up()
        raise
    ended = time.monotonic()
    patience = max(LOCAL_SECONDS, LOCAL_SHARE * (ended - begun))
    pairs = zip(parts, started, strict=True)
    running = [process or _start(part, folder, warn) for part, process in pairs]
    for process in filter(None, running):
        process.order(b"1")
    for process in filter(None, running):
        whole, message = process.outcome(ended + patience)
        (say if whole else warn)(message if whole else _warning(process.tracker, message))


def _start(tracker: Tracker, folder: Path, warn: Say) -> MirrorProcess | None:
    """Return the tracker's process.

    None where the mirror is complete already, or the process cannot be started.
    """
    if is_mirrored(tracker, folder):
        return None
    try:
        return MirrorProcess(tracker, folder)
    except (OSError, HwdsError) as error:
        warn(_warning(tracker, str(error)))
        return None


def _warning(tracker: Tracker, reason: str) -> str:
    text = without_secrets(reason).rstrip(".")
    return (
        f"tracker {tracker.name}: {text}. The run is whole; `hwds sync` makes good what is "
        f"missing there."
    )


class MirrorProcess:
    """One tracker's process, which is started; the folder notes that the mirror is wanted, so that
    `hwds sync` completes it whatever happens.

    Args:
        tracker: The tracker.
        folder: The folder of the run or sweep.
    """

    def __init__(self, tracker: Tracker, folder: Path) -> None:
        self.tracker, self.ledger = tracker, Ledger(folder)
        if not is_current(self._entry(), tracker, folder):
            self.ledger.write(tracker.name, MirrorEntry("asked", canonical(tracker)))
        self.log = folder / f"tracking_{tracker.name}.log"
        words = [sys.executable, "-m", "hwds.track.child", str(folder), tracker.name]
        with self.log.open("w", encoding="utf-8") as errors:
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(
                words, stdin=pipe, stdout=pipe, stderr=errors, bufsize=0, start_new_session=True
            )

    def _entry(self) -> MirrorEntry | None:
        return self.ledger.read().get(self.tracker.name)

    def order(self, results: bytes) -> None:
        """Say that the run has ended: a byte where it has results, none where it has not."""
        assert self.process.stdin is not None
        with suppress(OSError):  # one that has died reads none
            self.process.stdin.write(results)
            self.process.stdin.close()

    def outcome(self, deadline: float) -> tuple[bool, str]:
        """Return whether the mirror is complete, and a message for the user.

        Args:
            deadline: The time until which it waits for a mirror on this machine; a server has less.
        """
        stream, sending = self.process.stdout, False
        assert stream is not None
        while not select([stream], [], [], 0.05)[0]:
            if not sending and self._is_sending():
                sending, deadline = True, min(deadline, time.monotonic() + SERVER_SECONDS)
            if time.monotonic() > deadline:
                what = "the server" if sending else "the mirror"
                return False, f"{what} takes too long; it goes on behind the run"
        answer = stream.readline()
        died = (False, f"its process ended; {self.log.name} says more")
        whole, message = json.loads(answer) if answer else died
        self._tidy(whole)
        return bool(whole), str(message)

    def _is_sending(self) -> bool:
        """Return whether it talks to a server, as far as its entry says."""
        entry = self._entry()
        assert entry is not None
        return entry.state != "asked" or (self.tracker.remote() and bool(entry.content))

    def give_up(self) -> None:
        """End the process; it has a moment to say in the tracker that the run has no results."""
        self.order(b"")
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(MARKING_SECONDS)
        self.process.kill()
        self.process.wait()
        self._tidy(whole=True)

    def _tidy(self, whole: bool) -> None:
        """Delete the log after success or without output; otherwise remove every secret from it."""
        with suppress(subprocess.TimeoutExpired):  # a library that does not end is ignored
            self.process.wait(0.25)
        printed = self.log.read_text(encoding="utf-8", errors="replace")
        if whole or not printed:
            self.log.unlink(missing_ok=True)
        else:
            self.log.write_text(without_secrets(printed), encoding="utf-8")
