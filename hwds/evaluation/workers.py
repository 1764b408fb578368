"""Workers: spawned processes that compute cells, with their threads, memory, limits and speed."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from glob import has_magic
from itertools import islice
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hwds.core.cache import VARIABLE, as_input, digests, is_of_system, read_again
from hwds.core.errors import ConfigError, HwdsError
from hwds.core.files import OUTPUTS, digest
from hwds.core.keys import numeric_environment
from hwds.core.recipe import canonical, texts_in
from hwds.evaluation.cells import (
    Call,
    CellOutcome,
    Job,
    Scoring,
    Toys,
    check_own_code,
    compute_cell,
    message_of,
)
from hwds.evaluation.protocol import Cell, Fold

if TYPE_CHECKING:  # a run without a user's own code loads none of it
    from hwds.core.sealed import ForkServer, Given, SealedProcess

# The memory of processes, and the processes that one has started, by Linux's /proc.

GIB = 2**30
"""Bytes in a GiB."""

PROCESSES = Path("/proc")


def resident_bytes(pid: int) -> int:
    """Return the bytes that a process and all that it has started hold in memory.

    0 where it is gone.
    """
    return sum(map(process_bytes, (pid, *child_processes(pid))))


def child_processes(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have, as far as they can
    be read.
    """
    try:
        tasks = list((PROCESSES / str(pid) / "task").iterdir())
        children = [
            int(child) for task in tasks for child in (task / "children").read_text().split()
        ]
    except OSError:
        return []
    return [process for child in children for process in (child, *child_processes(child))]


def process_bytes(pid: int) -> int:
    """Return the bytes that one process holds in memory; 0 where it is gone."""
    try:
        return int((PROCESSES / str(pid) / "statm").read_text().split()[1]) * os.sysconf(
            "SC_PAGE_SIZE"
        )
    except OSError:
        return 0


# The speed of this machine, beside the one that work was measured on.

REFERENCE_SECONDS = 0.0048
"""Seconds of one core that `_probe` took on the machine whose seconds are the units of work.

Set so that what laws foresee is right by a factor of two on a machine that sorts fast, too: `python
-m bench.candidates`, and M3 quarterly by nine models.
"""

SPEED_TRIES = 4


@cache
def seconds_per_unit(*, idle: bool = True) -> float:
    """Return the seconds that a unit of work takes here, measured once a process in less than a
    tenth of a second.

    Args:
        idle: Seconds of a core of one's own; else of the clock, which others on the machine hold
            up.
    """
    taken = [_probe(time.process_time if idle else time.perf_counter) for _ in range(SPEED_TRIES)]
    return (min(taken) if idle else sum(taken) / SPEED_TRIES) / REFERENCE_SECONDS


def _probe(clock: Callable[[], float]) -> float:
    """Return the seconds of a fixed work: sorting, products of small matrices, and a loop of the
    interpreter.
    """
    values = np.arange(200_000, dtype=np.float64) * 7919 % 100_003
    small = np.arange(14_400, dtype=np.float64).reshape(120, 120) / 14_400
    began = clock()
    np.sort(values)
    for _ in range(20):
        small = small @ small / 120
    total = 0
    for number in range(60_000):
        total += number & 7
    return clock() - began


# Threads: set before the heavy libraries are loaded, and held in those that are.

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
READ_ONCE = ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS")
"""Variables that are read when their library is loaded, and never again."""


def thread_variables(cpus: int) -> dict[str, str]:
    """Return the environment that keeps a new process to `cpus` threads, and TensorFlow off the
    terminal.
    """
    return dict.fromkeys((*THREAD_VARIABLES, *READ_ONCE), str(cpus)) | {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
    }


