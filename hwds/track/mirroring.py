"""Mirrors of runs and sweeps: the ledger of them, what is pending, and the processes that
mirror.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Literal

from hwds.core.checksums import read_json, write_json
from hwds.core.config import build
from hwds.core.errors import HwdsError
from hwds.core.files import OUTPUTS, lock_file
from hwds.core.moved import current_paths
from hwds.core.recipe import canonical
from hwds.core.secrets import without_secrets
from hwds.results.files import undamaged
from hwds.results.index import RunProgress
from hwds.track.records import Curve, begun_record, content_digest, folder_records, is_finished
from hwds.track.trackers.base import Following, Tracker

# Ledger: the mirrors of a run or a sweep, recorded in its folder, so that nothing is forgotten
# or sent twice.

LEDGER_FILE = "tracking.json"

MirrorState = Literal["asked", "written", "sent"]


@dataclass(frozen=True)
class MirrorEntry:
    """One mirror of a folder.

    Attributes:
        state: `asked` (requested but not complete), `written`, or `sent` to a service.
        tracker: The recipe of the tracker as plain data.
        content: The digest of the mirrored files.
        places: The locations of the mirror.
    """

    state: MirrorState
    tracker: dict[str, Any]
    content: str = ""
    places: Sequence[str] = ()


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
        with undamaged(path):
            return {
                name: MirrorEntry(**current_paths(data)) for name, data in read_json(path).items()
            }

    def write(self, name: str, entry: MirrorEntry) -> None:
        """Set one entry."""
        entries = {key: asdict(value) for key, value in (self.read() | {name: entry}).items()}
        write_json(self.folder / LEDGER_FILE, entries)

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Lock one mirror against a second process.

        The system releases the lock of a process that dies.

        Raises:
            HwdsError: Another process has locked it.
        """
        with ExitStack() as stack:
            try:
                free = stack.enter_context(lock_file(self.folder / f".{name}.lock"))
            except OSError as error:
                raise HwdsError(
                    f"{self.folder}: cannot be written: {error.strerror or error}."
                ) from error
            if not free:
                raise HwdsError("another process is writing it.")
            yield


def ledgers() -> list[Ledger]:
    """Return the ledgers of all runs and sweeps below the current folder, the oldest first."""
    files = [
        path for kind in ("runs", "sweeps") for path in (OUTPUTS / kind).glob(f"*/*/{LEDGER_FILE}")
    ]
    return [
        Ledger(path.parent.resolve())
        for path in sorted(files, key=lambda path: path.stat().st_mtime_ns)
    ]


# Mirroring: one folder to one tracker, from the ledger's `asked` to `written` and `sent`.

SENDING_STEP = "sending"
"""The step that talks to a server."""


def is_mirrored(tracker: Tracker, folder: Path) -> bool:
    """Return whether the folder as it is now is mirrored and sent.

    False where the ledger is damaged.
    """
    try:
        entry = Ledger(folder).read().get(tracker.name)
    except HwdsError:  # the next write reports it
        return False
    if entry is None or not is_finished(folder) or not is_current(tracker, folder, entry):
        return False
    return entry.state == "sent" or not (tracker.sends() and tracker.unsent(entry.places))


def is_current(tracker: Tracker, folder: Path, entry: MirrorEntry) -> bool:
    """Return whether an entry's mirror is complete and of the folder as it is now."""
    if (
        entry.state == "asked"
        or entry.tracker != canonical(tracker)
        or entry.content != content_digest(folder)
    ):
        return False
    return entry.state == "sent" or tracker.there(entry.places)


