"""How far a run or a sweep has come: a small file in its folder while it goes, for who looks on; no part of its results."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from hwds.results.atomic import write_text
from hwds.results.facts import Facts, Value
from hwds.results.holding import in_use
from hwds.results.run_index import RunIndex
from hwds.results.totals import DAMAGE
from hwds.results.wording import counted, duration

FILE = "progress.json"


@dataclass(frozen=True, slots=True)
class Going:
    """Where some work stood when it last said so.

    Attributes:
        done: Cells that are done, those that were kept from before too.
        total: How many there are.
        failed: Those that failed.
        began: When this process began with it, in seconds since 1970.
        seconds: For how long it had been at it.
        left: How many seconds were left, as far as could be told.
        score: The last score of a run, the trials that ended and the best score of a sweep, in words.
    """

    done: int
    total: int
    failed: int
    began: float
    seconds: float
    left: float | None = None
    score: str = ""

    def write(self, folder: Path) -> None:
        """Say it in a folder.

        Raises:
            HwdsError: The folder cannot be written.
        """
        write_text(folder / FILE, json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> Going | None:
        """What was said last; None where nothing was, or nothing that can be read."""
        try:
            return cls(**json.loads((folder / FILE).read_text(encoding="utf-8")))
        except (*DAMAGE, TypeError):
            return None

    def said(self, *, running: bool) -> str:
        """In words: `12 of 36 cells after 3.3 min, about 6.1 min left`, or `stopped at 12 of 36 cells after 3.3 min`."""
        seconds = max(time.time() - self.began, self.seconds) if running else self.seconds
        left = (self.left or 0.0) - (seconds - self.seconds)
        parts = [f"{'' if running else 'stopped at '}{self.done:,} of {counted(self.total, 'cells')}"]
        parts += [f", {self.failed:,} failed"] if self.failed else []
        parts += [f" after {duration(seconds)}"]
        parts += [f", about {duration(left)} left"] if running and left > 0 else []
        return "".join([*parts, f"; {self.score}"] if self.score else parts)


def ended(folder: Path) -> None:
    """Nothing is to be said of it any more: its results are there."""
    (folder / FILE).unlink(missing_ok=True)


def as_it_stands(index: RunIndex, paths: Iterable[str]) -> dict[str, Facts]:
    """The facts of folders as they are this moment: an unfinished one that a process holds is `running`.

    One that has said how far it is has that as `progress`, in words, and its numbers as `progress.done`, `progress.total` ...
    """
    facts = index.facts(paths)
    for path in facts:
        if facts[path].get("status") == "unfinished":
            facts[path] |= _standing(index.root / path)
    return facts


def statuses(index: RunIndex) -> dict[str, Value]:
    """The status of every folder as it is this moment."""
    found = index.column("status")
    unfinished = [path for path, status in found.items() if status == "unfinished"]
    return found | {path: "running" for path in unfinished if in_use(index.root / path)}


def _standing(folder: Path) -> Facts:
    running = in_use(folder)
    facts: Facts = {"status": "running"} if running else {}
    going = Going.read(folder)
    if going is None:
        return facts
    numbers = {f"progress.{name}": value for name, value in asdict(going).items() if value not in (None, "")}
    return facts | numbers | {"progress": going.said(running=running)}