@contextmanager
def inherit_variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Give the processes that are started in the block these variables.

    This one has its own again afterwards.
    """
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})


def hold_threads(cpus: int) -> None:
    """Keep this process to `cpus` threads: what loads from now on by its environment, BLAS that is
    loaded by threadpoolctl.

    Polars keeps the threads that it was loaded with, and so does a numba that is loaded.
    """
    from threadpoolctl import threadpool_limits

    os.environ.update(
        {name: value for name, value in thread_variables(cpus).items() if name not in READ_ONCE}
    )
    threadpool_limits(cpus)
    if "numba" not in sys.modules:  # it refuses another number once its threads are there
        os.environ["NUMBA_NUM_THREADS"] = str(cpus)


# Limits: the time and memory of the trials of a sweep, enforced on the processes that compute
# them.

LOOK_EVERY = 0.05
"""Seconds between two looks at a process, and so the longest that it can be beyond a limit."""

OVER_TIME = "out of time: its windows took more than sweep.seconds_per_trial, and it was ended"
OVER_MEMORY = "out of memory: it held more than sweep.memory_per_trial, and was ended"


def failure_reason(outcome: CellOutcome) -> str:
    """Return why a trial failed, and in which window.

    A limit is that of the whole trial, and names no window.
    """
    limit = outcome.error in (OVER_TIME, OVER_MEMORY)
    return outcome.error if limit else f"window {outcome.cell.fold.name}: {outcome.error}"


@dataclass(frozen=True)
class CellLimits:
    """The limits of cells: the process of one that exceeds them is killed, and the cell has failed.

    Attributes:
        seconds: What a cell has left of the time of its trial; None for no limit.
        memory: GiB that a process and those it has started may hold resident, libraries included;
            None for no limit.
        at_once: The most that are computed at the same time; None for as many as there are cores
            for.
        apart: Whether cells need a process of their own, for threads that are set before any
            library is loaded.
    """

    seconds: Callable[[Cell], float] | None = None
    memory: float | None = None
    at_once: int | None = None
    apart: bool = False

    @property
    def watched(self) -> bool:
        """Return whether a process has to be watched while it computes."""
        return self.seconds is not None or self.memory is not None

    def exceeded_limit(self, pid: int, cell: Cell, began: float) -> str:
        """Return the limit that a process exceeds, in words; empty where it exceeds none.

        Args:
            pid: The number of the process.
            cell: The cell that it computes.
            began: The time at which it began, by `time.monotonic`.
        """
        if self.memory is not None and resident_bytes(pid) > GIB * self.memory:
            return OVER_MEMORY
        return (
            OVER_TIME
            if self.seconds is not None and time.monotonic() - began > self.seconds(cell)
            else ""
        )


UNLIMITED = CellLimits()


def limits_of(
    seconds: float | None,
    memory: float | None,
    spent: Callable[[Cell], float],
    *,
    at_once: int | None = None,
    apart: bool = False,
) -> CellLimits:
    """Return the limits of trials, each of which has so many seconds for all its windows.

    Args:
        seconds: What a trial may take; None for no limit.
        memory: See `CellLimits`.
        spent: What the trial of a cell has taken already.
        at_once: See `CellLimits`.
        apart: See `CellLimits`.
    """
    left = None if seconds is None else lambda cell: seconds - spent(cell)
    return CellLimits(left, memory, at_once, apart)


# Workers: spawned processes that compute cells, each with a pipe to it; none of them outlives
# who started it.

SPAWN = get_context("spawn")  # a forked polars deadlocks


class Worker:
    """A process and the pipe to it: spawned, where it is not of another class.

    Attributes:
        pid: The number of the process.
        job: The job of its cells; None as long as it has had none.
        cell: What it computes; None where it waits.
        began: The time at which it began, by `time.monotonic`; None as long as it has not.
        before: The models whose cells it has computed before this one.
    """

    pid: int | None
    pipe: Connection
    job: Job | None = None
    cell: Cell | None = None
    began: float | None = None

    def __init__(self) -> None:
        self.before: set[str] = set()
        self.start()

    def start(self) -> None:
        """Start the process."""
        self.pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=_compute_cells, args=(theirs,), daemon=True)
        try:
            with _without_interrupts():
                self.process.start()
        except KeyboardInterrupt:  # nobody has it yet who would end it
            self.end()
            raise
        theirs.close()
        self.pid = self.process.pid

    def is_alive(self) -> bool:
        """Return whether it can be given a cell."""
        return self.process.is_alive()

    def serves(self, job: Job) -> bool:
        """Return whether it can compute the cells of a job."""
        return not job.sealed

    def give(self, job: Job, cell: Cell) -> None:
        """Give it a cell, and its job where that is another than before."""
        if self.cell is not None:
            self.before.add(self.cell.model)
        self.cell, self.began = cell, None
        self.send(None if job is self.job else job, cell)
        self.job = job

    def send(self, job: Job | None, cell: Cell) -> None:
        """Send it a cell, and a job that it does not have yet."""
        self.pipe.send((job, cell))

    def take(self) -> CellOutcome | None:
        """Return its outcome, None where it reports that it has begun.

        Where the process has died, a failure.

        Raises:
            HwdsError: It cannot read the frame: no cell of it can be computed.
        """
        assert self.cell is not None
        try:
            outcome: CellOutcome | HwdsError | None = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            return self.failure(
                f"worker died with exit code {self.process.exitcode} (out of memory?)"
            )
        if isinstance(outcome, HwdsError):
            raise outcome
        if outcome is None:
            self.began = time.monotonic()
        return outcome

    def failure(self, error: str) -> CellOutcome:
        """Return the failure of the cell that it computes."""
        assert self.cell is not None
        return CellOutcome(
            self.cell, None, 0.0 if self.began is None else time.monotonic() - self.began, error
        )

    def exceeded_limit(self, limits: CellLimits) -> str:
        """Return the limit that it exceeds, in words.

        Empty where it exceeds none, or has not begun.
        """
        if self.cell is None or self.began is None or self.pid is None:
            return ""
        return limits.exceeded_limit(self.pid, self.cell, self.began)

    def end(self) -> None:
        """Kill it and the processes that it has started, which would go on otherwise."""
        pid = self.process.pid
        begun = [] if pid is None else child_processes(pid)
        self.process.kill()
        for process in begun:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.join()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start a process that Ctrl-C never reaches, not even while it loads: it inherits what is held
    back here for a moment.

    A signal that is held back in this thread goes to another one, and Python tells this one of it
    all the same; so it is noted as well, and answered when the process is there. In a thread beside
    the main one Python tells nobody.
    """
    resource_tracker.ensure_running()  # where it is started it lets Ctrl-C through
    interrupts: list[tuple[int, FrameType | None]] = []
    main = threading.current_thread() is threading.main_thread()
    answer = (
        signal.signal(signal.SIGINT, lambda number, frame: interrupts.append((number, frame)))
        if main
        else None
    )
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if main:
            signal.signal(signal.SIGINT, answer)
    if interrupts and callable(answer):
        answer(*interrupts[0])