def request_mirror(tracker: Tracker, folder: Path) -> None:
    """Record that a mirror is wanted, so that `hwds sync` completes it whatever happens.

    An existing entry is kept.
    """
    ledger = Ledger(folder)
    if tracker.name not in ledger.read():
        ledger.write(tracker.name, MirrorEntry("asked", canonical(tracker)))


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
        following: The mirror that has shown the run so far, and completes it; None where there is
            none.

    Raises:
        HwdsError: The run is not finished, or another process mirrors it.
        TrackingError: The store or the service does not accept it.
    """
    ledger = Ledger(folder)
    with ledger.held(tracker.name):
        entry = ledger.read().get(tracker.name)
        if entry is None or not is_current(tracker, folder, entry):
            entry = MirrorEntry("asked", canonical(tracker), content_digest(folder))
            ledger.write(tracker.name, entry)
            step(SENDING_STEP if tracker.remote() else "writing")
            records = folder_records(folder, tracker.group, every=tracker.metrics == "all")
            places = tracker.write(records) if following is None else following.finish(records)
            entry = replace(entry, state="written", places=places)
            ledger.write(tracker.name, entry)
        unsent = tracker.unsent(entry.places) if entry.state == "written" else []
        if send and unsent:
            step(SENDING_STEP)
            tracker.send(unsent)
            ledger.write(tracker.name, replace(entry, state="sent"))
        return tracker.location(entry.places)


# Pending mirrors: those that by the ledgers of all runs and sweeps are not written, or not
# sent.


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
    """Return the pending mirrors of all finished runs and sweeps, and a line for each unreadable
    ledger.
    """
    pending, unknown = list[PendingMirror](), list[str]()
    for ledger in ledgers():
        try:
            if is_finished(ledger.folder):
                pending += [
                    each
                    for name, entry in ledger.read().items()
                    for each in _pending_mirror(ledger.folder, name, entry)
                ]
        except HwdsError as error:
            unknown.append(f"{ledger.folder.parent.name}/{ledger.folder.name}: {error}")
    return pending, unknown


def _pending_mirror(folder: Path, name: str, entry: MirrorEntry) -> Iterator[PendingMirror]:
    tracker = build("tracker", "tracker", entry.tracker | {"name": name})
    assert isinstance(tracker, Tracker)
    if not is_current(tracker, folder, entry):
        yield PendingMirror(folder, tracker, "write and send" if tracker.service else "write")
    elif entry.state == "written" and (unsent := tracker.unsent(entry.places)):
        yield PendingMirror(folder, tracker, "send", len(unsent))


# Following a run: what is new of it is shown in a tracker while it computes; that it cannot be
# is no failure of the mirror.

SECONDS_AXIS = "seconds"
"""The axis of progress: since the run began."""


class Follower:
    """Looks at a run's folder and shows what is new.

    Args:
        tracker: Where it is shown.
        folder: Of the run or the sweep.
    """

    def __init__(self, tracker: Tracker, folder: Path) -> None:
        self.tracker, self.folder = tracker, folder
        self.following: Following | None = None
        self.points: list[tuple[int, dict[str, float]]] = []
        self.remark = ""

    def look(self) -> None:
        """Show what is new since the last look; after a failure no more."""
        if self.remark:
            return
        try:
            self._show()
        except (HwdsError, OSError, ValueError) as error:
            traceback.print_exc(file=sys.stderr)
            self.remark = (
                f" It was not shown while it computed: {' '.join(str(error).split())[:200]}"
            )

    def _show(self) -> None:
        record = begun_record(self.folder, self.tracker.group, every=self.tracker.metrics == "all")
        if record is None:
            return
        self.following = self.following or self.tracker.following()
        if self.following is not None:
            self._advance()
            curves = [
                *record.curves,
                *([Curve(SECONDS_AXIS, tuple(self.points))] if self.points else []),
            ]
            self.following.show(replace(record, curves=curves))

    def _advance(self) -> None:
        """Add a point of progress, where it has changed."""
        now = RunProgress.read(self.folder)
        if now is None or (self.points and int(now.seconds) <= self.points[-1][0]):
            return
        cells = {"cells_done": now.done, "cells": now.total, "cells_failed": now.failed}
        known = cells | {"score": now.value, "memory_gib": now.memory}
        self.points.append(
            (
                int(now.seconds),
                {f"progress/{name}": float(v) for name, v in known.items() if v is not None},
            )
        )

    def abandon(self) -> None:
        """Say that the run has ended without results."""
        if self.following is not None:
            self.following.abandon()


# The trackers of a run in processes of their own, so that none of them can block or break the
# run.
# A process loads its library while the run computes, shows what is new of it, and mirrors the
# folder when the run has written it. The run waits as long as the process is active; after
# `SILENT_SECONDS` seconds without activity, or with a server, it stops waiting, and `hwds sync`
# completes the mirror later.

SILENT_SECONDS = 1.5
"""Seconds without a sign of life after which a run stops waiting."""

MARKING_SECONDS = 0.5
"""Seconds in which a process may mark a run that has failed."""


@dataclass(eq=False)
class MirrorProcess:
    """One tracker's process.

    Attributes:
        tracker: The tracker.
        log: The file of its library's output.
        process: Its process.
        lines: Its messages that are not read yet; None at the end.
        heard: The time of its last message.
    """

    tracker: Tracker
    log: Path
    process: subprocess.Popen[str]
    lines: SimpleQueue[dict[str, Any] | None] = field(default_factory=SimpleQueue)
    heard: float = field(default_factory=time.monotonic)

    @classmethod
    def start(cls, tracker: Tracker, folder: Path) -> MirrorProcess:
        """Start the process, and send it the tracker."""
        log = folder / f"tracking_{tracker.name}.log"
        words = [sys.executable, "-m", "hwds.track.child"]
        with log.open("w", encoding="utf-8") as errors:
            pipe = subprocess.PIPE
            process = subprocess.Popen(
                words,
                stdin=pipe,
                stdout=pipe,
                stderr=errors,
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )
        started = cls(tracker, log, process)
        Thread(target=started._listen, daemon=True).start()
        started.send(canonical(tracker) | {"name": tracker.name})
        started.send(str(folder))
        return started

    def send(self, data: Any) -> None:
        """Write a line to its standard input; one that has died reads none."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{json.dumps(data)}\n")
            self.process.stdin.flush()
        except OSError:  # `lines` ends with None
            return

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.heard = time.monotonic()
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def outcome(self, since: float) -> tuple[bool, str]:
        """Return whether the mirror is complete, and a message for the user.

        It waits while the process is active, for a server no longer than `SILENT_SECONDS`.

        Args:
            since: The time when it heard that the run has ended.
        """
        step, begun = "starting", since
        while True:
            last = begun if step == SENDING_STEP else max(self.heard, since)
            try:
                message = self.lines.get(
                    timeout=max(last + SILENT_SECONDS - time.monotonic(), 0.01)
                )
            except Empty:
                what = "no end" if step == SENDING_STEP else "no sign of life"
                return (
                    False,
                    f"{what} for {SILENT_SECONDS:g} s while {step}; it goes on behind the run",
                )
            if message is None:
                return False, f"its process ended while {step}; {self.log.name} says more"
            if "failed" in message or "done" in message:
                return "done" in message, str(message.get("done") or message.get("failed"))
            if "step" in message:
                step, begun = str(message["step"]), max(time.monotonic(), since)

    def tidy(self, whole: bool) -> None:
        """Delete the log after success or without output; otherwise remove every secret from it."""
        with suppress(subprocess.TimeoutExpired):  # a library that does not end is ignored
            self.process.wait(0.25)
        printed = (
            self.log.read_text(encoding="utf-8", errors="replace") if self.log.is_file() else ""
        )
        if whole or not (printed or self.process.poll() is None):
            self.log.unlink(missing_ok=True)
        elif printed != without_secrets(printed):
            self.log.write_text(without_secrets(printed), encoding="utf-8")


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
    parts = tracker.parts()
    started = [_start_process(part, folder, warn) for part in parts]
    try:
        yield
    except BaseException:
        _give_up([process for process in started if process])
        raise
    running = [
        process or _start_process(part, folder, warn)
        for part, process in zip(parts, started, strict=True)
    ]
    _finish([process for process in running if process], say, warn)


