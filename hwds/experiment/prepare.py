"""From a typed experiment to its cells: the data loaded and cut, every key known, nothing computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hwds.core.errors import DataError
from hwds.core.hashing import digest
from hwds.core.recipe import Recipe, canonical, uses_features
from hwds.evaluation.abilities import KnowsTruth
from hwds.evaluation.base import Cell
from hwds.evaluation.segments import Segments
from hwds.execution.cell_cache import CellCache
from hwds.execution.cell_keys import run_code
from hwds.execution.job import Job
from hwds.execution.run import Work, cut
from hwds.experiment.spec import Experiment
from hwds.results.folder import OUTPUTS, RunFolder
from hwds.results.tables import TRUTH
from hwds.splitting.fold import Fold

OUTSIDE_NUMBERS = ("compute", "decision", "save_model", "experiment", "sweep", "tracker")


@dataclass(frozen=True, eq=False)
class Prepared:
    """A run before its first cell.

    Attributes:
        experiment: The typed config.
        frame: The data.
        job: What workers need.
        work: The cells and their keys.
        folder: Where the results go.
        cache: Where finished cells lie.
        code: The fingerprint of the source.
    """

    experiment: Experiment
    frame: Any
    job: Job
    work: Work
    folder: RunFolder
    cache: CellCache
    code: str


def prepare(experiment: Experiment) -> Prepared:
    """Load the data, cut it, and name every cell and its key.

    Raises:
        DataError: The data is absent, wrong, or does not suffice for the protocol.
        ConfigError: The data has no column that a feature or a segment is to be made of, or nothing of what the decision names.
    """
    dataset, protocol = experiment.dataset, experiment.protocol
    loaded = dataset.frame()
    frame = protocol.prepare_frame(loaded)
    truth = dataset.truth(protocol.task) if frame is loaded else None  # it knows each series' law, not that of sums
    truths = {TRUTH: truth} if truth is not None else {}
    job = job_of(experiment, frame, experiment.models | truths)
    folds = protocol.split(frame)
    _check_data(experiment, frame)
    cache = experiment.compute.cells(job.cells_folder)
    work = _work(experiment, frame, folds, cut(job, folds, frame, cache))
    code = run_code([dataset, protocol, experiment.features, *job.models.values()])
    folder = RunFolder.of(experiment.experiment, run_id(experiment, frame.fingerprint, code))
    return Prepared(experiment, frame, job, work, folder, cache, code)


def job_of(experiment: Experiment, frame: Any, models: dict[str, Recipe]) -> Job:
    """Return what workers need to evaluate these models of an experiment."""
    compute = experiment.compute
    caches = (OUTPUTS / "cache").resolve()
    return Job(
        experiment.protocol,
        models,
        experiment.features,
        experiment.seed,
        compute.cpus_per_cell,
        compute.found_device(),
        type(frame),
        caches / "frames" / frame.fingerprint,
        caches / "cells",
        compute.machine(),
    )


def _check_data(experiment: Experiment, frame: Any) -> None:
    """Refuse data that lacks what features, models or the decision need."""
    protocol = experiment.protocol
    if any(uses_features(model) for model in experiment.models.values()):
        protocol.check_features(experiment.features, frame)
    protocol.check_models(experiment.models, frame)
    experiment.decision.check_data(frame, protocol)


def _work(experiment: Experiment, frame: Any, folds: Sequence[Fold], cells: dict[Cell, str]) -> Work:
    """Return the cells, and the labels and segments of their scores."""
    protocol = experiment.protocol
    labels: dict[str, str | int] = {
        "experiment": experiment.experiment,
        "dataset": experiment.dataset.name,
        "task": protocol.task,
        "seed": experiment.seed,
    }
    oracle = protocol.oracle_scores(frame) if isinstance(protocol, KnowsTruth) else ()
    return Work(cells, folds, labels, Segments.of(protocol, frame), protocol.measures(frame), oracle)


def run_id(experiment: Experiment, data: str, code: str) -> str:
    """Return the digest of all that determines a run's numbers: data, code, and the typed config without `OUTSIDE_NUMBERS`."""
    settings = {key: value for key, value in canonical(experiment).items() if key not in OUTSIDE_NUMBERS}
    labels = [experiment.dataset.name, *experiment.models]
    return digest({"settings": settings, "labels": labels, "data": data, "code": code})


def require_asked(prepared: Prepared) -> None:
    """Refuse a run without cells.

    Raises:
        DataError: There is no cell.
    """
    if not prepared.work.cells:
        raise DataError("protocol: the data gives it nothing to ask.")
