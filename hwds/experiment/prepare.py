"""From a typed experiment to its cells: the data loaded and cut, every key known, nothing computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hwds.core.code_digest import modules_in
from hwds.core.environment import numeric_environment
from hwds.core.errors import ConfigError, DataError
from hwds.core.hashing import digest
from hwds.core.inputs import Inputs, digest_of_changes, digests, read_so_far, unchanged
from hwds.core.outputs import OUTPUTS
from hwds.core.recipe import Recipe, canonical, texts_in, uses_features
from hwds.core.settings import OUTSIDE_NUMBERS
from hwds.evaluation.abilities import KnowsTruth
from hwds.evaluation.base import Cell
from hwds.evaluation.segments import Segments
from hwds.execution.cell_cache import CellCache
from hwds.execution.cell_keys import run_code
from hwds.execution.job import Job
from hwds.execution.run import Work, cut
from hwds.experiment.spec import Experiment
from hwds.results.folder import RunFolder
from hwds.results.learning import FOLDER as LEARNING
from hwds.results.tables import TRUTH
from hwds.splitting.fold import Fold


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
        ConfigError: The data has no column that a feature or a segment is to be made of, nothing of what the decision names, or
            not the truth that the protocol scores by.
    """
    dataset, protocol = experiment.dataset, experiment.protocol
    loaded = dataset.frame()
    frame = protocol.prepare_frame(loaded)
    truth = dataset.truth(protocol.task) if frame is loaded else None  # it knows each series' law, not that of sums
    if truth is None and protocol.needs_truth:
        raise ConfigError(f"dataset: '{dataset.name}' knows no truth, by which protocol '{protocol.name}' scores.")
    truths = {TRUTH: truth} if truth is not None else {}
    job = job_of(experiment, frame, experiment.models | truths)
    folds = protocol.split(frame)
    _check_data(experiment, frame)
    cache = experiment.compute.cells(job.cells_folder)
    work = _work(experiment, frame, folds, cut(job, folds, frame, cache))
    code = run_code([dataset, protocol, experiment.features, *job.models.values()])
    name = experiment.experiment
    run = with_inputs(run_id(experiment, frame.fingerprint, code), lambda run: RunFolder.of(name, run))
    folder = RunFolder.of(name, run)
    job = replace(job, learning=folder.path / LEARNING)
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
        inputs_of(experiment, models),
    )


def inputs_of(experiment: Experiment, models: Mapping[str, Recipe]) -> Inputs | None:
    """Return the data files that a user's code has read so far, and those that settings name; None of code of hwds alone."""
    recipes = canonical([experiment.protocol, experiment.features, *models.values()])
    if all(module.partition(".")[0] == "hwds" for module in modules_in(recipes)):
        return None
    return read_so_far() | digests(text for text in texts_in(recipes) if Path(text).is_file())


def _check_data(experiment: Experiment, frame: Any) -> None:
    """Refuse data that lacks what features, models or the decision need."""
    protocol = experiment.protocol
    if any(uses_features(model) for model in experiment.models.values()):
        protocol.check_features(experiment.features, frame)
    protocol.check_models(experiment.models, frame)
    protocol.check_inputs(experiment.models, experiment.features, frame)
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
    """Return the digest of all that determines a run's numbers.

    These are data, code, the typed config without `OUTSIDE_NUMBERS`, and variables that choose instructions, if they are set.
    """
    settings = {key: value for key, value in canonical(experiment).items() if key not in OUTSIDE_NUMBERS}
    labels = [experiment.dataset.name, *experiment.models]
    return digest({"settings": settings, "labels": labels, "data": data, "code": code, **environment_part()})


def environment_part() -> dict[str, dict[str, str]]:
    """Return the part of an id that variables which choose instructions are; empty where none is set, as mostly."""
    said = numeric_environment()
    return {"environment": said} if said else {}


def with_inputs(run: str, folder_of: Callable[[str], RunFolder]) -> str:
    """Return the id of a run or a sweep: the same as long as the data files that a user's code read for it are the same.

    With other content of these files it has another id, which follows from the first and from their content.

    Args:
        run: The id that follows from all else.
        folder_of: Returns the folder of an id, which need not exist.
    """
    known = folder_of(run).read_inputs()
    return run if unchanged(known) else with_inputs(digest([run, digest_of_changes(known)]), folder_of)


def require_asked(prepared: Prepared) -> None:
    """Refuse a run without cells.

    Raises:
        DataError: There is no cell.
    """
    if not prepared.work.cells:
        raise DataError("protocol: the data gives it nothing to ask.")