class SealedWorker(Worker):
    """A process behind walls, which serves the jobs that need no more than it was given.

    Args:
        server: Forks it.
        job: The first of them.
    """

    def __init__(self, server: ForkServer, job: Job) -> None:
        self.server, self.given = server, given_job(job)
        super().__init__()

    def start(self) -> None:
        """Start the process."""
        from hwds.core.sealed import Lawful

        self.sealed: SealedProcess = self.server.start(ENTRY, self.given)
        self.pipe, self.pid = self.sealed.pipe, self.sealed.pid
        self.lawful = Lawful(self.given, self.sealed.scratch)
        if "names" in self.sealed.lacking:
            _say_once(
                "this kernel hides no names: whether a file is there, and when it was changed, a "
                "user's own code can see, and no key names it."
            )

    def is_alive(self) -> bool:
        """Return whether it can be given a cell."""
        return not self.pipe.closed

    def serves(self, job: Job) -> bool:
        """Return whether it can compute the cells of a job."""
        return job is self.job or (job.sealed and given_job(job) == self.given)

    def send(self, job: Job | None, cell: Cell | Call) -> None:
        """Send it a cell or a call, and a job that it does not have yet."""
        self.pipe.send_bytes(b"" if job is None else pickle.dumps(_as_given(job)))
        self.pipe.send_bytes(pickle.dumps(cell))

    def ask(self, job: Job, call: Call) -> bytes:
        """Return the content of the answer to a call that is no cell.

        Raises:
            ConfigError: A user's own code fails, or asks for what no key names.
        """
        self.send(None if job is self.job else job, call)
        self.job = job
        try:
            while not (answer := json.loads(self.pipe.recv_bytes())):
                pass
            content = self.pipe.recv_bytes() if answer.get("content") else b""
        except (EOFError, OSError) as error:
            code = self.sealed.close()
            raise ConfigError(
                f"{call.place}: its process died {call.doing} with exit code {code}."
            ) from error
        if "damage" in answer:
            raise HwdsError(answer["damage"])
        if why := self._judged(answer):
            raise ConfigError(f"{call.before}{why}") from HwdsError(answer["trace"])
        return content

    def take(self) -> CellOutcome | None:
        """Return its outcome, None where it reports that it has begun.

        Where the process has died, or has asked for what no key names, a failure.

        Raises:
            HwdsError: It cannot read the frame: no cell of it can be computed.
        """
        assert self.cell is not None
        try:
            answer = json.loads(self.pipe.recv_bytes())
            content = self.pipe.recv_bytes() if answer.get("content") else b""
        except (EOFError, OSError):
            code = self.sealed.close()
            return self.failure(f"worker died with exit code {code} (out of memory?)")
        if "damage" in answer:
            raise HwdsError(answer["damage"])
        if not answer:
            self.began = time.monotonic()
            return None
        return self._outcome(answer, content)

    def _outcome(self, answer: Mapping[str, Any], content: bytes) -> CellOutcome:
        """Return the outcome of a cell that a process has told, judged by what it has asked for."""
        assert self.cell is not None
        assert self.job is not None
        error, job = self._judged(answer), self.job
        rows = None if error else pl.read_ipc(content, use_pyarrow=False)
        absent = (as_input(name) for name in self.lawful.unlawful(answer["asked"]))
        named = {as_input(path) for path in self.given.files}
        read = {name: text for name, text in answer["read"].items() if name in named}
        inputs = {**read_again({**(job.inputs or {}), **read}), **digests(absent)}
        return CellOutcome(
            self.cell, rows, answer["seconds"], error, answer["trace"], inputs=inputs
        )

    def _judged(self, answer: Mapping[str, Any]) -> str:
        """Return why an answer does not count: it failed, or its code asked for what no key names;
        empty where it does.
        """
        error = str(answer["error"])
        named = _files_of(error, self.given.roots)
        if refusal := self.lawful.refusal((*answer["asked"], *named)):
            return f"a user's own code {refusal}."
        if "PermissionError" in error:
            error += " (what is behind walls writes nothing but its temporary folder)"
        return error

    def end(self) -> None:
        """Kill it and the processes that it has started."""
        if not self.pipe.closed:
            self.sealed.close()
        if self.job is not None and self.job.learning is not None:
            with suppress(OSError):  # it is not empty
                self.job.learning.rmdir()


