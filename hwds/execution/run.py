"""Cells out, rows back, scores of each model and fold: knows no protocol, no model and no kind of machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import polars as pl

from hwds.execution.base import Compute
from hwds.execution.blocks import Run, runs
from hwds.execution.cache import CellCache, key_of
from hwds.execution.job import Job, Outcome
from hwds.execution.keys import fold_key
from hwds.metrics.base import Measure, short
from hwds.protocols.base import Cell, Fold, Score
from hwds.protocols.segments import Segments
from hwds.recipe import Recipe
from hwds.results.tables import SCORES, TIMINGS, TRUTH, Tables, metrics_table


class Watch(Protocol):
    """Who is told how a run goes."""

    def begin(self, cells: int, cached: int) -> None:
        """The number of cells, and how many of them are there already."""

    def finished(self, error: str) -> None:
        """A cell is done; `error` is empty where it succeeded."""

    def scored(self, model: str, fold: str, metric: str, value: float | None) -> None:
        """A model's fold is complete."""


@dataclass(frozen=True)
class Work:
    """The cells of a run with their keys, and all that their scores are told by.

    Attributes:
        cells: Each with its key.
        folds: Those of the protocol.
        labels: What every score bears.
        segments: What scores are also told by.
        measures: What each metric says of itself.
        facts: What a simulator knows of itself.
    """

    cells: dict[Cell, str]
    folds: Sequence[Fold]
    labels: dict[str, str | int]
    segments: Segments = field(default_factory=Segments)
    measures: Sequence[Measure] = ()
    facts: Sequence[Score] = ()


@dataclass
class Progress:
    """Outcomes by model and fold, gathered as they come."""

    outcomes: dict[tuple[str, int], list[Outcome]] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> list[Outcome]:
        """Keep one; all of its model and fold so far."""
        group = self.outcomes.setdefault((outcome.cell.model, outcome.cell.fold.index), [])
        group.append(outcome)
        return group


def cut(job: Job, folds: Sequence[Fold], frame: Any, cache: CellCache) -> dict[Cell, str]:
    """Every cell of the run with its key, fold by fold."""
    cells = {}
    for fold in folds:
        for label, model in job.models.items():
            key = fold_key(job, frame.fingerprint, label, fold)
            for start, stop in _runs(job, model, fold, frame, cache.runs(key)):
                cells[Cell(label, fold, start, stop)] = key_of(key, start, stop)
    return cells


def _runs(job: Job, model: Recipe, fold: Fold, frame: Any, finished: Sequence[Run]) -> Iterator[Run]:
    """The units of each cell; a model that is fitted on all of them together has one."""
    if getattr(model, "local", False):
        return runs(fold.units, job.protocol.units_in_cell(model, frame), finished)
    return runs(fold.units, max(fold.units, 1), ())


def evaluate(job: Job, frame: Any, work: Work, compute: Compute, cache: CellCache, watch: Watch) -> Tables:
    """All cells, from the cache or computed, and the tables they make.

    Every finished cell is on disk before the next is waited for. The tables depend on no order, cut or executor.
    """
    kept = {cell: cache.get(key, cell) for cell, key in work.cells.items()}
    missing = [cell for cell, outcome in kept.items() if outcome is None]
    watch.begin(len(kept), len(kept) - len(missing))
    progress = Progress()
    size = {
        group: sum((c.model, c.fold.index) == group for c in work.cells)
        for group in {(c.model, c.fold.index) for c in work.cells}
    }
    for outcome in _outcomes(job, frame, kept, missing, compute):
        if not outcome.cached:
            cache.put(work.cells[outcome.cell], outcome)
            watch.finished(outcome.error)
        group = progress.add(outcome)
        if len(group) == size[outcome.cell.model, outcome.cell.fold.index] and not outcome.cached:
            _tell(job, group, watch)
    return tables(job, work, progress.outcomes)


def _outcomes(
    job: Job, frame: Any, kept: Mapping[Cell, Outcome | None], missing: Sequence[Cell], compute: Compute
) -> Iterator[Outcome]:
    yield from (outcome for outcome in kept.values() if outcome is not None)
    if missing:
        yield from compute.run(job, frame, missing)


def _tell(job: Job, group: Sequence[Outcome], watch: Watch) -> None:
    fold = group[0].cell.fold.index
    rows = settled(job, {fold: merged(job, group)}).get(fold, pl.DataFrame())
    if rows.is_empty():
        return
    headline, scores = job.protocol.headline, job.protocol.score(rows)
    first = next((s for s in scores if short(s.metric) == headline and s.step is None), None)
    if first:
        watch.scored(group[0].cell.model, group[0].cell.fold.name, first.metric, first.value)


