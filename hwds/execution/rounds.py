"""Rounds of a search that learns: trials, then those that are proposed by their scores, up to as many as were asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hwds.execution.headline import lower
from hwds.execution.search import Search, search_of
from hwds.execution.sweep import WAITING, Record, run_search
from hwds.execution.trials import Trial, more_trials
from hwds.sweeps.searching import Told

Run = Callable[[Search], list[Record]]
"""What brings the trials of a search to their ends."""


def in_rounds(search: Search, run: Run) -> tuple[Search, list[Record]]:
    """All trials, and the search with those that were proposed on the way; of a search that does not learn in one round."""
    began, limit = time.monotonic(), search.sweep.seconds
    records = run(search)
    while more := proposed(search, records):
        left = None if limit is None else max(limit - (time.monotonic() - began), 1e-9)
        part = search_of(search, more)
        terms = replace(search.experiment, sweep=replace(search.sweep, seconds=left))
        records = [*records, *run(replace(part, experiment=terms))]
        search = replace(search, trials=[*search.trials, *more], lots=[*search.lots, *part.lots])
    return search, records


def proposed(search: Search, records: Sequence[Record]) -> list[Trial]:
    """The next trials; none where there are enough, the space has no more, or the time was over before these had ended."""
    sweep: Any = search.sweep
    count = sweep.trials - len(records)
    if not sweep.learns or count <= 0 or any(record.status == WAITING for record in records):
        return []
    told = [_told(search, record) for record in records]
    settings = sweep.proposals(search.leaves, told, len(search.rehearsal.folds))
    return more_trials(search.data, sweep, search.trials, settings, min(sweep.batch, count))


def _told(search: Search, record: Record) -> Told:
    return Told(record.trial.settings, {rung: lower(value, search.better) for rung, value in record.rungs.items()})


def foreseen(search: Search) -> Search:
    """The search with all trials that follow from what is kept: what is proposed next depends on scores that are not there."""
    return in_rounds(search, _kept)[0]


def _kept(search: Search) -> list[Record]:
    """What became of the trials, where all of their cells are kept; without them nothing is asked and nobody proposes."""
    if all(search.cache.has(key) for lot in search.lots for key in lot.cells.values()):
        return run_search(search, Unwatched())
    return [Record(trial) for trial in search.trials]


class Unwatched:
    """Nobody is told how it goes."""

    def begin(self, cells: int, cached: int) -> None:
        """Nothing."""

    def finished(self, error: str) -> None:
        """Nothing."""

    def trial(self, label: str, status: str, folds: int, value: float | None, spared: int) -> None:
        """Nothing."""
