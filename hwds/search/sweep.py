"""From a composed sweep to its trials and their cells: the data is cut before the final windows.

`hwds.cli.sweep` runs the trials, and then the best of them on the final windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from hwds.core.errors import ConfigError, DataError
from hwds.core.files import OUTPUTS, digest
from hwds.core.recipe import canonical, uses_features
from hwds.core.search_space import Leaf, leaves_of, space_of
from hwds.core.settings import OUTSIDE_NUMBERS
from hwds.evaluation.cells import CellCache, Job, run_code
from hwds.evaluation.protocol import Cell, Evaluation, Fold, Tunable, TuningSplit
from hwds.evaluation.run_cells import cut_cells
from hwds.experiment.prepare import environment_part, job_of, named_inputs, with_inputs
from hwds.experiment.spec import Experiment
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME
from hwds.frames.table import Table
from hwds.results.folder import RunFolder
from hwds.results.formatting import counted
from hwds.results.records import LEARNING_FOLDER as LEARNING
from hwds.results.sweep_folder import SweepFolder
from hwds.results.tables import Measure, short
from hwds.search.sweeps.base import SECONDS, Searching
from hwds.search.trials import (
    BASELINE,
    EarlierTrial,
    Trial,
    earlier_trials,
    reused_trials,
    sweep_trials,
)

# Checks that trials on other data or under another protocol are scored on the same answers in
# the same windows.

UNREAD_ROLES = ("covariate", "context", "slice", "stratum", "ignore")
"""Roles of a table that no score reads."""


def why_incomparable(first: TuningSplit, other: TuningSplit) -> str:
    """Return why scores on another split cannot be compared with those on the sweep's own.

    Empty where they can.

    Args:
        first: The split of the experiment as it stands.
        other: The split of a trial with another dataset or protocol.
    """
    windows, others = (
        [(fold.name, repr(fold.cutoffs), fold.units) for fold in split.folds]
        for split in (first, other)
    )
    if windows != others:
        names = ", ".join(str(name) for name, _, _ in others)
        return (
            f"it is scored on other windows ({names}) than the other trials, so that no score "
            f"can be compared"
        )
    if _scored_columns(first.frame) != _scored_columns(other.frame):
        return (
            "columns that scores read have other roles than in the other trials, so that no "
            "score can be compared"
        )
    if not _scored_part(first.frame).equals(_scored_part(other.frame)):
        return (
            "what it is scored on differs from that of the other trials, so that no score can "
            "be compared"
        )
    return ""


def _scored_columns(frame: Any) -> dict[str, tuple[str, ...]]:
    """Return the columns of a table that scores may read, by role; empty for another frame."""
    if not isinstance(frame, Table):
        return {}
    return {role: tuple(names) for role, names in frame.roles.items() if role not in UNREAD_ROLES}


def _scored_part(frame: Any) -> pl.DataFrame:
    """Return the part of a frame that is scored, and that names its rows."""
    if isinstance(frame, Panel):
        return frame.table.select(SERIES, TIME, TARGET)
    if isinstance(frame, Table):
        return frame.data.select(
            *dict.fromkeys(name for names in _scored_columns(frame).values() for name in names)
        )
    return pl.DataFrame({"frame": [frame.fingerprint]})


# From a composed sweep to its trials and their cells: the data is loaded and cut before the
# final windows.

RESOURCE_SETTINGS = (
    "seconds_per_trial",
    "memory_per_trial",
    "cpus_per_trial",
    "gpus_per_trial",
    "concurrent",
)
"""The settings of a trial's resources."""

RUNGS_MODULE = "hwds.search.rungs"
"""The module that scores and stops trials."""

GROWING_SETTINGS = ("trials", "seconds", "objectives", *RESOURCE_SETTINGS)
"""The settings that may differ between executions of the same sweep."""


@dataclass(frozen=True, eq=False)
class TrialGroup:
    """The trials that share features, data and protocol, and so a job.

    Attributes:
        job: The job of the workers, with a model for each trial, by its label.
        cells: All cells of its trials, with their keys.
        frame: The data, without what was not known at the first of the experiment's own cutoffs.
    """

    job: Job
    cells: Mapping[Cell, str]
    frame: Any

    def cells_of(self, trial: Trial) -> dict[Cell, str]:
        """The cells of one trial, with their keys."""
        return {cell: key for cell, key in self.cells.items() if cell.model == trial.label}


