"""Trials from rung to rung: their cells from the cache or computed, running scores, who goes on. Knows no kind of machine."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from hwds.execution.base import Compute
from hwds.execution.headline import headline, lower, scores_so_far, value_of
from hwds.execution.job import Outcome
from hwds.execution.limits import Limits, failure, limits_of
from hwds.execution.prepare import lay_frame
from hwds.execution.search import Lot, Search
from hwds.execution.trials import Trial
from hwds.protocols.base import Cell
from hwds.protocols.score import Score

FINISHED, STOPPED, FAILED, REFUSED, WAITING = "finished", "stopped", "failed", "refused", "unfinished"
BASELINE = 0
"""The trial that is never stopped, where the sweep has it."""


class Watch(Protocol):
    """Who is told how a sweep goes."""

    def begin(self, cells: int, cached: int) -> None:
        """The number of cells at most, and how many of them are there already."""

    def finished(self, error: str) -> None:
        """A cell is done; `error` is empty where it succeeded."""

    def trial(self, label: str, status: str, folds: int, value: float | None, spared: int) -> None:
        """A trial was scored after so many folds; `spared` cells of it need not be computed."""


@dataclass(eq=False)
class Record:
    """What became of a trial.

    Attributes:
        trial: Which.
        status: `finished`, `stopped` by the search, `failed`, `refused` by its config, or `unfinished`.
        folds: Windows behind it.
        rungs: Its running score after each rung it has seen.
        took: What its cells had taken by then, in seconds.
        scores: All its scores at the last of them.
        error: What went wrong.
        seconds: What its cells took when they were computed.
        now: What those took that were computed now.
        cached: Cells that were not computed now.
        host: Where its last window was computed; where it was not asked now, where the sweep was driven from.
        outcomes: Its cells by fold, as long as they are needed.
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
    seconds: float = 0.0
    now: float = 0.0
    cached: int = 0
    host: str = field(default_factory=socket.gethostname)
    outcomes: dict[int, list[Outcome]] = field(default_factory=dict)
    timings: list[tuple[int, float]] = field(default_factory=list)

    @property
    def going(self) -> bool:
        """Whether it may be asked for more."""
        return self.status == WAITING

    def add(self, outcome: Outcome) -> None:
        """Keep the outcome of one of its cells; the first error ends it."""
        self.seconds += outcome.seconds
        self.now += 0.0 if outcome.cached else outcome.seconds
        self.timings.append((max(outcome.cell.stop - outcome.cell.start, 1), outcome.seconds))
        self.cached += outcome.cached
        self.outcomes.setdefault(outcome.cell.fold.index, []).append(outcome)
        if outcome.error and self.going:
            self.end(FAILED, failure(outcome))

    def end(self, status: str, error: str = "") -> None:
        """It is asked for nothing more."""
        self.status, self.error = status, error
        self.outcomes.clear()


def records_of(search: Search) -> dict[str, Record]:
    """A record of each trial by its label, none of which was asked yet; those that were refused have ended."""
    records = {trial.label: Record(trial) for trial in search.trials}
    for record in records.values():
        if record.trial.experiment is None:
            record.end(REFUSED, record.trial.refused)
    return records


def run_search(search: Search, watch: Watch) -> list[Record]:
    """All trials, from rung to rung."""
    records = records_of(search)
    cells = [cell for lot in search.lots for cell in lot.cells]
    watch.begin(len(cells), sum(search.cache.has(lot.cells[cell]) for lot in search.lots for cell in lot.cells))
    limit = search.sweep.seconds
    deadline = time.monotonic() + (math.inf if limit is None else limit)
    if search.lots:
        lay_frame(search.rehearsal.frame, search.lots[0].job.frame_folder)
    behind = 0
    for rung in search.rungs:
        for lot in search.lots:
            _climb(search, lot, records, (behind, rung), deadline, watch)
        _stop(search, records, rung, watch)
        behind = rung
    for record in records.values():
        record.outcomes.clear()  # those that had no time have theirs still
    return list(records.values())


def best_of(search: Search, records: Sequence[Record]) -> Record | None:
    """The best trial that has all windows behind it; the earlier where two are alike."""
    done = [record for record in records if record.status == FINISHED]
    return min(done, key=lambda record: (_lower(search, record), record.trial.number), default=None)