def try_own_code(job: Job, frame: Any, fold: Fold, labels: Collection[str]) -> None:
    """Refuse code of a user's own that fails on toys, or returns what it must not: as
    `check_own_code`, behind walls where its cells are. The frame lies in its folder.

    Raises:
        ConfigError: In one line, with the input, the output, and the required output.
    """
    if job.sealed:
        with worker_pool(job) as pool:
            pool.ready(job, 1)
            worker = pool[0]
            assert isinstance(worker, SealedWorker)
            worker.ask(job, Toys(fold, sorted(labels)))
    else:
        check_own_code(job, frame, fold, labels)


def ask_apart(job: Job, call: Call) -> bytes:
    """Return the content of the answer to a call of a process behind walls that has computed no
    cell.

    Raises:
        ConfigError: A user's own code fails, or asks for what no key names.
    """
    with _pool(job) as pool:
        return pool.ask(job, call)


ENTRY = f"{__name__}:compute_sealed"

_ABSENT = re.compile(
    r"No such file|not found|NotFound|denied|No module|paths were empty|cannot open|not exist"
)
"""How an error says that a file is absent."""

_QUOTED, _PATH = (
    re.compile(r"'([^']+)'"),
    re.compile(r"""[^\s'"`()\[\]{},;:]*[/.]\w[^\s'"`()\[\]{},;:]*"""),
)
"""How it calls it."""