@dataclass(frozen=True, eq=False)
class Search:
    """A sweep, ready to compute its first cell.

    Attributes:
        experiment: The typed config.
        data: The composed config.
        leaves: The settings that are searched.
        trials: The trials.
        tuning_split: The windows that trials are scored on.
        trial_groups: The trials' cells, grouped by features, data and protocol.
        measure: The metric that they are compared by.
        better: `low` or `high`.
        folder: The folder of the results.
        cache: The cache of finished cells.
        evidence: The finished trials of earlier sweeps that count.
        splits: The windows of trials on other data or under another protocol, by what they are made
            of.
    """

    experiment: Experiment
    data: Mapping[str, Any]
    leaves: Sequence[Leaf]
    trials: Sequence[Trial]
    tuning_split: TuningSplit
    trial_groups: Sequence[TrialGroup]
    measure: Measure
    better: str
    folder: SweepFolder
    cache: CellCache
    splits: dict[str, TuningSplit]
    evidence: Sequence[EarlierTrial] = ()

    @property
    def sweep(self) -> Searching:
        """The search itself."""
        return searching(self.experiment)

    def group_of(self, trial: Trial) -> TrialGroup:
        """Return the group of a trial that was not refused."""
        return next(group for group in self.trial_groups if trial.label in group.job.models)

    @property
    def cells(self) -> dict[Cell, str]:
        """All cells of all trials, with their keys."""
        return {cell: key for group in self.trial_groups for cell, key in group.cells.items()}

    def cells_of(self, trial: Trial) -> dict[Cell, str]:
        """Return the cells of a trial that was not refused, with their keys."""
        return self.group_of(trial).cells_of(trial)

    def cached_cells(self) -> dict[Cell, bool]:
        """Return whether each cell is in the cache."""
        return {cell: self.cache.has(key) for cell, key in self.cells.items()}

    def is_cached(self, trial: Trial) -> bool:
        """Return whether all cells of a trial are in the cache."""
        return all(map(self.cache.has, self.cells_of(trial).values()))

    def place(self, fold: Fold) -> int:
        """Return the position of a window in the order of computation: the newest first, which are
        most like the final ones.
        """
        return len(self.tuning_split.folds) - 1 - fold.index

    @property
    def most_trials(self) -> int:
        """The final number of trials: those of a search that learns are proposed on the way."""
        return self.sweep.trials + len(self.sources) if self.sweep.learns else len(self.trials)

    @property
    def sources(self) -> list[str]:
        """The sweep of each trial that an earlier one has finished."""
        return [trial.source for trial in self.trials if trial.source]

    @property
    def unstoppable(self) -> set[int]:
        """The numbers of the trials that are never stopped: the experiment as it stands, and those
        that have all windows.
        """
        reused = {trial.number for trial in self.trials if trial.source}
        return reused | ({BASELINE} if self.sweep.baseline else set())

    @property
    def used_up(self) -> str:
        """The remark that the space has fewer different settings than trials.

        Empty where there are enough.
        """
        drawn = len(self.trials) - len(self.sources)
        if self.sweep.every or drawn >= self.sweep.trials:
            return ""
        return (
            f"{counted(drawn, 'trials')}, not {self.sweep.trials}: the space has no more "
            f"different settings."
        )

    @property
    def rungs(self) -> tuple[int, ...]:
        """The numbers of windows after which trials are compared."""
        return self.sweep.rungs(len(self.tuning_split.folds))


def searching(experiment: Experiment) -> Searching:
    """Return the search of an experiment that has one."""
    assert isinstance(experiment.sweep, Searching)
    return experiment.sweep


