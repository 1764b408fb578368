"""The score of a trial on its windows so far, and its run by Ray Tune, a score a window."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import polars as pl

from hwds.core.cache import Cache
from hwds.evaluation.cells import CellCache, CellOutcome, Job, compute_cell
from hwds.evaluation.protocol import Cell, Score, headline_score
from hwds.evaluation.ray.executor import PackedJob, frame_on_node, job_on_node, unfit
from hwds.evaluation.run_cells import merge_rows, postprocess_rows, score_rows
from hwds.evaluation.workers import (
    failure_reason,
    hold_threads,
    kept_workers,
    limits_of,
    share_out,
    worker_pool,
)

# The scores of trials on the windows so far, and the one number that they are compared by.


def rows_by_fold(
    job: Job, outcomes: Mapping[int, Sequence[CellOutcome]]
) -> dict[int, pl.DataFrame]:
    """Return the rows of one model that are scored, by fold, from the outcomes of its cells."""
    return postprocess_rows(
        job, {fold: merge_rows(job, parts) for fold, parts in sorted(outcomes.items())}
    )


def scores_so_far(job: Job, outcomes: Mapping[int, Sequence[CellOutcome]]) -> Sequence[Score]:
    """Return the scores of one model on all its folds so far together."""
    parts = [part for part in rows_by_fold(job, outcomes).values() if not part.is_empty()]
    return score_rows(job, pl.concat(parts)) if parts else ()


def score_value(score: Score | None) -> float | None:
    """Return the value of a score; None where it is missing or not finite."""
    return (
        score.value
        if score is not None and score.value is not None and math.isfinite(score.value)
        else None
    )


def as_minimised(value: float, better: str) -> float:
    """Return a score with its sign such that low is good; applied twice it is the score again."""
    return -value if better == "high" else value


# One trial of a sweep by Ray Tune, on the worker that runs it: its windows one after the other,
# a report after each.


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
        apart: Whether trials have another number of threads than this worker, and so need a process
            of their own.
    """

    trial_groups: tuple[tuple[PackedJob, Mapping[Cell, str]], ...]
    places: Mapping[int, int]
    metric: str
    better: str
    unstoppable: tuple[int, ...]
    store: Any
    seconds: float | None = None
    memory: float | None = None
    apart: bool = False


def run_trial(config: Mapping[str, Any], inputs: TrialInput) -> None:
    """Run a trial's windows until its scheduler stops it.

    A window that fails ends it with its error in the report.
    """
    from ray import tune

    number = int(config["trial"])
    shared, cells = next(
        (shared, cells)
        for shared, cells in inputs.trial_groups
        if f"trial {number}" in shared.job.models
    )
    job = job_on_node(shared, shared.job)
    own_cells = sorted(
        (cell for cell in cells if cell.model == f"trial {number}"), key=lambda cell: cell.start
    )
    outcomes: dict[int, list[CellOutcome]] = {}
    computed = 0
    with kept_workers(), _cell_computer(inputs, shared, job, outcomes) as compute:
        for fold, place in sorted(inputs.places.items(), key=lambda pair: pair[1]):
            outcomes[fold] = []
            error = _window(
                inputs,
                {cell: cells[cell] for cell in own_cells if cell.fold.index == fold},
                CellCache(Cache(job.cells_folder)),
                compute,
                outcomes[fold],
            )
            computed += sum(not outcome.cached for outcome in outcomes[fold])
            if error or place + 1 == len(inputs.places) or number not in inputs.unstoppable:
                score = (
                    math.inf
                    if error
                    else running_score(job, outcomes, inputs.metric, inputs.better)
                )
                tune.report(
                    {
                        "score": score,
                        "folds": place if error else place + 1,
                        "error": error,
                        "computed": computed,
                    }
                )
                computed = 0
            if error:
                return


def _window(
    inputs: TrialInput,
    cells: Mapping[Cell, str],
    here: CellCache,
    compute: Callable[[Cell], CellOutcome],
    outcomes: list[CellOutcome],
) -> str:
    """Load the cells of a window from the store, or compute and store them.

    Each is locked in the cache of this node meanwhile: on the driver's node another run that needs
    it waits, and this one for another. Return the error of the first that fails.
    """
    import ray

    for cell, key in cells.items():
        with here.lock(key, wait=True):
            cached: CellOutcome | None = ray.get(inputs.store.get.remote(key, cell))
            outcome = compute(cell) if cached is None else cached
            outcomes.append(outcome)
            if outcome.error:
                return failure_reason(outcome)
            if cached is None:
                ray.get(inputs.store.put.remote(key, outcome))
    return ""


@contextmanager
def _cell_computer(
    inputs: TrialInput, shared: PackedJob, job: Job, outcomes: Mapping[int, list[CellOutcome]]
) -> Iterator[Callable[[Cell], CellOutcome]]:
    """Yield the function that computes a cell: in this worker, or under limits in a process of its
    own that can be killed.
    """
    hold_threads(job.cpus)
    if mismatch := unfit(job.machine, shared.packages):  # the keys of its cells would be wrong
        yield lambda cell: CellOutcome(cell, None, 0.0, mismatch)
        return
    frame = frame_on_node(shared)
    limits = limits_of(
        inputs.seconds,
        inputs.memory,
        lambda cell: sum(one.seconds for part in outcomes.values() for one in part),
    )
    if not (limits.watched or inputs.apart or job.sealed):
        yield lambda cell: compute_cell(job, frame, cell)
        return
    with worker_pool(job) as workers:
        yield lambda cell: list(share_out(workers, job, [cell], 1, limits))[-1]


def running_score(
    job: Job, outcomes: Mapping[int, list[CellOutcome]], metric: str, better: str
) -> float:
    """Return the score of all windows so far, the lower the better.

    Infinite where it is undefined.
    """
    value = score_value(headline_score(scores_so_far(job, outcomes), metric))
    return math.inf if value is None else as_minimised(value, better)
