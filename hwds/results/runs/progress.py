"""The progress of a run or a sweep: a small file in its folder while it is computed; not part of its results."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hwds.core.checksums.files import read_json, write_json
from hwds.core.locks import in_use
from hwds.results.formatting import brief, counted, duration
from hwds.results.runs.fields import RunFields, Value
from hwds.results.runs.index import RunIndex
from hwds.results.score_totals import DAMAGE

FILE = "progress.json"


@dataclass(frozen=True, slots=True)
class RunProgress:
    """The last recorded progress of a run or a sweep.

    Attributes:
        done: Finished cells, cached ones included.
        total: All cells.
        failed: Failed cells.
        began: The start of this process's work, in seconds since 1970.
        seconds: The elapsed time.
        left: The estimated seconds left; None where there is no estimate.
        score: The last score of a run, the trials that ended and the best score of a sweep, in words.
        value: The last score of a run, the best so far of a sweep; None where there is none.
        memory: GiB that the process and those it has started hold; None where that cannot be read.
        losses: The last losses of the fit that reported last, see `hwds.results.learning.COLUMNS`.
    """

    done: int
    total: int
    failed: int
    began: float
    seconds: float
    left: float | None = None
    score: str = ""
    value: float | None = None
    memory: float | None = None
    losses: dict[str, Any] = field(default_factory=dict)

    @property
    def learning(self) -> str:
        """`network 1, epoch 12: loss .312, validation .402`; empty where no fit has reported."""
        if not self.losses:
            return ""
        named = {"loss": self.losses["train"], "validation": self.losses["validation"]}
        shown = ", ".join(f"{name} {brief(value)}" for name, value in named.items() if value is not None)
        return f"{self.losses['fit']}, {self.losses['axis']} {self.losses['step']:,}: {shown}"

    def numbers(self) -> dict[str, Value]:
        """Return what is known, by name: the losses as `train` and `validation`, their fit in words as `learning`."""
        known = {name: value for name, value in asdict(self).items() if name != "losses"}
        losses = {name: self.losses.get(name) for name in ("train", "validation", "step")}
        every = known | losses | {"learning": self.learning}
        return {name: value for name, value in every.items() if value not in (None, "")}

    def write(self, folder: Path) -> None:
        """Write it into a folder.

        Raises:
            HwdsError: The folder cannot be written.
        """
        write_json(folder / FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> RunProgress | None:
        """Return the progress of a folder; None where there is no file, or it cannot be read."""
        try:
            return cls(**read_json(folder / FILE))
        except (*DAMAGE, TypeError):
            return None

    def sentence(self, *, running: bool) -> str:
        """Return `12 of 36 cells after 3.3 min, about 6.1 min left`, or `stopped at 12 of 36 cells after 3.3 min`."""
        seconds = max(time.time() - self.began, self.seconds) if running else self.seconds
        left = (self.left or 0.0) - (seconds - self.seconds)
        parts = [f"{'' if running else 'stopped at '}{self.done:,} of {counted(self.total, 'cells')}"]
        parts += [f", {self.failed:,} failed"] if self.failed else []
        parts += [f" after {duration(seconds)}"]
        parts += [f", about {duration(left)} left"] if running and left > 0 else []
        return "".join([*parts, f"; {self.score}"] if self.score else parts)


def ended(folder: Path) -> None:
    """Delete the file of a run that has ended."""
    (folder / FILE).unlink(missing_ok=True)


def as_it_stands(index: RunIndex, paths: Iterable[str]) -> dict[str, RunFields]:
    """Return the current fields of folders: an unfinished one that a process has locked is `running`.

    Recorded progress is added as `progress`, in words, and its numbers as `progress.done`, `progress.total` ...
    """
    fields = index.fields(paths)
    for path in fields:
        if fields[path].get("status") == "unfinished":
            fields[path] |= _standing(index.root / path)
    return fields


def statuses(index: RunIndex) -> dict[str, Value]:
    """Return the current status of every folder."""
    status_of = index.column("status")
    unfinished = [path for path, status in status_of.items() if status == "unfinished"]
    return status_of | {path: "running" for path in unfinished if in_use(index.root / path)}


def _standing(folder: Path) -> RunFields:
    running = in_use(folder)
    fields: RunFields = {"status": "running"} if running else {}
    progress = RunProgress.read(folder)
    if progress is None:
        return fields
    numbers = {f"progress.{name}": value for name, value in progress.numbers().items()}
    return fields | numbers | {"progress": progress.sentence(running=running)}