def _files_of(error: str, roots: Sequence[str]) -> Iterator[str]:
    """Yield the files, folders and modules that an error says are absent, and that are there."""
    names = (*_QUOTED.findall(error), *_PATH.findall(error)) if _ABSENT.search(error) else ()
    for name in dict.fromkeys(names):
        yield os.path.abspath(os.path.dirname(name) if has_magic(name) else name)
        if "ModuleNotFoundError" in error:
            below = name.replace(".", os.sep)
            yield from (f"{root}/{below}{end}" for root in roots for end in (".py", "/__init__.py"))


@cache
def _say_once(line: str) -> None:
    """Print a line once, however often it is called."""
    sys.stderr.write(f"hwds: {line}\n")


def given_job(job: Job) -> Given:
    """Return what the cells of a job may import, read and write."""
    from hwds.core.compiling import cache_root
    from hwds.core.sealed import given_code

    plain = canonical([job.protocol, job.features, *job.models.values()])
    paths = [name for name in _as_given(job).inputs or {} if not name.startswith(VARIABLE)]
    named = {each for path in paths for each in (os.path.abspath(path), os.path.realpath(path))}
    folders = [job.cells_folder, cache_root(), *([job.learning] if job.learning else [])]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    code = given_code(plain, {*named, job.frame_folder})
    return replace(
        code,
        variables=_variables(job),
        shared=[*map(str, folders)],
        roots=[place for place in map(os.path.abspath, sys.path) if not is_of_system(f"{place}/")],
    )


def _as_given(job: Job) -> Job:
    """Return a job as its process behind walls knows it: without the files that nothing names."""
    plain = canonical([job.protocol, job.features, *job.models.values()])
    known = {*texts_in(plain), *job.named}
    inputs = {name: digest for name, digest in (job.inputs or {}).items() if name in known}
    return replace(job, inputs=inputs)


def _variables(job: Job) -> dict[str, str]:
    """Return the environment of a process that computes the cells of a job behind walls."""
    from hwds.core.compiling import INPUTS_VARIABLE, cache_root, own_compiled_variables

    return {
        **thread_variables(job.cpus),
        **numeric_environment(),
        **own_compiled_variables(),
        "HWDS_OUTPUTS": str(OUTPUTS.resolve()),
        INPUTS_VARIABLE: digest(job.inputs) if job.inputs else "",
        "NUMBA_CACHE_DIR": str(cache_root()),
        **job.variables,
    }


