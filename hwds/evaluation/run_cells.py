"""From the cells of a run to its tables, whatever the protocol, the models and the machines are."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import chain, islice
from typing import Any, Protocol

import polars as pl
from polars import DataFrame

from hwds.core.cache import note, note_inputs
from hwds.core.recipe import Recipe
from hwds.evaluation.cells import (
    CellCache,
    CellOutcome,
    Job,
    Scoring,
    cell_key,
    fold_key,
    has_own_code,
)
from hwds.evaluation.compute.base import Compute
from hwds.evaluation.protocol import (
    Cell,
    Compiling,
    Contrasting,
    Fold,
    Score,
    ScoreSegments,
    headline_score,
)
from hwds.evaluation.workers import UNLIMITED, CellLimits, ask_apart
from hwds.results.tables import SCORES, TIMINGS, TRUTH, Measure, Tables, metrics_table

UnitRun = tuple[int, int]
"""The first unit, and the one after the last."""


class CellObserver(Protocol):
    """An observer of cells."""

    def begin(self, cells: int, cached: int) -> None:
        """Receive the largest number of cells, and the number of them that are cached."""

    def finish_cell(self, error: str) -> None:
        """Receive the end of a cell; `error` is empty where it succeeded."""

    def take_cell(self) -> None:
        """Receive a cell that another process has computed meanwhile."""

    def wait(self) -> None:
        """Receive that all cells that are left are computed by other processes now."""


class RunObserver(CellObserver, Protocol):
    """An observer of a run."""

    def show_score(self, model: str, fold: str, metric: str, value: float | None) -> None:
        """A model's fold is complete."""


@dataclass(frozen=True)
class RunWork:
    """The cells of a run with their keys, and the labels and segments of their scores.

    Attributes:
        cells: Each with its key.
        folds: The protocol's folds.
        labels: The columns that every score has.
        segments: The segments that are scored apart too.
        measures: The metrics.
        oracle_scores: The scores of a simulator's truth.
    """

    cells: dict[Cell, str]
    folds: Sequence[Fold]
    labels: dict[str, str | int]
    segments: ScoreSegments = field(default_factory=ScoreSegments)
    measures: Sequence[Measure] = ()
    oracle_scores: Sequence[Score] = ()


@dataclass
class FoldOutcomes:
    """Outcomes by model and fold, gathered as they come.

    Attributes:
        sizes: The number that there will be.
        outcomes: The outcomes that are there.
    """

    sizes: Mapping[tuple[str, int], int]
    outcomes: dict[tuple[str, int], list[CellOutcome]] = field(default_factory=dict)

    def add(self, outcome: CellOutcome) -> None:
        """Keep one."""
        self.outcomes.setdefault((outcome.cell.model, outcome.cell.fold.index), []).append(outcome)

    def complete(self, model: str, fold: int) -> bool:
        """Return whether all outcomes of a model's fold are there."""
        return len(self.outcomes.get((model, fold), ())) == self.sizes.get((model, fold), 0)


def cut_cells(job: Job, folds: Sequence[Fold], frame: Any, cache: CellCache) -> dict[Cell, str]:
    """Return every cell of the run with its key, fold by fold."""
    cells = {}
    for fold in folds:
        for label, model in job.models.items():
            key = fold_key(job, frame.fingerprint, label, fold)
            for start, stop in _runs(job, model, fold, frame, cache.runs(key)):
                cells[Cell(label, fold, start, stop)] = cell_key(key, start, stop)
    return cells


def _runs(
    job: Job, model: Recipe, fold: Fold, frame: Any, finished: Sequence[UnitRun]
) -> Iterator[UnitRun]:
    """Yield the units of each cell; a model that is fitted on all of them together has one."""
    if getattr(model, "local", False):
        protocol = job.protocol
        size = (
            protocol.units_in_cell(model, frame)
            if isinstance(protocol, Compiling)
            else protocol.block
        )
        return unit_runs(fold.units, size, finished)
    return unit_runs(fold.units, max(fold.units, 1), ())


