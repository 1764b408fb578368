"""One trial of a sweep by Ray Tune, on the worker that runs it: its windows one after the other, a report after each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hwds.execution.asking import compute_cell
from hwds.execution.headline import headline, lower, scores_so_far, value_of
from hwds.execution.job import Job, Outcome
from hwds.execution.limits import failure, limits_of
from hwds.execution.ray_cells import Packed, at_home, frame_of
from hwds.execution.ray_nodes import strange
from hwds.execution.threads import hold_threads
from hwds.execution.workers import pool, share_out
from hwds.protocols.base import Cell


@dataclass(frozen=True, eq=False)
class Asked:
    """What every trial is handed.

    Attributes:
        shared: The frame.
        lots: Jobs, each with the cells of its trials and their keys.
        places: When each window is asked.
        metric: The short name of what is reported.
        better: Which side of it is good.
        patient: Trials that report only when all their windows are behind them, so that nothing stops them.
        store: Keeps finished cells, on the driver's node.
        seconds: What a trial's windows may take together; None for no limit.
        memory: GiB that a trial may hold; None for no limit.
        apart: Whether trials have other threads than this worker was started with, and so need a process of their own.
    """

    shared: Packed
    lots: tuple[tuple[Job, Mapping[Cell, str]], ...]
    places: Mapping[int, int]
    metric: str
    better: str
    patient: tuple[int, ...]
    store: Any
    seconds: float | None = None
    memory: float | None = None
    apart: bool = False


def run_trial(config: Mapping[str, Any], asked: Asked) -> None:
    """Ask a trial's windows until its scheduler stops it; a window that fails ends it with its error in the report."""
    from ray import tune

    number = int(config["trial"])
    job, cells = next((job, cells) for job, cells in asked.lots if f"trial {number}" in job.models)
    job = at_home(asked.shared, job)
    own = sorted((cell for cell in cells if cell.model == f"trial {number}"), key=lambda cell: cell.start)
    outcomes: dict[int, list[Outcome]] = {}
    computed = 0
    with _computing(asked, job, outcomes) as compute:
        for fold, place in sorted(asked.places.items(), key=lambda pair: pair[1]):
            outcomes[fold] = []
            error = _window(asked, {cell: cells[cell] for cell in own if cell.fold.index == fold}, compute, outcomes[fold])
            computed += sum(not outcome.cached for outcome in outcomes[fold])
            if error or place + 1 == len(asked.places) or number not in asked.patient:
                score = math.inf if error else running(job, outcomes, asked.metric, asked.better)
                tune.report({"score": score, "folds": place if error else place + 1, "error": error, "computed": computed})
                computed = 0
            if error:
                return


def _window(asked: Asked, cells: Mapping[Cell, str], compute: Callable[[Cell], Outcome], outcomes: list[Outcome]) -> str:
    """The cells of a window from the store, or computed and kept there, until one fails: what it failed of."""
    import ray

    for cell, key in cells.items():
        kept: Outcome | None = ray.get(asked.store.get.remote(key, cell))
        outcome = compute(cell) if kept is None else kept
        outcomes.append(outcome)
        if outcome.error:
            return failure(outcome)
        if kept is None:
            ray.get(asked.store.put.remote(key, outcome))
    return ""


@contextmanager
def _computing(asked: Asked, job: Job, outcomes: Mapping[int, list[Outcome]]) -> Iterator[Callable[[Cell], Outcome]]:
    """What computes a cell: this worker, or where there are limits a process of the trial's own, which can be killed."""
    hold_threads(job.cpus)
    if said := strange(job.machine, asked.shared.packages):  # the keys of its cells would lie
        yield lambda cell: Outcome(cell, None, 0.0, said)
        return
    frame = frame_of(asked.shared)
    limits = limits_of(asked.seconds, asked.memory, lambda cell: sum(one.seconds for part in outcomes.values() for one in part))
    if not (limits.watched or asked.apart):
        yield lambda cell: compute_cell(job, frame, cell)
        return
    with pool(job) as workers:
        yield lambda cell: list(share_out(workers, job, [cell], 1, limits))[-1]


def running(job: Job, outcomes: Mapping[int, list[Outcome]], metric: str, better: str) -> float:
    """The score of all windows so far, the lower the better; infinite where it is undefined."""
    value = value_of(headline(scores_so_far(job, outcomes), metric))
    return math.inf if value is None else lower(value, better)
