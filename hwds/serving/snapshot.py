"""Snapshot: the state after so many entries of a log, beside it; what comes after them is replayed.

It is worth what the log is worth: whole or absent after `kill -9`, and taken for nothing where the code, the features or the
schema have changed since, where it is damaged, or where it is of another log. Then all is replayed.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from hwds.hashing import digest
from hwds.recipe import canonical, code_digest
from hwds.results.atomic import write_atomically
from hwds.serving.log import Log
from hwds.serving.plain import Packed, Unkept, Unpacked
from hwds.serving.state import State

FEWEST = 5_000
"""Entries that are replayed without regret."""

SHARE = 8
"""Where less than an eighth of the log was replayed, another snapshot costs more than it saves."""

MARKS = 32
"""Entries, the last ones covered, by which a log is known."""


@dataclass
class Snapshots:
    """The snapshots of a log.

    Attributes:
        log: Whose.
        path: Of the file; None where nothing is kept.
        key: Of all that the state follows from besides the log.
        covered: Entries that the last one covers.
    """

    log: Log
    path: Path | None
    key: str
    covered: int = 0

    @classmethod
    def of(cls, log: Log, features: Any) -> Snapshots:
        """Those of a log, under features; none where the log is in memory alone."""
        about = [log.about("schema"), canonical(features), code_digest([features]), platform.python_version(), np.__version__]
        path = log.path.with_name(f"{log.path.name}.state") if log.path else None
        return cls(log, path, digest(about))

    def read(self, state: State) -> bool:
        """Fill in a state that is as good as new; whether there was one for it. It is to be thrown away where this raises."""
        self.covered = 0
        if self.path is None or not self.path.is_file():
            return False
        try:
            with np.load(self.path, allow_pickle=False) as kept:
                told = json.loads(kept["told"].tobytes())
                if told["key"] != self.key or told["last"] != self._mark(told["covered"]):
                    return False
                arrays = {name.removeprefix("of "): kept[name] for name in kept.files if name != "told"}
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            self.path.unlink()  # damaged: all is replayed
            return False
        Unpacked(told["tuples"], told["classes"], arrays).fill(state, told["state"])
        self.covered = told["covered"]
        return True

    @property
    def due(self) -> bool:
        """Whether enough has happened since the last one."""
        last = self.log.last
        return self.path is not None and last - self.covered >= max(FEWEST, last // SHARE)

    @property
    def behind(self) -> bool:
        """Whether anything has."""
        return self.path is not None and self.log.last > self.covered

    def write(self, state: State) -> None:
        """Keep a state that all entries of the log have come to; nothing is kept of features that do not say what changes.

        Raises:
            HwdsError: The folder cannot be written.
        """
        last, packed = self.log.last, Packed()
        self.covered = last
        try:
            told: dict[str, Any] = {"state": packed.changing(state)}
        except Unkept:
            self.path = None  # the log has it all
            return
        told |= {"key": self.key, "covered": last, "last": self._mark(last)}
        told |= {"tuples": packed.tuples, "classes": list(packed.classes)}
        arrays = {f"of {kind}": np.concatenate(parts) for kind, parts in packed.arrays.items()}
        text = np.frombuffer(json.dumps(told, separators=(",", ":")).encode(), np.uint8)
        assert self.path is not None
        write_atomically(self.path, lambda part: _fill(part, {"told": text, **arrays}))

    def _mark(self, covered: int) -> str:
        """What tells this log from others, and from an older copy of itself that has gone on another way."""
        latest = [entry[:6] for entry in self.log.upto(covered, MARKS)]
        return digest([self.log.about("identity"), covered, latest])


def _fill(part: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with part.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
