"""Asking a protocol for the rows of a fold: in this process, or in one that has never seen the data."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pickle import PicklingError
from typing import Any, Protocol

import polars as pl

from hwds.core.errors import HwdsError
from hwds.evaluation.base import Cell
from hwds.evaluation.context import RunContext
from hwds.evaluation.leakage.memory import Memory
from hwds.evaluation.leakage.opened import Watch
from hwds.splitting.fold import Fold


@dataclass(frozen=True)
class Question:
    """The rows of a model's fold, of a frame; of all units, or from the first of `part` to before the other."""

    protocol: Any
    label: str
    model: Any
    frame: Any
    fold: Fold
    context: RunContext
    part: tuple[int, int] | None = None


@dataclass(frozen=True)
class CanaryAnswer:
    """The raw rows, as a run would give them to be settled; and what was opened that may not be, in words."""

    rows: pl.DataFrame
    opened: tuple[str, ...] = ()


class Ask(Protocol):
    """A caller that asks a model for answers."""

    def __call__(self, question: Question) -> CanaryAnswer:
        """Return the answer."""


@dataclass(frozen=True)
class Here:
    """Asks in this process.

    Attributes:
        watch: Sees what is opened meanwhile.
    """

    watch: Watch = field(default_factory=Watch)

    def __call__(self, question: Question) -> CanaryAnswer:
        """Return the answer."""
        with self.watch.watching(question.model, question.protocol, question.context.features) as opened:
            rows = rows_of(question)
        return CanaryAnswer(rows, tuple(opened))


class Elsewhere:
    """Asks in one other process, in the order in which it is asked; it is started anew, and ended with `close`.

    A model arrives there as it arrives at a worker: its modules are imported while what is opened is watched.

    Args:
        watch: Sees what is opened there.
        environment: Variables for that process.
    """

    def __init__(self, watch: Watch, environment: Mapping[str, str] | None = None) -> None:
        context = get_context("spawn")  # a forked polars deadlocks
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, watch), daemon=True)
        before = dict(os.environ)
        os.environ.update(environment or {})  # read before any library is loaded
        try:
            self.process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        theirs.close()

    def __call__(self, question: Question) -> CanaryAnswer:
        """Return the answer.

        Raises:
            HwdsError: The other process failed, or died.
        """
        cached = question.context.cache is not None
        try:
            self.pipe.send((replace(question, context=replace(question.context, cache=None)), cached))
        except (PicklingError, AttributeError, TypeError) as error:
            raise HwdsError(f"check-leakage: {question.label} cannot be sent to a fresh process: {error}") from error
        try:
            found = self.pipe.recv()
        except (EOFError, OSError) as error:
            self.process.join()
            raise HwdsError(f"check-leakage: the other process died with exit code {self.process.exitcode}.") from error
        if isinstance(found, str):
            raise HwdsError(f"check-leakage: {question.label} at {question.fold.name} fails in a fresh process: {found}")
        answer: CanaryAnswer = found
        return answer

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()

    def __enter__(self) -> Elsewhere:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.close()


def rows_of(question: Question) -> pl.DataFrame:
    """Return the raw rows of a fold with its number."""
    fold = question.fold
    cell, context = Cell(question.label, fold, *(question.part or (0, fold.units))), replace(question.context, fold=fold.name)
    rows: pl.DataFrame = question.protocol.evaluate_cell(question.model, question.frame, cell, context)
    return rows.select(pl.lit(fold.index, pl.Int32).alias("fold"), pl.all()) if rows.width else rows


def _serve(pipe: Connection, watch: Watch) -> None:
    """Answer until the pipe is closed; Ctrl-C is the parent's to answer, which ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        with watch.watching() as imported:
            try:
                question, cached = pipe.recv()
            except EOFError:
                return
        context = replace(question.context, cache=Memory.empty() if cached else None)
        try:
            answer = Here(watch)(replace(question, context=context))
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {' '.join(str(error).split())}")
            continue
        pipe.send(CanaryAnswer(answer.rows, (*imported, *answer.opened)))