def merged(job: Job, outcomes: Sequence[Outcome]) -> pl.DataFrame:
    """The rows of cells, sorted by what names a row: how they were cut does not show."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.cell.start)
    parts = [outcome.rows for outcome in ordered if outcome.rows is not None and outcome.rows.width]
    if not parts:
        return pl.DataFrame()
    rows, keys = pl.concat(parts), job.protocol.keys
    return rows if len(keys) == 1 and rows[keys[0]].is_sorted() else rows.sort(keys)


def settled(job: Job, folds: Mapping[int, pl.DataFrame]) -> dict[int, pl.DataFrame]:
    """What is scored of one model, from the merged rows of its folds; a fold without rows has none."""
    rows = [part.select(pl.lit(fold, pl.Int32).alias("fold"), pl.all()) for fold, part in folds.items() if not part.is_empty()]
    if not rows:
        return {}
    told = job.protocol.settle(pl.concat(rows))
    if len(rows) == 1:
        return {rows[0]["fold"][0]: told.drop("fold")}
    parts = told.partition_by("fold", as_dict=True, include_key=False, maintain_order=True)
    return {fold: part for (fold,), part in parts.items()}


def tables(job: Job, work: Work, outcomes: Mapping[tuple[str, int], Sequence[Outcome]]) -> Tables:
    """Scores of each model and fold and of all folds together; predictions; timings."""
    lines: list[dict[str, Any]] = []
    answered: dict[str, pl.DataFrame] = {}
    for label in job.models:
        own, rows = _of_model(job, work, label, outcomes)
        lines += own
        answered |= {} if rows.is_empty() else {label: rows}
    asked = {label: rows.drop("fold") for label, rows in answered.items()}
    lines += [_line(work, label, None, score, 0) for label, score in job.protocol.contrasts(asked)]
    lines += [_line(work, TRUTH, None, score, 0) for score in work.facts]
    named = [rows.select(pl.lit(label).alias("model"), pl.all()) for label, rows in answered.items()]
    return Tables(
        pl.DataFrame(lines, schema=SCORES),
        pl.concat(job.protocol.kept(rows) for rows in named).rechunk() if named else pl.DataFrame(),
        _timings([outcome for group in outcomes.values() for outcome in group]),
        metrics_table(work.measures),
    )


def _of_model(
    job: Job, work: Work, label: str, outcomes: Mapping[tuple[str, int], Sequence[Outcome]]
) -> tuple[list[dict[str, Any]], pl.DataFrame]:
    """The lines of one model's failures and scores, fold by fold and together; and all its rows with their `fold`."""
    groups = {fold.index: outcomes.get((label, fold.index), []) for fold in work.folds}
    answered = settled(job, {fold: merged(job, group) for fold, group in groups.items()})
    lines: list[dict[str, Any]] = []
    whole: list[pl.DataFrame] = []
    lost: list[Cell] = []
    for fold, group in groups.items():
        failed = sorted((outcome for outcome in group if outcome.rows is None), key=lambda outcome: outcome.cell.start)
        lines += [_failure(work, outcome) for outcome in failed]
        lost += [outcome.cell for outcome in failed]
        rows = answered.get(fold, pl.DataFrame())
        if not rows.is_empty():
            whole.append(rows.select(pl.lit(fold, pl.Int32).alias("fold"), pl.all()))
            own = _scored(job, work, label, fold, rows, [outcome.cell for outcome in failed])
            lines += own
    if not whole:
        return lines, pl.DataFrame()
    together = pl.concat(whole)
    if len(work.folds) == 1:  # then it is all folds together too
        return [*lines, *(line | {"fold": None} for line in own)], together
    return [*lines, *_scored(job, work, label, None, together.drop("fold"), lost)], together


def _scored(
    job: Job, work: Work, label: str, fold: int | None, rows: pl.DataFrame, lost: Sequence[Cell]
) -> list[dict[str, Any]]:
    """The lines of the total, then those of each segment."""
    failed = sum(cell.stop - cell.start for cell in lost)
    scores = [(score, failed) for score in job.protocol.score(rows)]
    scores += work.segments.scores(job.protocol, rows, lost)
    return [_line(work, label, fold, score, failed) for score, failed in scores]


def _line(work: Work, label: str, fold: int | None, score: Score, failed: int) -> dict[str, Any]:
    return {**asdict(score), **work.labels, "model": label, "fold": fold, "n_failed": failed}


def _failure(work: Work, outcome: Outcome) -> dict[str, Any]:
    units = outcome.cell.stop - outcome.cell.start
    said = {"model": outcome.cell.model, "fold": outcome.cell.fold.index, "n": 0, "n_failed": units}
    return {**work.labels, **said, "status": f"failed: {outcome.error}"}


def _timings(outcomes: Sequence[Outcome]) -> pl.DataFrame:
    lines = [
        (o.cell.model, o.cell.fold.index, o.cell.start, o.cell.stop, o.seconds, o.cached, o.error or "ok")
        for o in sorted(outcomes, key=lambda o: (o.cell.model, o.cell.fold.index, o.cell.start))
    ]
    return pl.DataFrame(lines, schema=TIMINGS, orient="row")
