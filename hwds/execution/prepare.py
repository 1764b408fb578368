"""From a typed experiment to its cells: the data loaded and cut, every key known, nothing computed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwds.config.spec import Experiment
from hwds.errors import DataError, HwdsError
from hwds.execution.base import Compute
from hwds.execution.cache import CellCache
from hwds.execution.job import Job
from hwds.execution.run import Work, cut
from hwds.hashing import digest
from hwds.protocols.base import Cell, Fold
from hwds.protocols.segments import Segments
from hwds.recipe import Recipe, canonical, code_digest, uses_features
from hwds.results.folder import OUTPUTS, RunFolder
from hwds.results.tables import TRUTH

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
    """Load the data and cut it.

    Raises:
        DataError: The data is absent, wrong, or does not suffice for the protocol.
        ConfigError: The data has no column that a feature or a segment is to be made of, or nothing of what the decision names.
    """
    dataset: Any = experiment.dataset
    protocol: Any = experiment.protocol
    compute: Any = experiment.compute
    loaded = dataset.frame()
    frame = protocol.framed(loaded)
    truth = dataset.truth() if frame is loaded else None  # it knows each series' law, not that of sums
    asked = {TRUTH: truth} if truth is not None and truth.task == protocol.task else {}
    job = job_of(experiment, frame, experiment.models | asked)
    folds = protocol.split(frame)
    _check_data(experiment, frame)
    cache = compute.cells(job.cells_folder)
    work = _work(experiment, frame, folds, cut(job, folds, frame, cache))
    code = code_digest([dataset, protocol, experiment.features, *job.models.values()])
    folder = RunFolder.of(experiment.experiment, run_id(experiment, frame.fingerprint, code))
    return Prepared(experiment, frame, job, work, folder, cache, code)


def job_of(experiment: Experiment, frame: Any, models: dict[str, Recipe]) -> Job:
    """What workers need of an experiment, to ask these models."""
    compute = experiment.compute
    assert isinstance(compute, Compute)
    protocol: Any = experiment.protocol
    caches = (OUTPUTS / "cache").resolve()
    return Job(
        protocol,
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
    """The data has what features, models and the decision need."""
    protocol: Any = experiment.protocol
    decision: Any = experiment.decision
    if any(uses_features(model) for model in experiment.models.values()):
        protocol.check_features(experiment.features, frame)
    protocol.check_models(experiment.models, frame)
    decision.check_data(frame, protocol)


def _work(experiment: Experiment, frame: Any, folds: Sequence[Fold], cells: dict[Cell, str]) -> Work:
    """The cells, and all that their scores are told by."""
    protocol: Any = experiment.protocol
    name = experiment.dataset.name
    labels = {"experiment": experiment.experiment, "dataset": name, "task": protocol.task, "seed": experiment.seed}
    return Work(cells, folds, labels, Segments.of(protocol, frame), protocol.measures(frame), protocol.facts(frame))


def run_id(experiment: Experiment, data: str, code: str) -> str:
    """The name of what determines a run's numbers: data, code, and the typed config but for compute, decision and tracker."""
    settings = {key: value for key, value in canonical(experiment).items() if key not in OUTSIDE_NUMBERS}
    labels = [experiment.dataset.name, *experiment.models]
    return digest({"settings": settings, "labels": labels, "data": data, "code": code})


def lay_frame(frame: Any, folder: Path) -> None:
    """Write the frame where workers read it, whole or not at all.

    Raises:
        HwdsError: The folder cannot be written.
    """
    if folder.is_dir():
        return
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        beside.mkdir(parents=True)
        frame.write(beside)
        if not folder.is_dir():
            beside.rename(folder)
    except OSError as error:
        raise HwdsError(f"{folder}: cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def require_asked(prepared: Prepared) -> None:
    """Refuse a run that would ask nothing.

    Raises:
        DataError: There is no cell.
    """
    if not prepared.work.cells:
        raise DataError("protocol: the data gives it nothing to ask.")