class WorkerPool(list[Worker]):
    """The workers that are there, with what starts others.

    Attributes:
        server: Forks those behind walls; None as long as there was none.
        apart: The workers that compute no cells, by what they are asked.
    """

    def __init__(self) -> None:
        super().__init__()
        self.server: ForkServer | None = None
        self.apart: dict[type[Call], SealedWorker] = {}

    def begin(self, job: Job) -> Worker:
        """Return a new worker for the cells of a job."""
        if not job.sealed:
            return Worker()
        from hwds.core.sealed import ForkServer, early_server

        server = early_server() or self.server
        if server is None:
            server = self.server = ForkServer([__name__], _variables(job), quiet=False)
        return SealedWorker(server, job)

    def ready(self, job: Job, count: int) -> None:
        """Have so many workers that serve a job; one that is dead or serves it not goes."""
        for worker in [each for each in self if not (each.is_alive() and each.serves(job))]:
            worker.end()
            self.remove(worker)
        while len(self) < count:
            self.append(self.begin(job))

    def ask(self, job: Job, call: Call) -> bytes:
        """Return the content of the answer to a call of a worker behind walls that is asked nothing
        else.
        """
        worker = self.apart.get(type(call))
        if worker is None or not (worker.is_alive() and worker.serves(job)):
            if worker is not None:
                worker.end()
            begun = self.begin(job)
            assert isinstance(begun, SealedWorker)
            worker = self.apart[type(call)] = begun
        return worker.ask(job, call)

    def close(self) -> None:
        """End the workers."""
        for worker in (*self, *self.apart.values()):
            worker.end()
        self.clear()
        self.apart.clear()
        if self.server is not None:
            self.server.close()
            self.server = None


_KEPT: list[dict[tuple[int, bool], WorkerPool]] = []
"""The workers that wait for the next pool, by their threads and their walls; one entry in a block
that keeps them, else none.
"""


@contextmanager
def kept_workers() -> Iterator[None]:
    """Keep the workers of each pool in the block for those after it: to start one, and to load what
    it needs, takes seconds.
    """
    if _KEPT:
        yield
        return
    kept: dict[tuple[int, bool], WorkerPool] = {}
    _KEPT.append(kept)
    try:
        yield
    finally:
        _KEPT.pop()
        for pool in kept.values():
            pool.close()


@contextmanager
def worker_pool(job: Job) -> Iterator[WorkerPool]:
    """Yield a pool of workers, which are ended when the block is left, however, but for idle ones
    that are to be kept.
    """
    with _pool(job) as workers:
        try:
            yield workers
        finally:
            for worker in [worker for worker in workers if worker.cell is not None]:
                worker.end()
                workers.remove(worker)


@contextmanager
def _pool(job: Job) -> Iterator[WorkerPool]:
    """Yield the pool that is kept for a job, or one for this block."""
    from hwds.core.compiling import own_compiled_variables
    from hwds.core.walls import FIXED

    kind = job.cpus, job.sealed
    workers = _KEPT[-1].setdefault(kind, WorkerPool()) if _KEPT else WorkerPool()
    try:
        with inherit_variables(
            thread_variables(job.cpus) | FIXED | own_compiled_variables()
        ):  # a spawned process reads it before it loads any library
            yield workers
    finally:
        if not _KEPT:
            workers.close()


def share_out(
    workers: WorkerPool,
    job: Job,
    cells: Iterable[Cell],
    count: int,
    limits: CellLimits = UNLIMITED,
) -> Iterator[CellOutcome]:
    """Yield the outcomes as they come.

    A worker that dies, or exceeds a limit, fails its cell alone.

    Args:
        workers: The workers that are there already; they stay there for the next time.
        job: What workers need.
        cells: The cells, taken one by one when a worker is free for the next.
        count: The largest number of workers.
        limits: What a cell may take.
    """
    waiting = iter(cells)
    first = list(islice(waiting, count))
    workers.ready(job, len(first))
    for worker, cell in zip(workers, first, strict=False):
        worker.give(job, cell)
    busy = workers[:count]
    while busy := [worker for worker in busy if worker.cell is not None]:
        ready = set(wait([worker.pipe for worker in busy], LOOK_EVERY if limits.watched else None))
        for place, worker in enumerate(busy):
            outcome = worker.take() if worker.pipe in ready else None
            exceeded = worker.exceeded_limit(limits) if outcome is None and limits.watched else ""
            others = worker.before - {worker.cell.model if worker.cell else ""}
            again = exceeded == OVER_MEMORY and bool(others)
            # what others have left in its process is not the trial's own: it is tried once more, in
            # a fresh one
            if exceeded:
                outcome = worker.failure(exceeded)
                worker.end()
            if outcome is None:
                continue
            if not again:
                yield outcome
            busy[place] = _next(
                workers, worker, job, outcome.cell if again else next(waiting, None)
            )


