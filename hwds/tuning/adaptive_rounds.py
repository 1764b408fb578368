"""Rounds of a search that learns: the first trials, then those proposed from their scores, up to the number of trials."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from hwds.tuning.rungs import WAITING, TrialRecord, run_search
from hwds.tuning.search import Search, search_of
from hwds.tuning.search_settings import TrialScores
from hwds.tuning.trial_scores import as_minimised
from hwds.tuning.trials import Trial, more_trials

Run = Callable[[Search], list[TrialRecord]]
"""A function that runs the trials of a search."""


def in_rounds(search: Search, run: Run) -> tuple[Search, list[TrialRecord]]:
    """Run all trials, in one round unless the search learns; return the search with the proposed trials, and the records."""
    began, limit = time.monotonic(), search.sweep.seconds
    records = run(search)
    search, records = without_undefined(search, records)
    while more := proposed(search, records):
        left = None if limit is None else max(limit - (time.monotonic() - began), 1e-9)
        part = search_of(search, more)
        terms = replace(search.experiment, sweep=replace(search.sweep, seconds=left))
        records = [*records, *run(replace(part, experiment=terms))]
        search = replace(search, trials=[*search.trials, *more], trial_groups=[*search.trial_groups, *part.trial_groups])
    return search, records


def without_undefined(search: Search, records: list[TrialRecord]) -> tuple[Search, list[TrialRecord]]:
    """Return the search and its records without the trials of earlier sweeps that came to nothing by this one's metric."""
    lost = {record.trial.number for record in records if record.trial.source and record.undefined}
    if not lost:
        return search, records
    trials = [trial for trial in search.trials if trial.number not in lost]
    return replace(search, trials=trials), [record for record in records if record.trial.number not in lost]


def proposed(search: Search, records: Sequence[TrialRecord]) -> list[Trial]:
    """Return the next trials; none where there are enough, the space is exhausted, or a trial ran out of time."""
    sweep = search.sweep
    count = search.most_trials - len(records)
    if not sweep.learns or count <= 0 or any(record.status == WAITING for record in records):
        return []
    scored = [_trial_scores(search, record) for record in records]
    settings = sweep.proposals(search.leaves, scored, len(search.tuning_split.folds))
    return more_trials(search.data, sweep, search.trials, settings, min(sweep.at_once, count))


def _trial_scores(search: Search, record: TrialRecord) -> TrialScores:
    rungs = {rung: as_minimised(value, search.better) for rung, value in record.rungs.items()}
    return TrialScores(record.trial.settings, rungs, record.trial.covers)


def with_cached_trials(search: Search) -> Search:
    """Return the search with all trials that follow from cached cells; later proposals depend on scores still missing."""
    return in_rounds(search, _cached_records)[0]


def _cached_records(search: Search) -> list[TrialRecord]:
    """Return the records of the trials from cached cells; where a cell is missing, records of trials that have not run."""
    if all(search.cache.has(key) for group in search.trial_groups for key in group.cells.values()):
        return run_search(search, SilentListener())
    return [TrialRecord(trial) for trial in search.trials]


class SilentListener:
    """A listener that ignores all events."""

    def begin(self, cells: int, cached: int) -> None:
        """Do nothing."""

    def finished(self, error: str) -> None:
        """Do nothing."""

    def trial(self, label: str, status: str, folds: int, value: float | None, cells_saved: int) -> None:
        """Do nothing."""
