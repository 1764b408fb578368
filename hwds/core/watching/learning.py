"""Learning: the losses that models report while they are fitted, in a file that others read meanwhile.

Nothing is recorded, and nothing is computed for it, unless a run asks: no number depends on it.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hwds.core.hashing import digest_bytes

OFTEN = 1.0
"""Seconds between two writes of a file."""

Axis = Literal["epoch", "round"]
"""The unit of steps: epochs of a network, rounds of boosting."""


@dataclass(eq=False)
class LearningFile:
    """The file of one cell: a line with its labels, then a line for each point.

    Attributes:
        path: The file, a JSON value a line.
        model: The label of the model.
        fold: The name of the fold.
        start: The first unit of the cell.
        within: The names of the fits that the one that begins is a part of, the outermost first.
        fits: How often each name of a fit was taken.
        lines: The lines that are not written yet.
        written: When it was written last, by `time.monotonic`.
    """

    path: Path
    model: str
    fold: str
    start: int
    within: list[str] = field(default_factory=list)
    fits: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)
    written: float = -math.inf

    def begin(self, name: str) -> str:
        """Return the name of a fit that begins: numbered where another of the cell bears it. The first makes the file."""
        if not self.fits:
            with suppress(OSError):  # as in `flush`
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self.add({"model": self.model, "fold": self.fold, "start": self.start})
        whole = ", ".join([*self.within, name])
        self.fits[whole] += 1
        return whole if self.fits[whole] == 1 else f"{whole} ({self.fits[whole]})"

    def add(self, content: Mapping[str, Any]) -> None:
        """Add a line; the file is written where that was not done for `OFTEN` seconds."""
        self.lines.append(json.dumps(content, ensure_ascii=False))
        if time.monotonic() - self.written >= OFTEN:
            self.flush()

    def flush(self) -> None:
        """Write the lines that wait. No model fails because of a disk: what cannot be written is left out."""
        lines, self.lines, self.written = self.lines, [], time.monotonic()
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write("".join(f"{line}\n" for line in lines))
        except OSError:  # the tables of the run, on the same disk, say it
            return


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """The losses of one fit, epoch by epoch or round by round.

    Attributes:
        name: The name of the fit, which no other of the cell has.
        axis: The unit of its steps.
        file: Where points are written; None where nobody asks for them.
    """

    name: str
    axis: Axis
    file: LearningFile | None = None

    @property
    def wanted(self) -> bool:
        """True where somebody asks for its points; else they need not be computed."""
        return self.file is not None

    def report(self, step: int, train: float | None = None, validation: float | None = None) -> None:
        """Report the losses after so many epochs or rounds.

        Args:
            step: Their number, from 1.
            train: The mean loss on the rows that are learned from.
            validation: The mean loss on rows that are not.
        """
        if self.file is not None:
            losses = {"train": _finite(train), "validation": _finite(validation)}
            self.file.add({"fit": self.name, "axis": self.axis, "step": step, **losses})


_FILE: ContextVar[LearningFile | None] = ContextVar("learning", default=None)


@contextmanager
def recorded_learning(folder: Path | None, model: str, fold: str, start: int) -> Iterator[None]:
    """Write what is reported in the block to a file of its own in a folder; nothing where the folder is None.

    Args:
        folder: Of a run or a sweep.
        model: The label of the model.
        fold: The name of the fold.
        start: The first unit of the cell.
    """
    if folder is None:
        yield
        return
    named = digest_bytes([json.dumps([model, fold, start]).encode()])[:16]
    file = LearningFile(folder / f"{named}.jsonl", model, fold, start)
    with suppress(OSError):
        file.path.unlink(missing_ok=True)
    token = _FILE.set(file)
    try:
        yield
    finally:
        _FILE.reset(token)
        if file.fits:
            file.flush()


@contextmanager
def inner_fit(model: str, fold: str) -> Iterator[None]:
    """Name the fits in the block by the model and the fold they are of: they are parts of the fit of a cell."""
    file = _FILE.get()
    if file is None:
        yield
        return
    part = fold.removeprefix(f"{file.fold}, ")
    file.within.append(part if model == file.model else f"{model}, {part}")
    try:
        yield
    finally:
        file.within.pop()


def learning_curve(name: str, axis: Axis) -> LearningCurve:
    """Return the curve of a fit that begins now."""
    file = _FILE.get()
    return LearningCurve(name if file is None else file.begin(name), axis, file)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
