"""From a typed experiment to its cells: data cut, keys, time foreseen, a user's code tried."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl
from polars import DataFrame, col

from hwds.core.cache import (
    VARIABLE,
    Inputs,
    are_unchanged,
    digest_of_changes,
    digests,
    read_so_far,
)
from hwds.core.checksums import read_json, read_parquet
from hwds.core.errors import ConfigError, DataError
from hwds.core.extras import NOT_INSTALLED, install_command, package_names
from hwds.core.files import OUTPUTS, digest
from hwds.core.keys import numeric_environment
from hwds.core.recipe import Recipe, canonical, texts_in, uses_features
from hwds.core.settings import OUTSIDE_NUMBERS
from hwds.core.walls import is_environment_fixed
from hwds.datasets.base import Dataset
from hwds.evaluation.cells import CellCache, Job, has_own_code, run_code
from hwds.evaluation.protocol import (
    Cell,
    Compiling,
    Evaluation,
    Fold,
    Foreseeable,
    KnowsTruth,
    ScoreSegments,
)
from hwds.evaluation.run_cells import RunWork, cut_cells
from hwds.evaluation.workers import hold_threads
from hwds.experiment.spec import Experiment
from hwds.frames.features.base import RowFeatures
from hwds.frames.panel import Panel
from hwds.frames.table import Table
from hwds.results.files import DAMAGE
from hwds.results.folder import CONFIG, RunFolder, read_config
from hwds.results.formatting import percent
from hwds.results.records import LEARNING_FOLDER as LEARNING
from hwds.results.tables import TRUTH

# From a typed experiment to its cells: the data loaded and cut, every key known, nothing
# computed.


@dataclass(frozen=True, eq=False)
class Prepared:
    """A run before its first cell.

    Attributes:
        experiment: The typed config.
        frame: The data.
        job: What workers need.
        work: The cells and their keys.
        folder: The folder of the results.
        cache: The cache of finished cells.
        code: The fingerprint of the source.
    """

    experiment: Experiment
    frame: Any
    job: Job
    work: RunWork
    folder: RunFolder
    cache: CellCache
    code: str


def prepare(experiment: Experiment) -> Prepared:
    """Load the data, cut it, and name every cell and its key.

    Raises:
        DataError: The data is absent, wrong, or does not suffice for the protocol.
        ConfigError: The data has no column that a feature or a segment is to be made of, nothing of
            what the decision names, or not the truth that the protocol scores by.
    """
    dataset, protocol = experiment.dataset, experiment.protocol
    frame, truths = load_frame(dataset, protocol)
    job = job_of(experiment, frame, experiment.models | truths)
    folds = protocol.split(frame)
    _check_data(experiment, frame)
    cache = experiment.compute.cells(job.cells_folder)
    work = _work(experiment, frame, folds, cut_cells(job, folds, frame, cache))
    code = run_code([dataset, protocol, experiment.features, *job.models.values()])
    name = experiment.experiment
    run = with_inputs(
        run_id(experiment, frame.fingerprint, code, job.named), lambda run: RunFolder.of(name, run)
    )
    folder = RunFolder.of(name, run)
    job = replace(job, learning=folder.path / LEARNING)
    return Prepared(experiment, frame, job, work, folder, cache, code)


def load_frame(dataset: Dataset, protocol: Evaluation[Any, Any]) -> tuple[Any, dict[str, Recipe]]:
    """Return the data as a protocol cuts it, and the truth by its label where the dataset knows it.

    Raises:
        DataError: The data is absent, or wrong.
        ConfigError: The dataset does not know the truth that the protocol scores by.
    """
    loaded = dataset.frame()
    frame = protocol.prepare_frame(loaded)
    truth = (
        dataset.truth(protocol.task) if frame is loaded else None
    )  # it knows each series' law, not that of sums
    if truth is None and protocol.needs_truth:
        raise ConfigError(
            f"dataset: '{dataset.name}' knows no truth, by which protocol '{protocol.name}' scores."
        )
    return frame, {TRUTH: truth} if truth is not None else {}


def job_of(experiment: Experiment, frame: Any, models: dict[str, Recipe]) -> Job:
    """Return what workers need to evaluate these models of an experiment."""
    compute = experiment.compute
    caches = (OUTPUTS / "cache").resolve()
    inputs, named = inputs_of_run(experiment, models), named_inputs(experiment, models)
    variables = [name.removeprefix(VARIABLE) for name in named if name.startswith(VARIABLE)]
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
        inputs,
        named=named,
        variables={name: os.environ[name] for name in variables if name in os.environ},
        sealed=inputs is not None and compute.seals(),
    )


def inputs_of_run(experiment: Experiment, models: Mapping[str, Recipe]) -> Inputs | None:
    """Return the data files that a user's code has read so far, and those that the config names.

    None of code of hwds alone.
    """
    recipes = [experiment.protocol, experiment.features, *models.values()]
    if not has_own_code(recipes):
        return None
    texts = texts_in(canonical(recipes))
    by_settings = digests(text for text in texts if Path(text).is_file())
    return read_so_far() | by_settings | named_inputs(experiment, models)


def named_inputs(experiment: Experiment, models: Mapping[str, Recipe]) -> Inputs:
    """Return the digests of the files and folders of `inputs` and of the variables of
    `compute.environment`; nothing for code of hwds alone.
    """
    if not has_own_code([experiment.protocol, experiment.features, *models.values()]):
        return {}
    variables = (f"{VARIABLE}{name}" for name in experiment.compute.environment)
    return digests((*experiment.inputs, *variables))


def _check_data(experiment: Experiment, frame: Any) -> None:
    """Refuse data that lacks what features, models or the decision need."""
    protocol = experiment.protocol
    if any(uses_features(model) for model in experiment.models.values()):
        protocol.check_features(experiment.features, frame)
    protocol.check_models(experiment.models, frame)
    protocol.check_inputs(experiment.models, experiment.features, frame)
    experiment.decision.check_data(frame, protocol)


def _work(
    experiment: Experiment, frame: Any, folds: Sequence[Fold], cells: dict[Cell, str]
) -> RunWork:
    """Return the cells, and the labels and segments of their scores."""
    protocol = experiment.protocol
    labels: dict[str, str | int] = {
        "experiment": experiment.experiment,
        "dataset": experiment.dataset.name,
        "task": protocol.task,
        "seed": experiment.seed,
    }
    oracle = protocol.oracle_scores(frame) if isinstance(protocol, KnowsTruth) else ()
    return RunWork(
        cells, folds, labels, ScoreSegments.of(protocol, frame), protocol.measures(frame), oracle
    )


def run_id(experiment: Experiment, data: str, code: str, named: Inputs) -> str:
    """Return the digest of all that determines a run's numbers.

    These are data, code, the typed config without `OUTSIDE_NUMBERS`, variables that choose
    instructions, if they are set, and what the config names for a user's code.
    """
    settings = {
        key: value for key, value in canonical(experiment).items() if key not in OUTSIDE_NUMBERS
    }
    labels = [experiment.dataset.name, *experiment.models]
    inputs = {"inputs": named} if named else {}
    parts = {"settings": settings, "labels": labels, "data": data, "code": code, **inputs}
    return digest(parts | environment_part())


def environment_part() -> dict[str, dict[str, str]]:
    """Return the part of an id that variables which choose instructions are.

    Empty where none is set, as mostly.
    """
    environment = numeric_environment()
    return {"environment": environment} if environment else {}


def with_inputs(run: str, folder_of: Callable[[str], RunFolder]) -> str:
    """Return the id of a run or a sweep: the same as long as the data files that a user's code read
    for it are the same.

    With other content of these files it has another id, which follows from the first and from their
    content.

    Args:
        run: The id that follows from all else.
        folder_of: Returns the folder of an id, which need not exist.
    """
    inputs = folder_of(run).read_inputs()
    if are_unchanged(inputs):
        return run
    return with_inputs(digest([run, digest_of_changes(inputs)]), folder_of)


def require_asked(prepared: Prepared) -> None:
    """Refuse a run without cells.

    Raises:
        DataError: There is no cell.
    """
    if not prepared.work.cells:
        raise DataError("protocol: the data gives it nothing to ask.")


# An estimate of the time of missing cells: from the time of earlier ones, or else from the work
# that they are.
# A cell takes what it takes to begin and to write its rows, and something for each unit. The
# two are told apart where cells of several sizes were timed: between two sizes the seconds are
# interpolated, beyond them they go on as from the smallest to the largest. From one size alone
# a larger cell cannot be foreseen but from above, as if nothing were fixed.
# What was never timed on the data follows from rows, steps, trees and epochs, by the laws of
# its protocol, and from the speed of this machine.

ALIKE = 1.5
"""The largest ratio of a cell's size to the one size that was timed at which both count as alike.
"""


@dataclass(frozen=True, slots=True)
class TimeEstimate:
    """An estimate of time.

    Attributes:
        seconds: The seconds on one core.
        at_most: Whether it may be far too high, as only far smaller cells were timed.
        by_work: Whether some of it follows from the work that cells are, and was never timed on
            this data.
        by_budget: Whether some of it is a budget, which need not be used up.
    """

    seconds: float
    at_most: bool = False
    by_work: bool = False
    by_budget: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class CellTimes:
    """The times of a model's cells: the sizes that were timed, rising, and the median seconds of
    each.
    """

    sizes: Sequence[int]
    seconds: Sequence[float]

    def time(self, units: int) -> TimeEstimate:
        """Return the estimate for a cell with so many units."""
        sizes, seconds = (
            np.array(self.sizes, float),
            np.maximum.accumulate(self.seconds),
        )  # more units take no less
        first, last = (sizes[0], seconds[0]), (sizes[-1], seconds[-1])
        each = (
            (last[1] - first[1]) / (last[0] - first[0]) if len(sizes) > 1 else first[1] / first[0]
        )
        if units > last[0]:
            return TimeEstimate(
                float(last[1] + each * (units - last[0])),
                len(sizes) == 1 and units > ALIKE * last[0],
            )
        fixed = max(first[1] - each * first[0], 0.0)
        return TimeEstimate(float(np.interp(units, [0.0, *sizes], [fixed, *seconds])))


def missing_cells(prepared: Prepared) -> list[Cell]:
    """Return the cells that are not in the cache."""
    return [cell for cell, key in prepared.work.cells.items() if not prepared.cache.has(key)]


def timed_before(
    dataset: Dataset, models: Mapping[str, Recipe] | None = None
) -> Mapping[str, CellTimes]:
    """Return the times of the cells of each model on one dataset, over earlier runs.

    Args:
        dataset: The dataset; a file by its path.
        models: The models whose times count with the same settings alone, by name: another budget,
            or more trees, take another time.
    """
    found = timings_on(dataset, OUTPUTS / "runs").values()
    timings = [
        _with_same_settings(rows, config, models or {}).filter(status="ok")
        for config, rows in found
    ]
    if not timings:
        return {}
    units = pl.max_horizontal(col("stop") - col("start"), 1).alias("units")
    by_size = (
        pl.concat(timings)
        .group_by("model", units)
        .agg(col("seconds").median())
        .sort("model", "units")
    )
    parts = by_size.partition_by("model", as_dict=True, include_key=False)
    return {
        str(model): CellTimes(part["units"].to_list(), part["seconds"].to_list())
        for (model,), part in parts.items()
    }


def timings_on(dataset: Dataset, folder: Path) -> dict[Path, tuple[dict[str, Any], DataFrame]]:
    """Return the configs and timings of all finished runs or sweeps below a folder on one dataset,
    but for damaged ones.
    """
    found = {}
    for path in folder.glob("*/*/timings.parquet"):
        try:
            config = _config_beside(path)
            same = all(
                config["dataset"].get(key) == getattr(dataset, key, None)
                for key in ("name", "path")
            )
            if same and path.with_name("scores.parquet").is_file():
                found[path] = config, read_parquet(path)
        except DAMAGE:  # whatever reads it for its numbers says so
            continue
    return found


def _config_beside(path: Path) -> dict[str, Any]:
    """Return the config of the run or the sweep in whose folder a file lies."""
    from hwds.results.sweep_folder import SWEEP

    run, sweep = path.with_name(CONFIG), path.with_name(SWEEP)
    return dict(read_json(sweep)["config"]) if sweep.is_file() else read_config(run)


def _with_same_settings(
    rows: DataFrame, config: Mapping[str, Any], models: Mapping[str, Recipe]
) -> DataFrame:
    """Return the timings of a run without those of models that had other settings in it."""
    before = {model["name"]: model for model in (config["model"], *config.get("rivals", ()))}
    other = [
        name
        for name in models
        if name in before
        and _without_names(before[name]) != _without_names(canonical(models[name]))
    ]
    return rows.filter(~col("model").is_in(other))


def _without_names(value: Any) -> Any:
    """Return plain data without names and classes."""
    if isinstance(value, Mapping):
        return {
            key: _without_names(item)
            for key, item in value.items()
            if key not in ("name", "recipe")
        }
    return [_without_names(item) for item in value] if isinstance(value, list | tuple) else value


def time_for(prepared: Prepared, cells: Sequence[Cell]) -> TimeEstimate | None:
    """Return the time of these cells one after the other.

    None where one was never timed on this dataset, and has no law.
    """
    before = timed_before(prepared.experiment.dataset, prepared.job.models)
    times = [
        before[cell.model].time(max(cell.stop - cell.start, 1))
        if cell.model in before
        else foreseen_time(prepared, cell)
        for cell in cells
    ]
    foreseen = [time for time in times if time is not None]
    if len(foreseen) < len(times):
        return None
    marks = {
        mark: any(getattr(time, mark) for time in foreseen)
        for mark in ("at_most", "by_work", "by_budget")
    }
    return TimeEstimate(sum(time.seconds for time in foreseen), **marks)


def foreseen_time(prepared: Prepared, cell: Cell) -> TimeEstimate | None:
    """Return the time of a cell of a model that was never timed on this data, by its work.

    None where that is not known.

    The companions of a model take none: what it has fitted is there for them.
    """
    from hwds.evaluation.workers import seconds_per_unit

    protocol, model = prepared.job.protocol, prepared.job.models[cell.model]
    if not isinstance(protocol, Foreseeable):
        return None
    models = prepared.job.models.values()
    if cell.model in {companion.name for other in models for companion in other.companions()}:
        return TimeEstimate(0.0, by_work=True)
    work = protocol.work(model, prepared.frame, cell)
    if work is None:
        return None
    # a budget by the clock is in seconds as it is
    speed = 1.0 if model.why_unrepeatable() else seconds_per_unit()
    return TimeEstimate(work * speed, by_work=True, by_budget=hasattr(model, "budget"))


# The warm-up: compilation once before the cells of a model, timed apart from them.

WORTH_SAYING = 1.0
"""Seconds from which it is reported."""


def warm_up(prepared: Prepared) -> dict[str, float]:
    """Warm up every model that has cells to compute, and return the seconds of those that took
    long.
    """
    labels = dict.fromkeys(cell.model for cell in missing_cells(prepared))
    return warm_up_models(prepared.job, prepared.frame, {label: label for label in labels})


def warm_up_models(job: Job, frame: Any, labels: Mapping[str, str]) -> dict[str, float]:
    """Warm up models, and return the seconds of those that took long by name.

    A model that fails here fails in its cells too, with the same message, where it is counted.
    """
    if not isinstance(job.protocol, Compiling):
        return {}
    hold_threads(job.cpus)
    took = {}
    for name, label in labels.items():
        if job.sealed and has_own_code([job.models[label]]):  # it compiles behind its walls
            continue
        began = perf_counter()
        try:
            job.protocol.warm_up(job.models[label], frame)
        except Exception:
            continue
        took[name] = perf_counter() - began
    return {name: seconds for name, seconds in took.items() if seconds >= WORTH_SAYING}


# Remarks that a reader of the numbers should know before the first cell is computed.

MOST_ROWS = 50_000
"""Rows, evenly spaced, that are looked at: a remark needs no more."""


def remarks_before(prepared: Prepared) -> list[str]:
    """Return remarks on features that no model reads or that the data cannot fill, on packages, on
    inputs, of dataset and protocol.
    """
    frame, dataset = prepared.frame, prepared.experiment.dataset
    return [
        *_remarks_on_features(prepared),
        *_remarks_on_packages(prepared),
        *_remarks_on_walls(prepared),
        *dataset.remarks(frame),
        *likely_giveaways(frame, getattr(dataset, "trust", ())),
        *prepared.job.protocol.warnings_before(frame, prepared.job.models),
    ]


def _remarks_on_walls(prepared: Prepared) -> Iterator[str]:
    """Yield why a user's own code is not behind walls, and what it then has of this process."""
    compute = prepared.experiment.compute
    if prepared.job.inputs is not None and not prepared.job.sealed:
        why = compute.why_open()
        yield f"Your own code ran without walls ({why}): what it reads is watched, not refused."
        if compute.name in ("serial", "processes") and not is_environment_fixed():
            yield (
                "Its time zone, language and hash seed may come from this Python process: the "
                "command `hwds` fixes them."
            )