def evaluate_cells(
    job: Job, frame: Any, work: RunWork, compute: Compute, cache: CellCache, watch: RunObserver
) -> Tables:
    """Compute the cells that are not in the cache, and return the tables of all.

    Every finished cell is on disk before the next is waited for. The tables depend on no order, cut
    or executor.
    """
    kept = {cell: cache.get(key, cell) for cell, key in work.cells.items()}
    missing = MissingCells(
        {cell: work.cells[cell] for cell, outcome in kept.items() if outcome is None}, cache, watch
    )
    watch.begin(len(kept), len(kept) - len(missing.keys))
    progress = FoldOutcomes(Counter((cell.model, cell.fold.index) for cell in work.cells))
    for outcome in kept.values():
        if outcome is not None:
            progress.add(outcome)
    for outcome in missing.outcomes(job, frame, compute):
        note(outcome.inputs)
        progress.add(outcome)
        _report(job, work.folds, progress, outcome.cell, watch)
    with nullcontext() if job.inputs is None else note_inputs():
        return result_tables(job, work, progress.outcomes)


FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two looks at the cells that other processes compute: doubled from look to look.
"""


@dataclass(eq=False)
class MissingCells:
    """Cells that are not in the cache, each of which is computed by one of the processes that need
    it.

    A cell is locked from when the compute takes it until it is in the cache. What others have
    locked comes after the rest. A process waits for others only while it has none locked itself, so
    that two never wait for each other. The cell of a process that is killed, and one that failed,
    is not in the cache when its lock is free: who waits for it computes it.

    Attributes:
        keys: The keys of the cells, in the order in which they are to be computed.
        cache: The cache of finished cells.
        watch: The observer that is told of each of them.
        wanted: Whether a cell is still wanted when its turn comes.
    """

    keys: Mapping[Cell, str]
    cache: CellCache
    watch: CellObserver
    wanted: Callable[[Cell], bool] = lambda cell: True
    _left: deque[Cell] = field(init=False)
    _locks: dict[Cell, ExitStack] = field(init=False, default_factory=dict)
    _found: list[CellOutcome] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._left = deque(self.keys)

    def outcomes(
        self, job: Job, frame: Any, compute: Compute, limits: CellLimits = UNLIMITED
    ) -> Iterator[CellOutcome]:
        """Yield the outcomes of all cells, each when it is in the cache."""
        pause = FIRST_PAUSE
        try:
            while self._left:
                before = len(self._left)
                yield from self._free_outcomes(job, frame, compute, limits)
                if len(self._left) < before:
                    pause = FIRST_PAUSE
                    continue
                self.watch.wait()
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            for lock in self._locks.values():
                lock.close()

    def _free_outcomes(
        self, job: Job, frame: Any, compute: Compute, limits: CellLimits
    ) -> Iterator[CellOutcome]:
        """Yield outcomes until all cells that are left are locked by other processes."""
        free = self._free_cells()
        first = list(islice(free, 1))
        for outcome in compute.run(job, frame, chain(first, free), limits) if first else ():
            self.cache.put(self.keys[outcome.cell], outcome)
            self._locks.pop(outcome.cell).close()
            self.watch.finish_cell(outcome.error)
            yield outcome
            yield from self._found_outcomes()
        yield from self._found_outcomes()

    def _free_cells(self) -> Iterator[Cell]:
        """Yield cells that no process computes, each locked.

        The outcomes of those that are in the cache by now are put aside.
        """
        locked = 0  # by others, one after the other
        while locked < len(self._left):
            cell, lock = self._left.popleft(), ExitStack()
            if not self.wanted(cell):
                continue
            if not lock.enter_context(self.cache.lock(self.keys[cell])):
                self._left.append(cell)
                locked += 1
                continue
            locked, outcome = 0, self.cache.get(self.keys[cell], cell)
            if outcome is None:
                self._locks[cell] = lock
                yield cell
            else:
                lock.close()
                self._found.append(outcome)

    def _found_outcomes(self) -> Iterator[CellOutcome]:
        """Yield the outcomes that were put aside."""
        found, self._found = self._found, []
        for outcome in found:
            self.watch.take_cell()
            yield outcome


def _report(
    job: Job, folds: Sequence[Fold], progress: FoldOutcomes, cell: Cell, watch: RunObserver
) -> None:
    """Report the headline of a fold that is complete now, and of later ones that waited for it,
    equal to the final scores.
    """
    waits = job.protocol.postprocess_needs_earlier_folds
    for fold in [cell.fold, *(fold for fold in folds if waits and fold.index > cell.fold.index)]:
        read = (
            [other.index for other in folds if other.index <= fold.index] if waits else [fold.index]
        )
        if not all(progress.complete(cell.model, index) for index in read):
            return
        merged = {
            index: merge_rows(job, progress.outcomes.get((cell.model, index), ())) for index in read
        }
        rows = postprocess_rows(job, merged)
        if fold.index in rows:
            score = headline_score(score_rows(job, rows[fold.index]), job.protocol.headline)
            if score is not None:
                watch.show_score(cell.model, fold.name, score.metric, score.value)


def merge_rows(job: Job, outcomes: Sequence[CellOutcome]) -> DataFrame:
    """Return the rows of cells, sorted by the keys of rows: the cut into cells does not show."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.cell.start)
    parts = [outcome.rows for outcome in ordered if outcome.rows is not None and outcome.rows.width]
    if not parts:
        return DataFrame()
    rows, keys = pl.concat(parts), job.protocol.keys
    return rows if len(keys) == 1 and rows[keys[0]].is_sorted() else rows.sort(keys)