def _start_process(tracker: Tracker, folder: Path, warn: Say) -> MirrorProcess | None:
    """Return the tracker's process.

    None where the mirror is complete already, or the process cannot be started.
    """
    if is_mirrored(tracker, folder):
        return None
    try:
        request_mirror(tracker, folder)
        return MirrorProcess.start(tracker, folder)
    except (OSError, HwdsError) as error:
        warn(_mirror_warning(tracker, str(error)))
        return None


def _finish(running: Sequence[MirrorProcess], say: Say, warn: Say) -> None:
    """Tell all processes that the folder has results, then wait for the outcome of each."""
    for process in running:
        process.send(True)
    since = time.monotonic()
    for process in running:
        whole, message = process.outcome(since)
        process.tidy(whole)
        (say if whole else warn)(message if whole else _mirror_warning(process.tracker, message))


def _give_up(running: Sequence[MirrorProcess]) -> None:
    """End the processes; each has a moment to say that the run has no results."""
    for process in running:
        process.send(False)
    for process in running:
        with suppress(subprocess.TimeoutExpired):
            process.process.wait(MARKING_SECONDS)
        process.process.kill()
        process.process.wait()
        process.tidy(whole=True)


def _mirror_warning(tracker: Tracker, reason: str) -> str:
    text = without_secrets(reason).rstrip(".")
    return (
        f"tracker {tracker.name}: {text}. The run is whole; `hwds sync` makes good what is "
        f"missing there."
    )
