"""One trial of a sweep by Ray Tune, on the worker that runs it: its windows one after the other, a report after each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hwds.evaluation.base import Cell
from hwds.evaluation.score import headline_score
from hwds.execution.compute_cell import compute_cell
from hwds.execution.job import Job, Outcome
from hwds.execution.limits import failure, limits_of
from hwds.execution.ray.cells import Packed, at_home, frame_of
from hwds.execution.ray.nodes import unfit
from hwds.execution.threads import hold_threads
from hwds.execution.workers import pool, share_out
from hwds.tuning.trial_scores import as_minimised, scores_so_far, value_of


@dataclass(frozen=True, eq=False)
class TrialInput:
    """The input that all trials share.

    Attributes:
        trial_groups: Jobs with their frames, each with the cells of its trials and their keys.
        places: The position of each window in the order of computation.
        metric: The short name of the metric that is reported.
        better: Whether a `low` or a `high` value is good.
        unstoppable: Trials that report only after all their windows, so that nothing stops them.
        store: The store of finished cells, on the driver's node.
        seconds: The limit on the time of a trial's windows together; None for no limit.
        memory: The limit on a trial's memory in GiB; None for no limit.
        apart: Whether trials have another number of threads than this worker, and so need a process of their own.
    """

    trial_groups: tuple[tuple[Packed, Mapping[Cell, str]], ...]
    places: Mapping[int, int]
    metric: str
    better: str
    unstoppable: tuple[int, ...]
    store: Any
    seconds: float | None = None
    memory: float | None = None
    apart: bool = False


def run_trial(config: Mapping[str, Any], inputs: TrialInput) -> None:
    """Run a trial's windows until its scheduler stops it; a window that fails ends it with its error in the report."""
    from ray import tune

    number = int(config["trial"])
    shared, cells = next((shared, cells) for shared, cells in inputs.trial_groups if f"trial {number}" in shared.job.models)
    job = at_home(shared, shared.job)
    own_cells = sorted((cell for cell in cells if cell.model == f"trial {number}"), key=lambda cell: cell.start)
    outcomes: dict[int, list[Outcome]] = {}
    computed = 0
    with _computing(inputs, shared, job, outcomes) as compute:
        for fold, place in sorted(inputs.places.items(), key=lambda pair: pair[1]):
            outcomes[fold] = []
            error = _window(
                inputs, {cell: cells[cell] for cell in own_cells if cell.fold.index == fold}, compute, outcomes[fold]
            )
            computed += sum(not outcome.cached for outcome in outcomes[fold])
            if error or place + 1 == len(inputs.places) or number not in inputs.unstoppable:
                score = math.inf if error else running(job, outcomes, inputs.metric, inputs.better)
                tune.report({"score": score, "folds": place if error else place + 1, "error": error, "computed": computed})
                computed = 0
            if error:
                return


def _window(inputs: TrialInput, cells: Mapping[Cell, str], compute: Callable[[Cell], Outcome], outcomes: list[Outcome]) -> str:
    """Load the cells of a window from the store, or compute and store them; return the error of the first that fails."""
    import ray

    for cell, key in cells.items():
        cached: Outcome | None = ray.get(inputs.store.get.remote(key, cell))
        outcome = compute(cell) if cached is None else cached
        outcomes.append(outcome)
        if outcome.error:
            return failure(outcome)
        if cached is None:
            ray.get(inputs.store.put.remote(key, outcome))
    return ""


@contextmanager
def _computing(
    inputs: TrialInput, shared: Packed, job: Job, outcomes: Mapping[int, list[Outcome]]
) -> Iterator[Callable[[Cell], Outcome]]:
    """Yield the function that computes a cell: in this worker, or under limits in a process of its own that can be killed."""
    hold_threads(job.cpus)
    if mismatch := unfit(job.machine, shared.packages):  # the keys of its cells would be wrong
        yield lambda cell: Outcome(cell, None, 0.0, mismatch)
        return
    frame = frame_of(shared)
    limits = limits_of(
        inputs.seconds, inputs.memory, lambda cell: sum(one.seconds for part in outcomes.values() for one in part)
    )
    if not (limits.watched or inputs.apart):
        yield lambda cell: compute_cell(job, frame, cell)
        return
    with pool(job) as workers:
        yield lambda cell: list(share_out(workers, job, [cell], 1, limits))[-1]


def running(job: Job, outcomes: Mapping[int, list[Outcome]], metric: str, better: str) -> float:
    """Return the score of all windows so far, the lower the better; infinite where it is undefined."""
    value = value_of(headline_score(scores_so_far(job, outcomes), metric))
    return math.inf if value is None else as_minimised(value, better)