def prepare_search(data: Mapping[str, Any], experiment: Experiment) -> Search:
    """Load the data, cut it before the final windows, and draw the trials.

    Raises:
        DataError: The data before the final windows does not suffice for one more.
        ConfigError: The metric has no good side, or there is nothing to stop between.
    """
    data, experiment = _with_search_settings(data, experiment)
    loaded = experiment.dataset.frame()
    name = experiment.experiment
    sweep_id = with_inputs(
        _sweep_id(experiment, loaded.fingerprint),
        lambda sweep: RunFolder(SweepFolder.of(name, sweep).path),
    )
    folder = SweepFolder.of(name, sweep_id)
    requested, experiment = searching(experiment).trials, _with_tried(experiment, folder)
    protocol, sweep = experiment.protocol, searching(experiment)
    assert isinstance(protocol, Tunable)
    tuning_split = tuning_split_of(protocol, loaded, sweep.windows)
    if sweep.trials > requested:
        kept = f"{sweep.trials} trials, not {requested}: so many were tried before, and they stay."
        tuning_split = _with_remark(tuning_split, kept)
    if sweep.stops and len(sweep.rungs(len(tuning_split.folds))) == 1:
        more = (
            ""
            if getattr(protocol, "refit", None) in ("always", None)
            else ", or protocol.refit=always"
        )
        raise ConfigError(
            f"sweep: '{sweep.name}' stops trials between fits, and there is only one; take "
            f"sweep=random{more}."
        )
    measure, better = _trial_metric(sweep, tuning_split, protocol)
    leaves = leaves_of(space_of(data), data)
    cache = experiment.compute.cells((OUTPUTS / "cache" / "cells").resolve())
    splits = {_split_key(experiment): tuning_split}
    empty = Search(
        experiment, data, leaves, (), tuning_split, (), measure, better, folder, cache, splits
    )
    evidence = find_earlier_trials(empty) if sweep.reuse else ()
    return search_of(replace(empty, evidence=evidence), sweep_trials(data, sweep, leaves, evidence))


def _with_search_settings(
    data: Mapping[str, Any], experiment: Experiment
) -> tuple[Mapping[str, Any], Experiment]:
    """Return an experiment, composed and typed, with what its protocol sets for a search."""
    protocol = experiment.protocol
    assert isinstance(protocol, Tunable)
    fixed = protocol.search_settings()
    typed = replace(experiment, protocol=replace(protocol, **fixed))
    return (
        ({**data, "protocol": {**data["protocol"], **fixed}}, typed)
        if fixed
        else (data, experiment)
    )


def find_earlier_trials(search: Search) -> list[EarlierTrial]:
    """Return the trials of earlier sweeps that count: those noted when the sweep began, or those
    there are now.
    """
    noted = search.folder.read_evidence()
    if noted is not None:
        return [EarlierTrial(**each) for each in noted]
    trials = reused_trials(
        search.data, search.sweep, list(earlier_trials(search.folder, search.data, search.leaves))
    )
    part = search_of(search, [trial for trial in trials if trial.source and trial.experiment])
    return [
        EarlierTrial(trial.settings, trial.source, trial.covers)
        for trial in part.trials
        if trial.experiment and part.is_cached(trial)
    ]


def tuning_split_of(protocol: Tunable, frame: Any, windows: int) -> TuningSplit:
    """Return the windows that trials are scored on: so many, or as many as fit before the final
    ones, with a remark.

    Raises:
        DataError: Not even one fits.
    """
    with suppress(DataError):
        return protocol.tuning_split(frame, windows)
    try:
        found = protocol.tuning_split(frame, 1)
    except DataError as error:
        raise DataError(
            f"sweep.windows: not even one fits before the final ones: {error}"
        ) from error
    fitting, beyond = 1, windows
    while beyond - fitting > 1:  # by halves: where so many fit, fewer do
        middle = (fitting + beyond) // 2
        try:
            found, fitting = protocol.tuning_split(frame, middle), middle
        except DataError:
            beyond = middle
    fewer = (
        f"Trials are scored on {counted(fitting, 'inner windows')}, not {windows}: no more "
        f"fit before the final ones."
    )
    return _with_remark(found, fewer)


def _with_remark(found: TuningSplit, remark: str) -> TuningSplit:
    return replace(found, remark=" ".join(filter(None, (remark, found.remark))))


def _with_tried(experiment: Experiment, folder: SweepFolder) -> Experiment:
    """Return the experiment with as many trials as its sweep has tried, if it asks fewer: the best
    of all of them stays.
    """
    sweep = searching(experiment)
    if sweep.every or folder.count_tried() <= sweep.trials:
        return experiment
    return replace(experiment, sweep=replace(sweep, trials=folder.count_tried()))


def search_of(search: Search, trials: Sequence[Trial]) -> Search:
    """Return the search with other trials in place of its own, and their cells."""
    checked = [_check_trial(trial, search) for trial in trials]
    groups = [_trial_group(search, part) for part in _by_frame(checked)]
    return replace(search, trials=checked, trial_groups=groups)


