"""Workers: spawned processes that compute cells, each with a pipe to it; none of them outlives who started it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

from hwds.core.errors import HwdsError
from hwds.core.watching.memory import started_by
from hwds.evaluation.base import Cell
from hwds.execution.compute_cell import compute_cell
from hwds.execution.job import Job, Outcome
from hwds.execution.limits import BEAT, OVER_MEMORY, UNLIMITED, Limits
from hwds.execution.threads import inherited, thread_variables

SPAWN = get_context("spawn")  # a forked polars deadlocks


class Worker:
    """One spawned process and the pipe to it.

    Attributes:
        job: That of its cells; None as long as it has had none.
        cell: What it computes; None where it waits.
        began: When it did, by `time.monotonic`; None as long as it has not.
        before: The models whose cells it has computed before this one.
    """

    def __init__(self) -> None:
        self.pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=_serve, args=(theirs,), daemon=True)
        try:
            with _uninterrupted():
                self.process.start()
        except KeyboardInterrupt:  # nobody has it yet who would end it
            self.end()
            raise
        theirs.close()
        self.job: Job | None = None
        self.cell: Cell | None = None
        self.began: float | None = None
        self.before: set[str] = set()

    def give(self, job: Job, cell: Cell) -> None:
        """Give it a cell, and its job where that is another than before."""
        if self.cell is not None:
            self.before.add(self.cell.model)
        self.cell, self.began = cell, None
        self.pipe.send((None if job is self.job else job, cell))
        self.job = job

    def take(self) -> Outcome | None:
        """Return its outcome, None where it reports that it has begun; where the process has died, a failure.

        Raises:
            HwdsError: It cannot read the frame: no cell of it can be computed.
        """
        assert self.cell is not None
        try:
            outcome: Outcome | HwdsError | None = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            return self.failed(f"worker died with exit code {self.process.exitcode} (out of memory?)")
        if isinstance(outcome, HwdsError):
            raise outcome
        if outcome is None:
            self.began = time.monotonic()
        return outcome

    def failed(self, error: str) -> Outcome:
        """Return the failure of the cell that it computes."""
        assert self.cell is not None
        return Outcome(self.cell, None, 0.0 if self.began is None else time.monotonic() - self.began, error)

    def exceeded(self, limits: Limits) -> str:
        """Return the limit that it exceeds, in words; empty where it exceeds none, or has not begun."""
        if self.cell is None or self.began is None or self.process.pid is None:
            return ""
        return limits.exceeded(self.process.pid, self.cell, self.began)

    def end(self) -> None:
        """Kill it and the processes that it has started, which would go on otherwise."""
        begun = [] if self.process.pid is None else started_by(self.process.pid)
        self.process.kill()
        for process in begun:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.join()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Start a process that Ctrl-C never reaches, not even while it loads: it inherits what is held back here for a moment.

    A signal that is held back in this thread goes to another one, and Python tells this one of it all the same; so it is noted
    as well, and answered when the process is there. In a thread beside the main one Python tells nobody.
    """
    resource_tracker.ensure_running()  # where it is started it lets Ctrl-C through
    interrupts: list[tuple[int, FrameType | None]] = []
    main = threading.current_thread() is threading.main_thread()
    answer = signal.signal(signal.SIGINT, lambda number, frame: interrupts.append((number, frame))) if main else None
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if main:
            signal.signal(signal.SIGINT, answer)
    if interrupts and callable(answer):
        answer(*interrupts[0])


_KEPT: list[dict[int, list[Worker]]] = []
"""The workers that wait for the next pool, by their threads; one entry in a block that keeps them, else none."""


@contextmanager
def kept_workers() -> Iterator[None]:
    """Keep the workers of each pool in the block for those after it: to start one, and to load what it needs, takes seconds."""
    kept: dict[int, list[Worker]] = {}
    _KEPT.append(kept)
    try:
        yield
    finally:
        _KEPT.pop()  # blocks are left in the order in which they lie in each other
        for worker in (each for workers in kept.values() for each in workers):
            worker.end()


