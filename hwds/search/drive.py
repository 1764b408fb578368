"""The run of all trials of a sweep: from rung to rung by the compute, or by Ray Tune."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from hwds.core.errors import ConfigError
from hwds.evaluation.cells import lay_frame
from hwds.evaluation.compute.processes import usable_cores
from hwds.evaluation.ray.executor import OnRay, join_ray, pack_job, require_resource, store_here
from hwds.experiment.prepare import warm_up_models
from hwds.search.rungs import (
    FAILED,
    FINISHED,
    STOPPED,
    WAITING,
    SweepListener,
    TrialRecord,
    run_search,
    score_record,
    trial_records,
)
from hwds.search.sweep import Search
from hwds.search.sweeps.base import Searching
from hwds.search.trial_scores import TrialInput, as_minimised, run_trial, score_value

# A sweep by Ray Tune: a trial is one config, a report is one window, and schedulers stop trials
# between them.

TUNE_FOLDER = "tune"
"""The folder of Ray Tune's state while it runs, in the sweep's folder; a sweep is resumed from the
cell cache.
"""


def tune_trials(compute: OnRay, search: Search, watch: SweepListener) -> list[TrialRecord]:
    """Run all trials; of those that an earlier execution has finished only the scores are computed
    again.

    A sweep that was cut short is not restored by `Tuner.restore` but tuned anew, and its windows
    come from the cell cache. To restore would add nothing: Tune's state says which trial came how
    far, which the cells say themselves, and better, for it would be written every ten seconds or so
    and each cell is at once; a trial that is restored begins from its last checkpoint, and here a
    checkpoint would hold no more than the cells. It would take away: a changed space or another
    version is refused, and the state is a pickle.
    """
    records = {record.trial.number: record for record in trial_records(search).values()}
    keys = search.cells.values()
    cached_keys = set(filter(search.cache.has, keys))
    watch.begin(len(keys), len(cached_keys))
    pending = [
        number
        for number, record in records.items()
        if record.active and not _is_done(search, record, cached_keys)
    ]
    for record in records.values():
        if record.active and record.trial.number not in pending:
            _complete(search, record, None, cached_keys)
            watch.trial(
                record.trial.label, record.status, record.folds, score_value(record.score), 0
            )
    reached: dict[int, Mapping[str, Any]] = {}
    if pending:
        join_ray(compute)
        reached = _tune(compute, search, pending, watch)
    for number, record in records.items():
        if record.active:
            _complete(search, record, reached.get(number), cached_keys)
    return list(records.values())


def _is_done(search: Search, record: TrialRecord, cached_keys: set[str]) -> bool:
    """Return whether a trial that nothing can stop has all its cells."""
    cells = search.cells_of(record.trial)
    stopped = search.sweep.stops and not record.trial.source
    return not stopped and cached_keys.issuperset(cells.values())


def _tune(
    compute: OnRay, search: Search, pending: list[int], watch: SweepListener
) -> dict[int, Mapping[str, Any]]:
    """Run the trials; return the last report of each that made one, and whether it had `ended` in
    time.
    """
    from ray import tune

    _without_extras()
    reports = TuneReports(search, watch)
    trainable = tune.with_resources(
        tune.with_parameters(run_trial, inputs=_trial_input(search)),
        _resources(compute, search.sweep),
    )
    with _empty_folder(search.folder.path / TUNE_FOLDER) as folder:
        tuner = tune.Tuner(
            trainable,
            param_space={"trial": tune.grid_search(pending)},
            tune_config=tune.TuneConfig(
                metric="score",
                mode="min",
                scheduler=_scheduler(search),
                max_concurrent_trials=search.sweep.concurrent,
                reuse_actors=True,
                time_budget_s=search.sweep.seconds,
            ),
            run_config=tune.RunConfig(
                name="trials",
                storage_path=str(folder),
                verbose=0,
                callbacks=[_callback(reports)],
                failure_config=tune.FailureConfig(max_failures=1),
            ),
        )
        results: Any = tuner.fit()
        last = {result.config["trial"]: _report(result) for result in results if result.config}
    return {number: report | {"ended": number in reports.ended} for number, report in last.items()}


def _without_extras() -> None:
    """Leave out what Tune does besides and nobody needs.

    It would import W&B and MLflow, a second of work, to count callbacks for statistics of usage
    that are off. And it would give the actors of trials an environment of their own, with this
    process' keys of AWS, which Ray writes into its logs: workers have their variables already
    (`worker_variables`), and with another environment none that waits could be taken.
    """
    usage: Any = import_module("ray.air._internal.usage")  # they have no types
    actors: Any = import_module("ray.tune.execution.class_cache")
    usage.tag_callbacks = lambda callbacks: False
    actors.DEFAULT_ENV_VARS.clear()
    actors.ENV_VARS_TO_PROPAGATE.clear()


def _resources(compute: OnRay, sweep: Searching) -> dict[str, float]:
    """Return the resources of each trial."""
    given = {"cpu": sweep.cpus_per_trial, "gpu": sweep.gpus_per_trial}
    usual = {"cpu": compute.cpus_per_cell, "gpu": compute.gpus_per_cell}
    resources = {name: usual[name] if amount is None else amount for name, amount in given.items()}
    for name, amount in given.items():
        require_resource(
            f"compute.{name}s_per_cell" if amount is None else f"sweep.{name}s_per_trial",
            name.upper(),
            resources[name],
        )
    return resources


def _report(result: Any) -> dict[str, Any]:
    report: dict[str, Any] = dict(result.metrics or {})
    if result.error is not None and not report.get("error"):
        lines = [line.strip() for line in str(result.error).splitlines() if line.strip()]
        report["error"] = lines[-1] if lines else type(result.error).__name__
    return report


def _trial_input(search: Search) -> TrialInput:
    """Return the input that all trials share, which is put into the object store once."""
    first = search.trial_groups[0].job
    for group in search.trial_groups:
        lay_frame(group.frame, group.job.frame_folder)
    trial_groups = tuple((pack_job(group.job), dict(group.cells)) for group in search.trial_groups)
    places = {fold.index: search.place(fold) for fold in search.tuning_split.folds}
    unstoppable = tuple(search.unstoppable)
    store, sweep = store_here(search.cache), search.sweep
    limits = (
        sweep.seconds_per_trial,
        sweep.memory_per_trial,
        first.cpus != search.experiment.compute.cpus_per_cell,
    )
    return TrialInput(
        trial_groups, places, search.measure.short, search.better, unstoppable, store, *limits
    )


def _scheduler(search: Search) -> Any:
    """Return the scheduler of Ray Tune that the search names."""
    from ray.tune import schedulers

    name, settings = search.sweep.scheduler(len(search.tuning_split.folds))
    return getattr(schedulers, name)(**settings)


def _callback(reports: TuneReports) -> Any:
    """Return a callback that passes Tune's events on.

    Tune sends none for trials that the time limit ends.
    """
    from ray.tune import Callback

    class ReportCallback(Callback):
        """A callback that passes Tune's events on."""

        def on_trial_result(
            self, iteration: int, trials: Any, trial: Any, result: Mapping[str, Any], **info: Any
        ) -> None:
            """Receive the report of one window."""
            reports.window(result)

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            """Receive the end of a trial, by its last window or by its scheduler."""
            reports.ended.add(trial.config["trial"])

    return ReportCallback()