def _next(workers: WorkerPool, worker: Worker, job: Job, cell: Cell | None) -> Worker:
    """Return the worker for the next cell: the same, or a fresh one where it is dead."""
    if cell is None:
        if worker.cell is not None:
            worker.before.add(worker.cell.model)
        worker.cell = None
        if not worker.is_alive():
            workers.remove(worker)
        return worker
    if not worker.is_alive():
        workers[workers.index(worker)] = worker = workers.begin(job)
    worker.give(job, cell)
    return worker


def _compute_cells(pipe: Connection) -> None:
    """Compute cells until the worker is ended. It reports when it begins one, so that its own start
    counts for no time.

    Where the frame is damaged it reports that instead. Ctrl-C does not reach it: the parent answers
    that, and ends its workers.
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


def compute_sealed(pipe: Connection) -> None:
    """Compute cells behind walls until the pipe is closed; each is told as data: when it begins,
    what came of it, and what its code has asked for.
    """
    from hwds.core.sealed import NamedModules, asked, watch_asked

    finder = next(each for each in sys.meta_path if isinstance(each, NamedModules))
    watch_asked(finder.files.values())
    packed, job, frame, damage = b"", None, None, None
    while True:
        other, packed_call = pipe.recv_bytes(), pipe.recv_bytes()
        packed, content = other or packed, b""
        try:
            if other or job is None:
                job = frame = damage = None
                job = pickle.loads(packed)
                hold_threads(job.cpus)
            call = pickle.loads(packed_call)
            if frame is None and damage is None and not isinstance(call, Scoring):
                frame, damage = _frame_of(job)
            pipe.send_bytes(json.dumps({"damage": str(damage)} if damage else {}).encode())
            if damage is not None:
                continue
            content, facts = _answer(job, frame, call)
        except Exception as error:  # a user's module may fail in any way when it is imported
            facts = _failed(message_of(error))
        facts |= {"asked": asked(), "content": bool(content)}
        pipe.send_bytes(json.dumps(facts).encode())
        if content:
            pipe.send_bytes(content)


def _answer(job: Job, frame: Any, call: Cell | Call) -> tuple[bytes, dict[str, Any]]:
    """Return the rows of a cell or the content of a call, and the facts of it."""
    if not isinstance(call, Cell):
        try:
            return call.answer(job, frame), {"error": "", "trace": ""}
        except HwdsError as error:
            return b"", _failed(str(error))
    from hwds.core.sealed import note_asked

    outcome = compute_cell(job, frame, call)
    note_asked(*(path for path in outcome.inputs if not path.startswith(VARIABLE)))
    facts = {"error": outcome.error, "trace": outcome.trace, "seconds": outcome.seconds}
    rows = b"" if outcome.rows is None else outcome.rows.write_ipc(None).getvalue()
    return rows, facts | {"read": outcome.inputs}


def _failed(error: str) -> dict[str, Any]:
    return {"error": error, "trace": traceback.format_exc(), "seconds": 0.0, "read": {}}


def _frame_of(job: Job) -> tuple[Any, HwdsError | None]:
    """Return the frame of a job, or its damage."""
    try:
        return job.read_frame(), None
    except HwdsError as error:
        return None, error


def _end_with_parent() -> None:
    """Leave no orphan behind a parent that was killed, even where a library holds this process: the
    system sees to it.
    """
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