def _trial_metric(
    sweep: Searching, tuning_split: TuningSplit, protocol: Evaluation[Any, Any]
) -> tuple[Measure, str]:
    """Return the metric that trials are compared by, and whether a low or a high value is good.

    Raises:
        ConfigError: It has no good side, and `mode` names none.
    """
    name = sweep.metric_for(protocol)
    found = next(
        (
            entry
            for entry in tuning_split.protocol.measures(tuning_split.frame)
            if entry.short == short(name)
        ),
        Measure(name),
    )
    given = {"auto": found.better, "min": "low", "max": "high"}[sweep.mode]
    if found.better not in ("none", given):
        good = {"low": "lower", "high": "higher"}[found.better]
        raise ConfigError(f"sweep.mode: of '{name}' the {good} is the better; got '{sweep.mode}'.")
    if sweep.mode != "auto":
        return found, given
    if found.better == "none":
        raise ConfigError(
            f"sweep.mode: must be min or max for '{name}', neither side of which is better; got "
            f"'auto'."
        )
    return found, found.better


def _split_key(experiment: Experiment) -> str:
    """Return what the windows of trials are made of, as a digest."""
    return digest([canonical(experiment.dataset), canonical(experiment.protocol)])


def _split_of(search: Search, experiment: Experiment) -> TuningSplit:
    """Return the windows that a trial is scored on.

    Raises:
        HwdsError: Its data cannot be read, or cannot be cut.
    """
    key = _split_key(experiment)
    if key not in search.splits:
        assert isinstance(experiment.protocol, Tunable)
        search.splits[key] = tuning_split_of(
            experiment.protocol, experiment.dataset.frame(), search.sweep.windows
        )
    return search.splits[key]


def _check_trial(trial: Trial, search: Search) -> Trial:
    """Return the trial, refused where its parts cannot be used on this data, or its scores not be
    compared.
    """
    if trial.experiment is None:
        return trial
    try:
        tuning_split = _split_of(search, trial.experiment)
        if why := why_incomparable(search.tuning_split, tuning_split):
            return replace(trial, experiment=None, refused=f"{why}.")
        protocol = tuning_split.protocol
        protocol.check_models({trial.label: trial.experiment.model}, tuning_split.frame)
        if uses_features(trial.experiment.model):
            protocol.check_features(trial.experiment.features, tuning_split.frame)
    except (ConfigError, DataError) as error:
        return replace(trial, experiment=None, refused=str(error))
    return trial


def _by_frame(trials: Sequence[Trial]) -> list[list[Trial]]:
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.experiment is not None:
            part = digest([canonical(trial.experiment.features), _split_key(trial.experiment)])
            found.setdefault(part, []).append(trial)
    return list(found.values())


def _trial_group(search: Search, trials: Sequence[Trial]) -> TrialGroup:
    models = {trial.label: trial.experiment.model for trial in trials if trial.experiment}
    first = next(trial.experiment for trial in trials if trial.experiment)
    tuning_split = _split_of(search, first)
    usual = job_of(search.experiment, tuning_split.frame, models)
    job = replace(
        usual,
        protocol=tuning_split.protocol,
        features=first.features,
        cpus=threads_of(search.experiment),
        ready=SECONDS in search.sweep.objectives,
        learning=search.folder.path / LEARNING,
    )
    return TrialGroup(
        job,
        cut_cells(job, tuning_split.folds, tuning_split.frame, search.cache),
        tuning_split.frame,
    )


def threads_of(experiment: Experiment) -> int:
    """Return the number of threads of a trial: its cells, their last bits and what they take depend
    on it.
    """
    return searching(experiment).cpus_per_trial or experiment.compute.cpus_per_cell


def _sweep_id(experiment: Experiment, fingerprint: str) -> str:
    """Return the digest of all that determines a sweep's trials and their scores, but for the
    number of trials.
    """
    settings, sweep = (
        {key: value for key, value in canonical(part).items() if key not in left_out}
        for part, left_out in ((experiment, OUTSIDE_NUMBERS), (experiment.sweep, GROWING_SETTINGS))
    )
    labels = [experiment.dataset.name, experiment.sweep.name, *experiment.models]
    recipes = [
        experiment.dataset,
        experiment.protocol,
        experiment.features,
        *experiment.models.values(),
        experiment.sweep,
    ]
    code = run_code(recipes, RUNGS_MODULE)
    named = named_inputs(experiment, experiment.models)
    parts: dict[str, Any] = {"inputs": named} if named else {}
    parts |= {
        "settings": settings,
        "sweep": sweep,
        "labels": labels,
        "data": fingerprint,
        "code": code,
    }
    return digest(parts | {"threads": threads_of(experiment)} | environment_part())