class TuneReports:
    """Tune's reports, passed on to the listener.

    Attributes:
        ended: The trials that completed all their windows, or that their scheduler has stopped.
    """

    def __init__(self, search: Search, watch: SweepListener) -> None:
        self._search, self._watch = search, watch
        self.ended: set[int] = set()

    def window(self, result: Mapping[str, Any]) -> None:
        """Pass on the report of one more window of a trial."""
        for _ in range(int(result.get("computed", 0))):
            self._watch.finish_cell(str(result.get("error", "")))
        value = as_minimised(result["score"], self._search.better)
        done = FINISHED if result["folds"] == len(self._search.tuning_split.folds) else WAITING
        self._watch.trial(
            f"trial {result['config']['trial']}", done, int(result["folds"]), value, 0
        )

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """Pickle nothing: Tune writes its callbacks to disk for a restore, which reads the cells
        instead.
        """
        return set, ()


@contextmanager
def _empty_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder, which is deleted afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder.resolve()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _complete(
    search: Search, record: TrialRecord, report: Mapping[str, Any] | None, cached_keys: set[str]
) -> None:
    """Complete the record of a trial from its cells in the cache: the same numbers as without a
    cluster.
    """
    metrics = {} if report is None else dict(report)
    record.host = str(metrics.get("hostname", record.host))  # Tune reports it
    folds = (
        len(search.tuning_split.folds)
        if report is None and _is_done(search, record, cached_keys)
        else int(metrics.get("folds", 0))
    )
    _add_cached(search, record, folds, cached_keys)
    if metrics.get("error"):
        record.end(FAILED, str(metrics["error"]))
    elif record.active and folds and metrics["ended"]:
        record.end(STOPPED)
    record.outcomes.clear()


def _add_cached(search: Search, record: TrialRecord, folds: int, cached_keys: set[str]) -> None:
    """Add the cells of so many windows to a record, and the running score after each rung among
    them.
    """
    keys, previous = search.cells_of(record.trial), 0
    for rung in sorted(
        {rung for rung in search.rungs if rung < folds} | ({folds} if folds else set())
    ):
        for cell, key in keys.items():
            if (
                record.active
                and previous <= search.place(cell.fold) < rung
                and (outcome := search.cache.get(key, cell))
            ):
                record.add(replace(outcome, cached=key in cached_keys))
        if record.active:
            score_record(search, record, rung)
        previous = rung


# The run of all trials of a sweep: from rung to rung by the experiment's compute, or by Ray
# Tune where that is Ray's.


def run_trials(search: Search, watch: SweepListener) -> list[TrialRecord]:
    """Run all trials of a sweep.

    A rung is complete before the next begins, but for Ray Tune, which stops trials at once.

    Args:
        search: The trials and their cells.
        watch: The listener that is called for each cell and trial.

    Raises:
        ConfigError: A trial is to have more threads than there are cores.
    """
    compute = search.experiment.compute
    if isinstance(compute, OnRay):
        return tune_trials(compute, search, watch)
    wanted = search.sweep.cpus_per_trial or 1
    if wanted > usable_cores():
        raise ConfigError(
            f"sweep.cpus_per_trial: must be <= {usable_cores()}, the cores there are, got {wanted}."
        )
    return run_search(search, watch)


def warm_up_trials(search: Search) -> dict[str, float]:
    """Warm up the first trial of each option that has cells to compute: the others differ in
    numbers alone.
    """
    took: dict[str, float] = {}
    for group in search.trial_groups:
        labels = dict.fromkeys(
            cell.model for cell, key in group.cells.items() if not search.cache.has(key)
        )
        first = {group.job.models[label].name: label for label in reversed(list(labels))}
        took |= warm_up_models(group.job, group.frame, first)
    return took
