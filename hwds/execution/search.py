"""From a composed sweep to its trials and their cells: the data loaded, cut before the final windows, nothing computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from hwds.config.check_sweep import metric_of
from hwds.config.space import Leaf, leaves_of, space_of
from hwds.config.spec import Experiment
from hwds.errors import ConfigError, DataError
from hwds.execution.cache import CellCache
from hwds.execution.job import Job
from hwds.execution.prepare import OUTSIDE_NUMBERS, job_of
from hwds.execution.run import cut
from hwds.execution.trials import Trial, trials_of
from hwds.hashing import digest
from hwds.metrics.base import Measure, short
from hwds.protocols.base import Cell, Fold
from hwds.protocols.rehearsal import Rehearsal
from hwds.recipe import canonical, code_digest, uses_features
from hwds.results.folder import OUTPUTS
from hwds.results.sweep_folder import SweepFolder
from hwds.results.wording import counted

TERMS = ("seconds_per_trial", "memory_per_trial", "cpus_per_trial", "gpus_per_trial", "concurrent")
"""What a trial is given to work with."""

GROWING = ("trials", "seconds", *TERMS)
"""What a sweep may be given more or less of and still be the same one."""


@dataclass(frozen=True, eq=False)
class Lot:
    """The trials that share a feature set, and so a job.

    Attributes:
        job: What workers need; a model for each trial, by its label.
        cells: All cells of its trials, with their keys.
    """

    job: Job
    cells: Mapping[Cell, str]

    def cells_of(self, trial: Trial) -> dict[Cell, str]:
        """The cells of one trial, with their keys."""
        return {cell: key for cell, key in self.cells.items() if cell.model == trial.label}


@dataclass(frozen=True, eq=False)
class Search:
    """A sweep before its first cell.

    Attributes:
        experiment: The typed config.
        data: The composed one.
        leaves: What is searched.
        trials: What is tried.
        rehearsal: What trials are scored on.
        lots: Their cells.
        measure: What they are compared by.
        better: `low` or `high`.
        folder: Where the results go.
        cache: Where finished cells lie.
    """

    experiment: Experiment
    data: Mapping[str, Any]
    leaves: Sequence[Leaf]
    trials: Sequence[Trial]
    rehearsal: Rehearsal
    lots: Sequence[Lot]
    measure: Measure
    better: str
    folder: SweepFolder
    cache: CellCache

    @property
    def sweep(self) -> Any:
        """How it is searched."""
        return self.experiment.sweep

    def lot_of(self, trial: Trial) -> Lot:
        """The lot of a trial that was not refused."""
        return next(lot for lot in self.lots if trial.label in lot.job.models)

    def place(self, fold: Fold) -> int:
        """When a window is asked: the newest first, which are most like the final ones."""
        return len(self.rehearsal.folds) - 1 - fold.index

    @property
    def most_trials(self) -> int:
        """How many there are to be: those of a search that learns are proposed on the way."""
        return int(self.sweep.trials) if self.sweep.learns else len(self.trials)

    @property
    def used_up(self) -> str:
        """That there are fewer different settings than trials were asked for, in a sentence; empty where there are enough."""
        if self.sweep.every or len(self.trials) >= self.sweep.trials:
            return ""
        return f"{len(self.trials)} trials, not {self.sweep.trials}: the space has no more different settings."

    @property
    def rungs(self) -> tuple[int, ...]:
        """After how many windows trials are compared."""
        found: tuple[int, ...] = self.sweep.rungs(len(self.rehearsal.folds))
        return found


def prepare_search(data: Mapping[str, Any], experiment: Experiment) -> Search:
    """Load the data, cut it before the final windows, draw the trials.

    Raises:
        DataError: The data before the final windows does not suffice for one more.
        ConfigError: The metric has no good side, or there is nothing to stop between.
    """
    dataset: Any = experiment.dataset
    protocol: Any = experiment.protocol
    sweep: Any = experiment.sweep
    executor: Any = experiment.compute
    loaded = dataset.frame()
    rehearsal = rehearsed(protocol, loaded, sweep.windows)
    if sweep.stops and len(sweep.rungs(len(rehearsal.folds))) == 1:
        more = "" if getattr(protocol, "refit", "always") == "always" else ", or protocol.refit=always"
        raise ConfigError(f"sweep: '{sweep.name}' stops trials between fits, and there is only one; take sweep=random{more}.")
    measure, better = _compared_by(sweep, rehearsal, protocol)
    leaves = leaves_of(space_of(data), data)
    cache = executor.cells((OUTPUTS / "cache" / "cells").resolve())
    folder = SweepFolder.of(experiment.experiment, _sweep_id(experiment, loaded.fingerprint))
    empty = Search(experiment, data, leaves, (), rehearsal, (), measure, better, folder, cache)
    return search_of(empty, trials_of(data, sweep, leaves))


def rehearsed(protocol: Any, frame: Any, windows: int) -> Rehearsal:
    """What trials are scored on: so many windows, or as many as fit before the final ones, which is said.

    Raises:
        DataError: Not even one fits.
    """
    for count in range(windows, 0, -1):
        try:
            found: Rehearsal = protocol.rehearsal(frame, count)
        except DataError as error:
            why = error
        else:
            return found if count == windows else _told_fewer(found, count, windows)
    raise DataError(f"sweep.windows: not even one fits before the final ones: {why}") from why


def _told_fewer(found: Rehearsal, count: int, windows: int) -> Rehearsal:
    said = f"Trials are scored on {counted(count, 'inner windows')}, not {windows}: no more fit before the final ones."
    return replace(found, remark=" ".join(filter(None, (said, found.remark))))


def search_of(search: Search, trials: Sequence[Trial]) -> Search:
    """The same with other trials alone, and their cells."""
    asked = [_asked(trial, search.rehearsal) for trial in trials]
    lots = [_lot(search.experiment, part, search.rehearsal, search.cache) for part in _by_features(asked)]
    return replace(search, trials=asked, lots=lots)


def _compared_by(sweep: Any, rehearsal: Rehearsal, protocol: Any) -> tuple[Measure, str]:
    """The metric, and which side of it is good.

    Raises:
        ConfigError: It has none, and none is said.
    """
    name = metric_of(sweep, protocol)
    found = next((entry for entry in rehearsal.protocol.measures(rehearsal.frame) if entry.short == short(name)), Measure(name))
    if sweep.mode != "auto":
        return found, {"min": "low", "max": "high"}[sweep.mode]
    if found.better == "none":
        raise ConfigError(f"sweep.mode: must be min or max for '{name}', neither side of which is better; got 'auto'.")
    return found, found.better


def _asked(trial: Trial, rehearsal: Rehearsal) -> Trial:
    """The trial, refused where its model or its features cannot be asked of this data."""
    if trial.experiment is None:
        return trial
    protocol: Any = rehearsal.protocol
    try:
        protocol.check_models({trial.label: trial.experiment.model}, rehearsal.frame)
        if uses_features(trial.experiment.model):
            protocol.check_features(trial.experiment.features, rehearsal.frame)
    except ConfigError as error:
        return Trial(trial.number, trial.settings, trial.data, refused=str(error))
    return trial


def _by_features(trials: Sequence[Trial]) -> list[list[Trial]]:
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.experiment is not None:
            found.setdefault(digest(canonical(trial.experiment.features)), []).append(trial)
    return list(found.values())


def _lot(experiment: Experiment, trials: Sequence[Trial], rehearsal: Rehearsal, cache: CellCache) -> Lot:
    models = {trial.label: trial.experiment.model for trial in trials if trial.experiment}
    features = next(trial.experiment.features for trial in trials if trial.experiment)
    own, sweep = job_of(experiment, rehearsal.frame, models), cast("Any", experiment.sweep)
    job = replace(own, protocol=rehearsal.protocol, features=features, cpus=sweep.cpus_per_trial or own.cpus)
    return Lot(job, cut(job, rehearsal.folds, rehearsal.frame, cache))


def _sweep_id(experiment: Experiment, fingerprint: str) -> str:
    """The name of what determines a sweep's trials and their scores, but for how many of them there are."""
    settings = {key: value for key, value in canonical(experiment).items() if key not in OUTSIDE_NUMBERS}
    sweep = {key: value for key, value in canonical(experiment.sweep).items() if key not in GROWING}
    labels = [experiment.dataset.name, experiment.sweep.name, *experiment.models]
    recipes = [experiment.dataset, experiment.protocol, experiment.features, *experiment.models.values(), experiment.sweep]
    return digest({"settings": settings, "sweep": sweep, "labels": labels, "data": fingerprint, "code": code_digest(recipes)})