def score_rows(job: Job, rows: DataFrame) -> Sequence[Score]:
    """Return the protocol's scores of rows; a user's own metrics are computed behind walls if cells
    are.

    Raises:
        ConfigError: A metric behind walls fails, or asks for what no key names.
    """
    if job.sealed and has_own_code([job.protocol]):
        return [Score(**each) for each in json.loads(ask_apart(job, Scoring(rows)))]
    scores: Sequence[Score] = job.protocol.score(rows)
    return scores


def postprocess_rows(job: Job, folds: Mapping[int, DataFrame]) -> dict[int, DataFrame]:
    """Return the rows to score of one model by fold, from the merged rows of its folds.

    A fold without rows has none.
    """
    rows = [_in_fold(part, fold) for fold, part in folds.items() if not part.is_empty()]
    if not rows:
        return {}
    processed = job.protocol.postprocess(pl.concat(rows))
    if len(rows) == 1:
        return {rows[0]["fold"][0]: processed.drop("fold")}
    parts = processed.partition_by("fold", as_dict=True, include_key=False, maintain_order=True)
    return {fold: part for (fold,), part in parts.items()}


def _in_fold(rows: DataFrame, fold: int) -> DataFrame:
    return rows.select(pl.lit(fold, pl.Int32).alias("fold"), pl.all())


def result_tables(
    job: Job, work: RunWork, outcomes: Mapping[tuple[str, int], Sequence[CellOutcome]]
) -> Tables:
    """Return the scores of each model and fold and of all folds together, the predictions and the
    timings.
    """
    lines: list[dict[str, Any]] = []
    by_model: dict[str, DataFrame] = {}
    for label in job.models:
        scored, rows = _of_model(job, work, label, outcomes)
        lines += scored
        by_model |= {} if rows.is_empty() else {label: rows}
    predictions = {label: rows.drop("fold") for label, rows in by_model.items()}
    if isinstance(job.protocol, Contrasting):
        lines += [
            _line(work, label, None, score, 0)
            for label, score in job.protocol.contrasts(predictions)
        ]
    lines += [_line(work, TRUTH, None, score, 0) for score in work.oracle_scores]
    named = [
        rows.select(pl.lit(label).alias("model"), pl.all()) for label, rows in by_model.items()
    ]
    return Tables(
        DataFrame(lines, schema=SCORES),
        _concatenate([job.protocol.rows_to_keep(rows) for rows in named]),
        _timings([outcome for group in outcomes.values() for outcome in group]),
        metrics_table(work.measures),
    )


def _concatenate(parts: Sequence[DataFrame]) -> DataFrame:
    """Return the predictions of all models, one after the other.

    A column that a model lacks is null.
    """
    return pl.concat(parts, how="diagonal").rechunk() if parts else DataFrame()