def _climb(
    search: Search, lot: Lot, records: Mapping[str, Record], windows: tuple[int, int], deadline: float, watch: Watch
) -> None:
    """Bring the trials of a lot from one rung to the next, a trial after the other."""
    begin, rung = windows
    up = {label for label, record in records.items() if record.going and record.folds == begin}
    asked = [cell for cell in lot.cells if cell.model in up and begin <= search.place(cell.fold) < rung]
    asked.sort(key=lambda cell: (records[cell.model].trial.number, search.place(cell.fold), cell.start))
    left: dict[str, int] = {}
    for cell in asked:
        left[cell.model] = left.get(cell.model, 0) + 1
    for outcome in _outcomes(search, lot, asked, records, deadline):
        record = records[outcome.cell.model]
        if not outcome.cached:
            search.cache.put(lot.cells[outcome.cell], outcome)
            watch.finished(outcome.error)
        went = record.going
        record.add(outcome)
        left[record.trial.label] -= 1
        if record.going and not left[record.trial.label]:
            score_record(search, lot, record, rung)
        if (went and not record.going) or (record.going and not left[record.trial.label]):
            _tell(search, lot, record, rung, watch)


def _limits(search: Search, records: Mapping[str, Record]) -> Limits:
    """What the cells of a trial may take; of its time what those before have left."""
    sweep = search.sweep
    return limits_of(
        sweep.seconds_per_trial,
        sweep.memory_per_trial,
        lambda cell: records[cell.model].seconds,
        at_once=sweep.concurrent,
        apart=sweep.cpus_per_trial is not None,
    )


def _outcomes(
    search: Search, lot: Lot, asked: Sequence[Cell], records: Mapping[str, Record], deadline: float
) -> Iterator[Outcome]:
    """Kept cells first, then those that are computed, until the time is over; a trial that has ended is asked nothing more."""
    missing = []
    for cell in asked:
        kept = search.cache.get(lot.cells[cell], cell)
        if kept is None:
            missing.append(cell)
        else:
            yield kept
    compute = search.experiment.compute
    assert isinstance(compute, Compute)
    if missing and time.monotonic() < deadline:
        going = (cell for cell in missing if records[cell.model].going)  # looked at when there is room for it
        for outcome in compute.run(lot.job, search.rehearsal.frame, going, _limits(search, records)):
            yield outcome
            if time.monotonic() >= deadline:
                return


def score_record(search: Search, lot: Lot, record: Record, rung: int) -> None:
    """The running score of a trial; one without a number has failed."""
    record.folds = rung
    record.scores = scores_so_far(lot.job, record.outcomes)
    record.score = headline(record.scores, search.measure.short)
    value = value_of(record.score)
    if value is None:
        record.end(FAILED, f"{search.measure.short} is undefined after {rung} windows")
        return
    record.rungs[rung] = value
    record.took[rung] = record.seconds
    if rung == len(search.rehearsal.folds):
        record.end(FINISHED)


def _stop(search: Search, records: Mapping[str, Record], rung: int, watch: Watch) -> None:
    """End the trials that do not go on from a rung; those that had no time wait."""
    here = {record.trial.number: record for record in records.values() if record.going and record.folds == rung}
    scores = {number: _lower(search, record) for number, record in here.items()}
    kept = search.sweep.kept(rung, len(search.rehearsal.folds), scores) if scores else set()
    kept |= {BASELINE} if search.sweep.baseline else set()
    for number, record in here.items():
        if number not in kept:
            record.end(STOPPED)
            _tell(search, search.lot_of(record.trial), record, rung, watch)


def _lower(search: Search, record: Record) -> float:
    """The running score, the lower the better."""
    return lower(record.rungs[record.folds], search.better)


def _tell(search: Search, lot: Lot, record: Record, rung: int, watch: Watch) -> None:
    ahead = 0
    if record.status in (STOPPED, FAILED):
        ahead = sum(not search.cache.has(key) for key in lot.cells_of(record.trial).values()) - (record.status == FAILED)
    value = record.score.value if record.score else None
    watch.trial(record.trial.label, record.status, record.folds, value, ahead)


def score_lines(search: Search, records: Sequence[Record]) -> list[dict[str, Any]]:
    """All scores of all trials at the last rung each has seen, as the scores table has them."""
    labels = {
        "experiment": search.experiment.experiment,
        "dataset": search.experiment.dataset.name,
        "task": search.rehearsal.protocol.task,
        "seed": search.experiment.seed,
    }
    return [
        {**asdict(score), **labels, "model": record.trial.label, "fold": None, "n_failed": 0}
        for record in records
        for score in record.scores
    ]
