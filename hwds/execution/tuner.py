"""A sweep by Ray Tune: a trial is one config, a report is one window, and schedulers stop trials between them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hwds.execution.headline import lower
from hwds.execution.prepare import lay_frame
from hwds.execution.ray_cells import packed
from hwds.execution.ray_cluster import join
from hwds.execution.ray_resources import require
from hwds.execution.ray_store import store_here
from hwds.execution.search import Search
from hwds.execution.sweep import BASELINE, FAILED, FINISHED, STOPPED, WAITING, Record, Watch, records_of, score_record
from hwds.execution.trial import Asked, run_trial

if TYPE_CHECKING:
    from hwds.execution.on_ray import OnRay

FOLDER = "tune"
"""Where Ray Tune keeps its state while it runs, in the sweep's folder; the cell cache is what a sweep goes on from."""


def tuned(compute: OnRay, search: Search, watch: Watch) -> list[Record]:
    """All trials; of those that the last execution has finished only the scores are made again.

    A sweep that was cut short is not restored by `Tuner.restore` but tuned anew, and its windows come from the cell cache. To
    restore would add nothing: Tune's state says which trial came how far, which the cells say themselves, and better, for it
    would be written every ten seconds or so and each cell is at once; a trial that is restored begins from its last checkpoint,
    and here a checkpoint would hold no more than the cells. It would take away: a changed space or another version is refused,
    and the state is a pickle.
    """
    records = {record.trial.number: record for record in records_of(search).values()}
    kept = {key for lot in search.lots for key in lot.cells.values() if search.cache.has(key)}
    watch.begin(sum(len(lot.cells) for lot in search.lots), len(kept))
    asked = [number for number, record in records.items() if record.going and not _is_done(search, record, kept)]
    reached: dict[int, Mapping[str, Any]] = {}
    if asked:
        join(compute)
        reached = _tune(compute, search, asked, watch)
    for number, record in records.items():
        if record.going:
            _settle(search, record, reached.get(number), kept)
    return list(records.values())


def _is_done(search: Search, record: Record, kept: set[str]) -> bool:
    """Whether a trial that nothing can stop has all its cells."""
    own = search.lot_of(record.trial).cells_of(record.trial)
    return not search.sweep.stops and kept.issuperset(own.values())


def _tune(compute: OnRay, search: Search, asked: list[int], watch: Watch) -> dict[int, Mapping[str, Any]]:
    """Run the trials; the last report of each that made one, with whether it had `ended` when the time was over."""
    from ray import tune

    reports = Reports(search, watch)
    trainable = tune.with_resources(tune.with_parameters(run_trial, asked=_asked(search)), _terms(compute, search.sweep))
    with _room(search.folder.path / FOLDER) as room:
        tuner = tune.Tuner(
            trainable,
            param_space={"trial": tune.grid_search(asked)},
            tune_config=_how(search),
            run_config=_where(room, _telling(reports)),
        )
        results: Any = tuner.fit()
        last = {result.config["trial"]: _report(result) for result in results if result.config}
    return {number: report | {"ended": number in reports.ended} for number, report in last.items()}


def _how(search: Search) -> Any:
    """Which trials are at work together, and what stops them."""
    from ray import tune

    sweep = search.sweep
    return tune.TuneConfig(
        metric="score",
        mode="min",
        scheduler=_scheduler(search),
        max_concurrent_trials=sweep.concurrent,
        reuse_actors=True,
        time_budget_s=sweep.seconds,
    )


def _where(room: Path, telling: Any) -> Any:
    """Where Tune keeps its state, and whom it tells."""
    from ray import tune

    retried = tune.FailureConfig(max_failures=1)
    return tune.RunConfig(name="trials", storage_path=str(room), verbose=0, callbacks=[telling], failure_config=retried)


def _terms(compute: OnRay, sweep: Any) -> dict[str, float]:
    """What each trial is given."""
    own = {"cpu": sweep.cpus_per_trial, "gpu": sweep.gpus_per_trial}
    usual = {"cpu": compute.cpus_per_cell, "gpu": compute.gpus_per_cell}
    terms = {name: usual[name] if amount is None else amount for name, amount in own.items()}
    for name, amount in own.items():
        require(f"compute.{name}s_per_cell" if amount is None else f"sweep.{name}s_per_trial", name.upper(), terms[name])
    return terms