def _remarks_on_packages(prepared: Prepared) -> Iterator[str]:
    for name, model in prepared.experiment.models.items():
        if missing := model.lacking():
            packages, command = package_names(missing), install_command(missing)
            yield f"'{name}' does without {packages}, {NOT_INSTALLED}: {command}."


def _remarks_on_features(prepared: Prepared) -> Iterator[str]:
    features = prepared.experiment.features
    if features.name == "none":
        return
    if not any(uses_features(model) for model in prepared.experiment.models.values()):
        yield f"Features '{features.name}' were not used: no model here reads a feature set."
    elif isinstance(features, RowFeatures) and (names := features.absent(prepared.frame)):
        yield (
            f"Features '{features.name}' are computed without {', '.join(names)}: the data has "
            f"no column of that name."
        )


def likely_giveaways(frame: Any, trusted: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield a remark for each column that likely gives away what is predicted: of runs, of a panel,
    of a table with a label.
    """
    if isinstance(frame, Panel):
        if not frame.roles.static:
            return
        from hwds.datasets.reading.leakage import likely_columns

        found, what = likely_columns(frame, trusted), "the end of its series"
    elif isinstance(frame, Table):
        yield from column_remarks(frame, trusted) if frame.roles.get("label") else ()
        return
    else:
        from hwds.frames.runs import Runs, telling_columns  # other families do without

        if not isinstance(frame, Runs):
            return
        found, what = telling_columns(frame, trusted, likely=True), "the remaining life"
    for name, reason in found:
        yield (
            f"Column '{name}' likely gives {what} away ({reason}): if it is filled in afterwards, "
            f"leave it out, else name it in dataset.trust."
        )


def column_remarks(table: Table, trusted: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield a remark for each input that names rows, for each that alone orders them almost as the
    labels do, for counts that do so far better than all others, and for copies of rows.

    The tests: 95 % of a column's values (texts or whole numbers, of 50 rows or more) are different;
    and its average precision alone, of its values rising or falling or of the mean label of others
    with its value, goes 60 % of the way from chance to 1. See also `grown_counts`, `repeated_rows`.
    """
    from hwds.datasets.reading.leakage import (
        SUSPECT_ALONE,
        grown_counts,
        leaking_inputs,
        naming_inputs,
        repeated_rows,
    )

    inputs = [name for name in table.inputs if not table.data.schema[name].is_nested()]
    data = table.data.gather_every(-(-table.height // MOST_ROWS))
    naming = dict(naming_inputs(data, inputs))
    for name, share in naming.items():
        yield (
            f"Input '{name}' names rows ({percent(share)} of its values are different), so that "
            f"it is learned by heart: give it"
            " the role id, or ignore it (dataset.roles)."
        )
    others = [name for name in inputs if name not in (*naming, *trusted)]
    label, time = table.name("label"), table.name("time")
    suspects = dict(leaking_inputs(data, label, others, SUSPECT_ALONE, time))
    for name, how in suspects.items():
        yield (
            f"Input '{name}' alone is almost the label ({how}): if it is filled in once the label "
            f"is known, ignore it"
            " (dataset.roles.ignore)."
        )
    for name, alone, rest in grown_counts(data, label, others):
        if name not in suspects:
            yield (
                f"Count '{name}' alone orders labels far better than other inputs do together "
                f"(average precision {alone:.3f}, theirs {rest:.3f}): if it grows while a case is "
                f"looked into, ignore it, else name it in dataset.trust."
            )
    copies = repeated_rows(table.data, label, inputs, time) if time else ""
    if copies:
        yield f"{copies}: a model that has seen the one knows the other."
