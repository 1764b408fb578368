"""Cells spread over processes of this machine."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from hwds.execution.asking import compute_cell
from hwds.execution.base import Compute
from hwds.execution.job import Job, Outcome
from hwds.execution.serial import Serial
from hwds.execution.threads import thread_variables
from hwds.protocols.base import Cell
from hwds.recipe import Whole

SPAWN = get_context("spawn")  # a forked polars deadlocks


class Processes(Compute):
    """Spread cells over processes of this machine.

    Attributes:
        workers: Processes; 0 takes the cores that this process may use, divided by `cpus_per_cell`.
    """

    workers: Whole = 0

    def run(self, job: Job, frame: Any, cells: Sequence[Cell]) -> Iterator[Outcome]:
        """The outcomes as they come; a worker that dies fails its cell alone."""
        count = min(self.workers or max(1, usable_cores() // self.cpus_per_cell), len(cells))
        if count <= 1:
            yield from Serial(cpus_per_cell=self.cpus_per_cell, device=self.device).run(job, frame, cells)
            return
        with _pool(job, count) as workers:
            yield from _share_out(workers, job, deque(cells))


class Worker:
    """One spawned process and the pipe to it."""

    def __init__(self, job: Job) -> None:
        self.pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=_serve, args=(theirs, job), daemon=True)
        self.process.start()
        theirs.close()
        self.cell: Cell | None = None

    def give(self, cells: deque[Cell]) -> None:
        """Hand it the next cell, or the word that there is none."""
        self.cell = cells.popleft() if cells else None
        self.pipe.send(self.cell)

    def take(self) -> Outcome:
        """Its answer; where the process has died, that is the outcome."""
        assert self.cell is not None
        try:
            outcome: Outcome = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            return Outcome(self.cell, None, 0.0, f"worker died with exit code {self.process.exitcode} (out of memory?)")
        return outcome


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _pool(job: Job, count: int) -> Iterator[list[Worker]]:
    """Started workers; when the block is left, however, they are gone."""
    before = dict(os.environ)
    os.environ.update(thread_variables(job.cpus))  # a spawned process reads it before it loads any library
    workers: list[Worker] = []
    try:
        workers += [Worker(job) for _ in range(count)]
        yield workers
    finally:
        os.environ.clear()
        os.environ.update(before)
        for worker in workers:
            worker.process.kill()
            worker.process.join()


def _share_out(workers: list[Worker], job: Job, cells: deque[Cell]) -> Iterator[Outcome]:
    for worker in workers:
        worker.give(cells)
    while busy := {worker.pipe: worker for worker in workers if worker.cell is not None}:
        for pipe in wait(list(busy)):
            worker = busy[pipe]  # type: ignore[index]
            yield worker.take()
            if worker.process.is_alive():
                worker.give(cells)
            else:
                workers[workers.index(worker)] = replacement = Worker(job)
                replacement.give(cells)


def _serve(pipe: Connection, job: Job) -> None:
    """What a worker does: compute cells until there are none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers Ctrl-C and ends its workers
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    frame = job.read_frame()
    while (cell := pipe.recv()) is not None:
        pipe.send(compute_cell(job, frame, cell))


def _end_with_parent(parent: int) -> None:
    """Leave no orphan behind a parent that was killed."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