def _report(result: Any) -> dict[str, Any]:
    told: dict[str, Any] = dict(result.metrics or {})
    if result.error is not None and not told.get("error"):
        said = [line.strip() for line in str(result.error).splitlines() if line.strip()]
        told["error"] = said[-1] if said else type(result.error).__name__
    return told


def _asked(search: Search) -> Asked:
    """What every trial is handed, once in the object store."""
    first = search.lots[0].job
    lay_frame(search.rehearsal.frame, first.frame_folder)
    shared = packed(first)
    lots = tuple((lot.job, dict(lot.cells)) for lot in search.lots)
    places = {fold.index: search.place(fold) for fold in search.rehearsal.folds}
    patient = (BASELINE,) if search.sweep.baseline else ()
    store, sweep = store_here(search.cache), search.sweep
    limits = (
        sweep.seconds_per_trial,
        sweep.memory_per_trial,
        first.cpus != cast("Any", search.experiment.compute).cpus_per_cell,
    )
    return Asked(shared, lots, places, search.measure.short, search.better, patient, store, *limits)


def _scheduler(search: Search) -> Any:
    """The search's own, among those of Ray Tune."""
    from ray.tune import schedulers

    name, settings = search.sweep.scheduler(len(search.rehearsal.folds))
    return getattr(schedulers, name)(**settings)


def _telling(reports: Reports) -> Any:
    """A callback that hands on what Tune tells; the clock ends trials untold."""
    from ray.tune import Callback

    class Telling(Callback):
        """Hands it on."""

        def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Mapping[str, Any], **info: Any) -> None:
            """One window of a trial."""
            reports.window(result)

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            """It was asked all its windows, or its scheduler has stopped it."""
            reports.ended.add(trial.config["trial"])

    return Telling()


class Reports:
    """What Tune tells, as the watch hears it.

    Attributes:
        ended: The trials that were asked all their windows, or that their scheduler has stopped.
    """

    def __init__(self, search: Search, watch: Watch) -> None:
        self._search, self._watch = search, watch
        self.ended: set[int] = set()

    def window(self, result: Mapping[str, Any]) -> None:
        """One more window of a trial."""
        for _ in range(int(result.get("computed", 0))):
            self._watch.finished(str(result.get("error", "")))
        value = lower(result["score"], self._search.better)
        done = FINISHED if result["folds"] == len(self._search.rehearsal.folds) else WAITING
        self._watch.trial(f"trial {result['config']['trial']}", done, int(result["folds"]), value, 0)

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """Nothing of it: Tune writes its callbacks to disk for a restore, which reads the cells instead."""
        return set, ()


@contextmanager
def _room(folder: Path) -> Iterator[Path]:
    """An empty folder, gone when it was used."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder.resolve()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _settle(search: Search, record: Record, report: Mapping[str, Any] | None, kept: set[str]) -> None:
    """What became of a trial, from its cells in the cache: the same numbers as where no cluster was."""
    told = {} if report is None else dict(report)
    record.host = str(told.get("hostname", record.host))  # Tune reports it
    folds = len(search.rehearsal.folds) if report is None and _is_done(search, record, kept) else int(told.get("folds", 0))
    _take_up(search, record, folds, kept)
    if told.get("error"):
        record.end(FAILED, str(told["error"]))
    elif record.going and folds and told["ended"]:
        record.end(STOPPED)
    record.outcomes.clear()


def _take_up(search: Search, record: Record, folds: int, kept: set[str]) -> None:
    """The cells of so many windows, and the running score after each rung among them."""
    lot, behind = search.lot_of(record.trial), 0
    own = lot.cells_of(record.trial)
    for rung in sorted({rung for rung in search.rungs if rung < folds} | ({folds} if folds else set())):
        for cell, key in own.items():
            if record.going and behind <= search.place(cell.fold) < rung and (outcome := search.cache.get(key, cell)):
                record.add(replace(outcome, cached=key in kept))
        if record.going:
            score_record(search, lot, record, rung)
        behind = rung