def _of_model(
    job: Job, work: RunWork, label: str, outcomes: Mapping[tuple[str, int], Sequence[CellOutcome]]
) -> tuple[list[dict[str, Any]], DataFrame]:
    """Return the lines of one model's failures and scores, fold by fold and together, and all its
    rows with their `fold`.
    """
    groups = {fold.index: outcomes.get((label, fold.index), []) for fold in work.folds}
    processed = postprocess_rows(
        job, {fold: merge_rows(job, group) for fold, group in groups.items()}
    )
    lines: list[dict[str, Any]] = []
    whole: list[DataFrame] = []
    all_failed: list[Cell] = []
    for fold, group in groups.items():
        failed = sorted(
            (outcome for outcome in group if outcome.rows is None),
            key=lambda outcome: outcome.cell.start,
        )
        lines += [_failure(work, outcome) for outcome in failed]
        failed_cells = [outcome.cell for outcome in failed]
        all_failed += failed_cells
        rows = work.segments.with_clusters(processed.get(fold, DataFrame()))
        if not rows.is_empty():
            whole.append(_in_fold(rows, fold))
            scored = _score_lines(job, work, label, fold, rows, failed_cells)
            lines += scored
    if not whole:
        return lines, DataFrame()
    together = pl.concat(whole)
    if len(work.folds) == 1:  # then it is all folds together too
        return [*lines, *(line | {"fold": None} for line in scored)], together
    scored = _score_lines(job, work, label, None, together.drop("fold"), all_failed)
    return [*lines, *scored], together


def _score_lines(
    job: Job, work: RunWork, label: str, fold: int | None, rows: DataFrame, failed: Sequence[Cell]
) -> list[dict[str, Any]]:
    """Return the lines of the total, then those of each segment."""
    n_failed = sum(cell.stop - cell.start for cell in failed)
    scores = [(score, n_failed) for score in score_rows(job, rows)]
    scores += work.segments.scores(partial(score_rows, job), rows, failed)
    return [_line(work, label, fold, score, n_failed) for score, n_failed in scores]


def _line(work: RunWork, label: str, fold: int | None, score: Score, failed: int) -> dict[str, Any]:
    values = {each.name: getattr(score, each.name) for each in fields(Score)}
    return {**values, **work.labels, "model": label, "fold": fold, "n_failed": failed}


def _failure(work: RunWork, outcome: CellOutcome) -> dict[str, Any]:
    units = outcome.cell.stop - outcome.cell.start
    where = {"model": outcome.cell.model, "fold": outcome.cell.fold.index}
    counts = {"n": 0, "n_failed": units}
    return {**work.labels, **where, **counts, "status": f"failed: {outcome.error}"}


def _timings(outcomes: Sequence[CellOutcome]) -> DataFrame:
    cells = [(o.cell.model, o.cell.fold.index, o.cell.start, o.cell.stop) for o in outcomes]
    taken = [(o.seconds, o.cached, o.error or "ok") for o in outcomes]
    lines = sorted((*cell, *line) for cell, line in zip(cells, taken, strict=True))
    return DataFrame(lines, schema=TIMINGS, orient="row")


def unit_runs(units: int, size: int, finished: Sequence[UnitRun]) -> Iterator[UnitRun]:
    """Yield the runs that units 0 to `units` (excluded) are computed in, in order: a block of
    `size` each, and the rest.

    A block of which runs are finished (it was the last one of a run with fewer) is cut where they
    end: each is taken as it is, and what lies between them is what is left to compute.

    Args:
        units: The number of units.
        size: Units in a block; it does not depend on their number.
        finished: The runs that are there.
    """
    for first in range(0, units, size):
        yield from _block(first, min(first + size, units), finished)


def _block(start: int, stop: int, finished: Sequence[UnitRun]) -> Iterator[UnitRun]:
    inside = [run for run in finished if start <= run[0] and run[1] <= stop]
    while start < stop:
        here = [end for begin, end in inside if begin == start]
        later = [begin for begin, _ in inside if begin > start]
        end = max(here) if here else min(later, default=stop)
        yield start, end
        start = end
