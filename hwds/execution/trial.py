"""One trial of a sweep by Ray Tune, on the worker that runs it: its windows one after the other, a report after each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwds.execution.asking import compute_cell
from hwds.execution.headline import headline, lower, scores_so_far, value_of
from hwds.execution.job import Job, Outcome
from hwds.execution.ray_cells import Packed, at_home, frame_of
from hwds.execution.threads import hold_threads
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
    """

    shared: Packed
    lots: tuple[tuple[Job, Mapping[Cell, str]], ...]
    places: Mapping[int, int]
    metric: str
    better: str
    patient: tuple[int, ...]
    store: Any


def run_trial(config: Mapping[str, Any], asked: Asked) -> None:
    """Ask a trial's windows until its scheduler stops it; a window that fails ends it with its error in the report."""
    from ray import tune

    number = int(config["trial"])
    label = f"trial {number}"
    job, cells = next((job, cells) for job, cells in asked.lots if label in job.models)
    job = at_home(asked.shared, job)
    hold_threads(job.cpus)
    frame = frame_of(asked.shared)
    outcomes: dict[int, list[Outcome]] = {}
    computed = 0
    for fold, place in sorted(asked.places.items(), key=lambda pair: pair[1]):
        own = [cell for cell in cells if cell.model == label and cell.fold.index == fold]
        outcomes[fold] = [_outcome(asked, job, frame, cell, cells[cell]) for cell in sorted(own, key=lambda cell: cell.start)]
        computed += sum(not outcome.cached for outcome in outcomes[fold])
        error = next((f"window {one.cell.fold.name}: {one.error}" for one in outcomes[fold] if one.error), "")
        last = place + 1 == len(asked.places)
        if error or last or number not in asked.patient:
            score = math.inf if error else running(job, outcomes, asked.metric, asked.better)
            tune.report({"score": score, "folds": place if error else place + 1, "error": error, "computed": computed})
            computed = 0
        if error:
            return


def _outcome(asked: Asked, job: Job, frame: Any, cell: Cell, key: str) -> Outcome:
    """The cell from the store, or computed and kept there."""
    import ray

    kept: Outcome | None = ray.get(asked.store.get.remote(key, cell))
    if kept is not None:
        return kept
    outcome = compute_cell(job, frame, cell)
    if not outcome.error:
        ray.get(asked.store.put.remote(key, outcome))
    return outcome


def running(job: Job, outcomes: Mapping[int, list[Outcome]], metric: str, better: str) -> float:
    """The score of all windows so far, the lower the better; infinite where it is undefined."""
    value = value_of(headline(scores_so_far(job, outcomes), metric))
    return math.inf if value is None else lower(value, better)
