"""What a sweep will ask, and how long it may take, from what such cells took before."""

from __future__ import annotations

from dataclasses import dataclass

from hwds.execution.estimate import Time, timed_before
from hwds.execution.search import Search


@dataclass(frozen=True, slots=True)
class Ahead:
    """What lies ahead of a sweep.

    Attributes:
        cells: All cells of all trials, if none were stopped.
        missing: Those of them that are not kept.
        share: The share of windows that is asked where nothing fails: less than 1 where trials are stopped.
        time: Of the missing cells one after the other, if none were stopped; None where a model was never timed.
    """

    cells: int
    missing: int
    share: float
    time: Time | None


def ahead_of(search: Search) -> Ahead:
    """What lies ahead."""
    names = {trial.label: trial.experiment.model.name for trial in search.trials if trial.experiment}
    keys = [(cell, key) for lot in search.lots for cell, key in lot.cells.items()]
    missing = [cell for cell, key in keys if not search.cache.has(key)]
    before = timed_before(search.experiment.dataset.name)
    if any(names[cell.model] not in before for cell in missing):
        return Ahead(len(keys), len(missing), share_asked(search), None)
    times = [before[names[cell.model]].time(max(cell.stop - cell.start, 1)) for cell in missing]
    time = Time(sum(each.seconds for each in times), any(each.at_most for each in times))
    return Ahead(len(keys), len(missing), share_asked(search), time)


def share_asked(search: Search) -> float:
    """The share of all windows of all trials that is asked, whichever trials turn out the best."""
    folds, going = len(search.rehearsal.folds), {trial.number for trial in search.trials if trial.experiment}
    asked, behind, every = 0, 0, len(going) * folds
    for rung in search.rungs:
        asked += len(going) * (rung - behind)
        kept = search.sweep.kept(rung, folds, {number: float(number) for number in going}) if going else set()
        going, behind = kept, rung
    return asked / every if every else 0.0