@contextmanager
def pool(job: Job) -> Iterator[list[Worker]]:
    """Yield a list for workers, which are ended when the block is left, however, but for idle ones that are to be kept."""
    workers = _KEPT[-1].setdefault(job.cpus, []) if _KEPT else []
    try:
        with inherited(thread_variables(job.cpus)):  # a spawned process reads it before it loads any library
            yield workers
    finally:
        ended = [worker for worker in workers if not _KEPT or worker.cell is not None]
        for worker in ended:
            worker.end()
            workers.remove(worker)


def share_out(
    workers: list[Worker], job: Job, cells: Iterable[Cell], count: int, limits: Limits = UNLIMITED
) -> Iterator[Outcome]:
    """Yield the outcomes as they come; a worker that dies, or exceeds a limit, fails its cell alone.

    Args:
        workers: Those that are there already; they stay there for the next time.
        job: What workers need.
        cells: Taken one by one, when somebody is free for the next.
        count: How many workers there are at most.
        limits: What a cell may take.
    """
    waiting = iter(cells)
    first = list(islice(waiting, count))
    workers[:] = [worker for worker in workers if worker.process.is_alive()]
    while len(workers) < len(first):
        workers.append(Worker())
    for worker, cell in zip(workers, first, strict=False):
        worker.give(job, cell)
    busy = workers[:count]
    while busy := [worker for worker in busy if worker.cell is not None]:
        ready = set(wait([worker.pipe for worker in busy], BEAT if limits.watched else None))
        for place, worker in enumerate(busy):
            outcome = worker.take() if worker.pipe in ready else None
            exceeded = worker.exceeded(limits) if outcome is None and limits.watched else ""
            again = exceeded == OVER_MEMORY and bool(worker.before - {worker.cell.model if worker.cell else ""})
            if exceeded:  # what others have left in its process is not the trial's own: it is tried once more, in a fresh one
                outcome = worker.failed(exceeded)
                worker.end()
            if outcome is None:
                continue
            if not again:
                yield outcome
            busy[place] = _next(workers, worker, job, outcome.cell if again else next(waiting, None))


def _next(workers: list[Worker], worker: Worker, job: Job, cell: Cell | None) -> Worker:
    """Return the worker for the next cell: the same, or a fresh one where it is dead."""
    if cell is None:
        if worker.cell is not None:
            worker.before.add(worker.cell.model)
        worker.cell = None
        if not worker.process.is_alive():
            workers.remove(worker)
        return worker
    if not worker.process.is_alive():
        workers[workers.index(worker)] = worker = Worker()
    worker.give(job, cell)
    return worker


def _serve(pipe: Connection) -> None:
    """Compute cells until the worker is ended. It reports when it begins one, so that its own start counts for no time.

    Where the frame is damaged it reports that instead. Ctrl-C does not reach it: the parent answers that, and ends its workers.
    """
    _end_with_parent()
    job: Job | None = None
    while True:
        try:
            other, cell = pipe.recv()
        except EOFError:
            return
        if job is None or other is not None:
            job = other
            frame, damage = _frame_of(job)
        pipe.send(damage)
        if damage is None:
            pipe.send(compute_cell(job, frame, cell))


def _frame_of(job: Job) -> tuple[Any, HwdsError | None]:
    """Return the frame of a job, or its damage."""
    try:
        return job.read_frame(), None
    except HwdsError as error:
        return None, error


def _end_with_parent() -> None:
    """Leave no orphan behind a parent that was killed, even where a library holds this process: the system sees to it."""
    parent = parent_process()
    assert parent is not None
    if sys.platform == "linux":
        import ctypes

        when_parent_ends = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(when_parent_ends, signal.SIGKILL)
    threading.Thread(target=_wait_for_end, args=(parent.pid,), daemon=True).start()


def _wait_for_end(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
