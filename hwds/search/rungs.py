"""Trials from rung to rung, and rounds of trials that are proposed from the scores before."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from hwds.evaluation.cells import CellOutcome, lay_frame
from hwds.evaluation.protocol import Cell, Score, headline_score
from hwds.evaluation.run_cells import CellObserver, MissingCells
from hwds.evaluation.workers import CellLimits, failure_reason, limits_of
from hwds.search.sweep import Search, TrialGroup, search_of
from hwds.search.sweeps.base import TrialScores
from hwds.search.trial_scores import as_minimised, score_value, scores_so_far
from hwds.search.trials import Trial, more_trials

# Trials from rung to rung: cells from the cache or computed, running scores, and the trials
# that continue.

FINISHED, STOPPED, FAILED, REFUSED, WAITING = (
    "finished",
    "stopped",
    "failed",
    "refused",
    "unfinished",
)


class SweepListener(CellObserver, Protocol):
    """A listener to the progress of a sweep."""

    def trial(
        self, label: str, status: str, folds: int, value: float | None, cells_saved: int
    ) -> None:
        """Receive the score of a trial after so many folds.

        `cells_saved` cells of it need not be computed.
        """


@dataclass(eq=False)
class TrialRecord:
    """The state and results of a trial.

    Attributes:
        trial: The trial.
        status: `finished`, `stopped` by the search, `failed`, `refused` by its config, or
            `unfinished`.
        folds: The number of windows that it has completed.
        rungs: Its running score after each rung that it has reached.
        took: The seconds that its cells had taken by then.
        scores: All its scores at the last rung.
        error: The error that ended it.
        undefined: Whether it ended because its metric has no value on the windows.
        seconds: The seconds that its cells took when they were computed.
        now: The seconds of the cells that were computed now.
        cached: The number of cells that were not computed now.
        host: The host that computed its last window; that of the driver where nothing was computed
            now.
        outcomes: Its cells' outcomes by fold, as long as they are needed.
        timings: The units and the seconds of each of its cells.
    """

    trial: Trial
    status: str = WAITING
    folds: int = 0
    rungs: dict[int, float] = field(default_factory=dict)
    took: dict[int, float] = field(default_factory=dict)
    scores: Sequence[Score] = ()
    score: Score | None = None
    error: str = ""
    undefined: bool = False
    seconds: float = 0.0
    now: float = 0.0
    cached: int = 0
    host: str = field(default_factory=socket.gethostname)
    outcomes: dict[int, list[CellOutcome]] = field(default_factory=dict)
    timings: list[tuple[int, float]] = field(default_factory=list)

    @property
    def active(self) -> bool:
        """True while more windows of it may be computed."""
        return self.status == WAITING

    def add(self, outcome: CellOutcome) -> None:
        """Record the outcome of one of its cells; the first error ends it."""
        self.seconds += outcome.seconds
        self.now += 0.0 if outcome.cached else outcome.seconds
        self.timings.append((max(outcome.cell.stop - outcome.cell.start, 1), outcome.seconds))
        self.cached += outcome.cached
        self.outcomes.setdefault(outcome.cell.fold.index, []).append(outcome)
        if outcome.error and self.active:
            self.end(FAILED, failure_reason(outcome))

    def end(self, status: str, error: str = "") -> None:
        """End the trial: no more windows of it are computed."""
        self.status, self.error = status, error
        self.outcomes.clear()


def trial_records(search: Search) -> dict[str, TrialRecord]:
    """Return a new record of each trial by its label; those of refused trials have ended."""
    records = {trial.label: TrialRecord(trial) for trial in search.trials}
    for record in records.values():
        if record.trial.experiment is None:
            record.end(REFUSED, record.trial.refused)
    return records


def run_search(search: Search, watch: SweepListener) -> list[TrialRecord]:
    """Run all trials from rung to rung and return their records."""
    records = trial_records(search)
    cached = search.cached_cells()
    watch.begin(len(cached), sum(cached.values()))
    limit = search.sweep.seconds
    deadline = time.monotonic() + (math.inf if limit is None else limit)
    for group in search.trial_groups:
        lay_frame(group.frame, group.job.frame_folder)
    previous = 0
    for rung in search.rungs:
        for group in search.trial_groups:
            _run_to_rung(search, group, records, (previous, rung), deadline, watch)
        _stop(search, records, rung, watch)
        previous = rung
    for record in records.values():
        record.outcomes.clear()  # trials that ran out of time still have theirs
    return list(records.values())


def best_trial(search: Search, records: Sequence[TrialRecord]) -> TrialRecord | None:
    """Return the best trial that has completed all windows; the earlier one on a tie.

    `hwds.cli.sweep.run_sweep` runs and scores it on the final windows.
    """
    done = [record for record in records if record.status == FINISHED]
    return min(
        done, key=lambda record: (_low_score(search, record), record.trial.number), default=None
    )


def _run_to_rung(
    search: Search,
    group: TrialGroup,
    records: Mapping[str, TrialRecord],
    windows: tuple[int, int],
    deadline: float,
    watch: SweepListener,
) -> None:
    """Run the trials of a group from one rung to the next, one trial after the other."""
    begin, rung = windows
    waiting = {
        label for label, record in records.items() if record.active and record.folds == begin
    }
    cells = [
        cell
        for cell in group.cells
        if cell.model in waiting and begin <= search.place(cell.fold) < rung
    ]
    cells.sort(
        key=lambda cell: (records[cell.model].trial.number, search.place(cell.fold), cell.start)
    )
    remaining: dict[str, int] = {}
    for cell in cells:
        remaining[cell.model] = remaining.get(cell.model, 0) + 1
    for outcome in _outcomes(search, group, cells, records, deadline, watch):
        record = records[outcome.cell.model]
        was_active = record.active
        record.add(outcome)
        remaining[record.trial.label] -= 1
        if record.active and not remaining[record.trial.label]:
            score_record(search, record, rung)
        if (was_active and not record.active) or (
            record.active and not remaining[record.trial.label]
        ):
            _notify(search, record, watch)


def _limits(search: Search, records: Mapping[str, TrialRecord]) -> CellLimits:
    """Return the limits of the cells of a trial.

    Of its time, the rest that earlier cells have left.
    """
    sweep = search.sweep
    return limits_of(
        sweep.seconds_per_trial,
        sweep.memory_per_trial,
        lambda cell: records[cell.model].seconds,
        at_once=sweep.concurrent,
        apart=sweep.cpus_per_trial is not None,
    )


def _outcomes(
    search: Search,
    group: TrialGroup,
    cells: Sequence[Cell],
    records: Mapping[str, TrialRecord],
    deadline: float,
    watch: SweepListener,
) -> Iterator[CellOutcome]:
    """Yield cached cells first, then computed ones until the deadline.

    Cells of trials that have ended are skipped.
    """
    missing = {}
    for cell in cells:
        cached = search.cache.get(group.cells[cell], cell)
        if cached is None:
            missing[cell] = group.cells[cell]
        else:
            yield cached

    def wanted(cell: Cell) -> bool:  # when a worker is free
        return records[cell.model].active and time.monotonic() < deadline

    shared, compute = MissingCells(missing, search.cache, watch, wanted), search.experiment.compute
    for outcome in shared.outcomes(group.job, group.frame, compute, _limits(search, records)):
        yield outcome
        if time.monotonic() >= deadline:
            return


def score_record(search: Search, record: TrialRecord, rung: int) -> None:
    """Set the running score of a trial; one with an undefined score has failed."""
    record.folds = rung
    record.scores = scores_so_far(search.group_of(record.trial).job, record.outcomes)
    record.score = headline_score(record.scores, search.measure.short)
    value = score_value(record.score)
    if value is None:
        record.undefined = True
        record.end(FAILED, f"{search.measure.short} is undefined after {rung} windows")
        return
    record.rungs[rung] = value
    record.took[rung] = record.seconds
    if rung == len(search.tuning_split.folds):
        record.end(FINISHED)


def _stop(
    search: Search, records: Mapping[str, TrialRecord], rung: int, watch: SweepListener
) -> None:
    """End the trials that do not continue from a rung; those that ran out of time wait.

    Trials of earlier sweeps have all their windows and are not ranked, as they are not on Ray,
    where they do not run.
    """
    new = [record for record in records.values() if not record.trial.source]
    here = {record.trial.number: record for record in new if record.active and record.folds == rung}
    scores = {number: _low_score(search, record) for number, record in here.items()}
    cached = (
        search.sweep.survivors(rung, len(search.tuning_split.folds), scores) if scores else set()
    )
    cached |= search.unstoppable
    for number, record in here.items():
        if number not in cached:
            record.end(STOPPED)
            _notify(search, record, watch)


def _low_score(search: Search, record: TrialRecord) -> float:
    """Return the running score, the lower the better."""
    return as_minimised(record.rungs[record.folds], search.better)


def _notify(search: Search, record: TrialRecord, watch: SweepListener) -> None:
    ahead = 0
    if record.status in (STOPPED, FAILED):
        missing = [
            key for key in search.cells_of(record.trial).values() if not search.cache.has(key)
        ]
        ahead = len(missing) - (record.status == FAILED)
    value = record.score.value if record.score else None
    watch.trial(record.trial.label, record.status, record.folds, value, ahead)


def score_lines(search: Search, records: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """Return all scores of all trials at the last rung that each has reached, as rows of the scores
    table.
    """
    labels = {
        "experiment": search.experiment.experiment,
        "dataset": search.experiment.dataset.name,
        "task": search.tuning_split.protocol.task,
        "seed": search.experiment.seed,
    }
    return [
        {**asdict(score), **labels, "model": record.trial.label, "fold": None, "n_failed": 0}
        for record in records
        for score in record.scores
    ]


# Rounds of a search that learns: the first trials, then those proposed from their scores, up to
# the number of trials.

RunTrials = Callable[[Search], list[TrialRecord]]
"""A function that runs the trials of a search."""


def run_rounds(search: Search, run: RunTrials) -> tuple[Search, list[TrialRecord]]:
    """Run all trials, in one round unless the search learns.

    Return the search with the proposed trials, and the records.
    """
    began, limit = time.monotonic(), search.sweep.seconds
    records = run(search)
    search, records = without_undefined(search, records)
    while more := propose_trials(search, records):
        left = None if limit is None else max(limit - (time.monotonic() - began), 1e-9)
        part = search_of(search, more)
        terms = replace(search.experiment, sweep=replace(search.sweep, seconds=left))
        records = [*records, *run(replace(part, experiment=terms))]
        search = replace(
            search,
            trials=[*search.trials, *more],
            trial_groups=[*search.trial_groups, *part.trial_groups],
        )
    return search, records


def without_undefined(
    search: Search, records: list[TrialRecord]
) -> tuple[Search, list[TrialRecord]]:
    """Return the search and its records without the trials of earlier sweeps that came to nothing
    by this one's metric.
    """
    undefined = {
        record.trial.number for record in records if record.trial.source and record.undefined
    }
    if not undefined:
        return search, records
    trials = [trial for trial in search.trials if trial.number not in undefined]
    return replace(search, trials=trials), [
        record for record in records if record.trial.number not in undefined
    ]


def propose_trials(search: Search, records: Sequence[TrialRecord]) -> list[Trial]:
    """Return the next trials.

    None where there are enough, the space is exhausted, or a trial ran out of time.
    """
    sweep = search.sweep
    count = search.most_trials - len(records)
    if not sweep.learns or count <= 0 or any(record.status == WAITING for record in records):
        return []
    scored = [
        TrialScores(
            record.trial.settings,
            {rung: as_minimised(value, search.better) for rung, value in record.rungs.items()},
            record.trial.covers,
        )
        for record in records
    ]
    settings = sweep.proposals(search.leaves, scored, len(search.tuning_split.folds))
    return more_trials(search.data, sweep, search.trials, settings, min(sweep.at_once, count))


def with_cached_trials(search: Search) -> Search:
    """Return the search with all trials that follow from cached cells.

    Later proposals depend on scores still missing.
    """
    return run_rounds(search, _cached_records)[0]


def _cached_records(search: Search) -> list[TrialRecord]:
    """Return the records of the trials from cached cells.

    Where a cell is missing, records of trials that have not run.
    """
    if all(map(search.cache.has, search.cells.values())):
        return run_search(search, SilentListener())
    return [TrialRecord(trial) for trial in search.trials]


class SilentListener:
    """A listener that ignores all events."""

    def begin(self, *_: object, **__: object) -> None:
        """Do nothing."""

    finish_cell = take_cell = wait = trial = begin
