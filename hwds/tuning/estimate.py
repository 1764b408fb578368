"""The estimate of a sweep's cells and time from earlier timings, and afterwards its comparison with the actual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, hypot, log, sqrt

import numpy as np
import polars as pl

from hwds.core.outputs import OUTPUTS
from hwds.datasets.base import Dataset
from hwds.evaluation.base import Cell
from hwds.execution.compute.base import Compute
from hwds.execution.compute.processes import usable_cores
from hwds.experiment.estimate import Timed, timed_before, timings_on
from hwds.tuning.rungs import TrialRecord
from hwds.tuning.search import Search
from hwds.tuning.search_settings import Searching

UNTRIED = log(2.0)
"""The assumed spread of costs between settings, as a logarithm, where no sweep has timed any."""
LOAD = log(1.25)
"""The assumed spread of the time of the same work between days, as a logarithm."""
ENOUGH = 5
"""The number of timed trials from which the spread between settings is estimated."""
SAMPLED = 100
"""The number of cached cells of an interrupted sweep, evenly spaced, whose timings are read."""
Z90 = 1.645


@dataclass(frozen=True, slots=True)
class Span:
    """An expected number of seconds on one core, with its 90 % interval."""

    seconds: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SweepEstimate:
    """The expected work of a sweep.

    Attributes:
        cells: All cells of all trials if none were stopped.
        missing: The number of them that are not cached.
        share: The share of windows that is computed where nothing fails: less than 1 where trials are stopped.
        core: The time of the missing cells on one core; None where a model was never timed on this dataset.
        at_once: Cells that are computed at the same time; None for a cluster that runs already.
    """

    cells: int
    missing: int
    share: float
    core: Span | None
    at_once: int | None

    @property
    def seconds(self) -> float | None:
        """The expected wall time; None where it cannot be known."""
        return None if self.core is None or self.at_once is None else self.core.seconds / self.at_once


def estimate_of(search: Search) -> SweepEstimate:
    """Return the expected work of a sweep, the trials that are still to be proposed included in its time."""
    names = {trial.label: trial.experiment.model.name for trial in search.trials if trial.experiment}
    keys = [(cell, search.cache.has(key)) for group in search.trial_groups for cell, key in group.cells.items()]
    missing = [cell for cell, cached in keys if not cached]
    share, at_once = share_of_windows(search), cells_at_once(search.experiment.compute, search.sweep)
    own = {trial.label for trial in search.trials if not trial.source}
    to_come = max(search.most_trials - len(search.trials), 0)
    computed = {names[cell.model] for cell in missing} | ({names[label] for label in own & {*names}} if to_come else set())
    costs = _costs(search.experiment.dataset, computed, lambda: timed_here(search, names))
    if costs is None:
        return SweepEstimate(len(keys), len(missing), share, None, at_once)
    shares = expected_windows(search, [(cell, cached) for cell, cached in keys if cell.model in own])
    seconds = sum(shares.get((cell.model, search.place(cell.fold)), 1.0) * _cost(costs, names, cell) for cell in missing)
    whole = sum(_cost(costs, names, cell) for cell, _ in keys if cell.model in own) if to_come else 0.0
    seconds += share * whole * to_come / max(len(own & {*names}), 1)
    count = max(len({cell.model for cell in missing}) + to_come, 1)
    reach = max((spread(deviation, count) for _, deviation in costs.values()), default=0.0)
    return SweepEstimate(len(keys), len(missing), share, Span(seconds, seconds * exp(-reach), seconds * exp(reach)), at_once)


def _cost(costs: Mapping[str, tuple[Timed, float | None]], names: Mapping[str, str], cell: Cell) -> float:
    """Return the expected seconds of a cell."""
    return costs[names[cell.model]][0].time(max(cell.stop - cell.start, 1)).seconds


def expected_windows(search: Search, cells: Sequence[tuple[Cell, bool]]) -> Mapping[tuple[str, int], float]:
    """Return the chance of each window of each trial to be computed if it is missing, by label and place.

    A trial whose windows before are all there was stopped where as many as are to go on have this one. Of the others nothing is
    known, and they go on as often as any.

    Args:
        search: The search.
        cells: Those of its own trials, and whether each is cached.
    """
    cached: dict[tuple[str, int], bool] = {}
    for cell, there in cells:
        at = cell.model, search.place(cell.fold)
        cached[at] = cached.get(at, True) and there
    shares = shares_by_place(search)
    alive = {label: 1.0 for label, _ in cached}
    chances: dict[tuple[str, int], float] = {}
    for place, share in enumerate(shares):
        missing = [label for label in alive if not cached.get((label, place), True)]
        unsure = {label for label in alive if not all(cached.get((label, before), True) for before in range(place))}
        for label in unsure:
            alive[label] *= share / shares[place - 1]
        waiting = [label for label in missing if label not in unsure]
        taken = len(alive) - len(missing) + sum(alive[label] for label in unsure.intersection(missing))
        left = share * len(alive) - taken
        alive |= dict.fromkeys(waiting, min(max(left, 0.0) / len(waiting), 1.0) if waiting else 0.0)
        chances |= {(label, place): alive[label] for label in missing}
    return chances


def spread(deviation: float | None, trials: int) -> float:
    """Return the half-width of the 90 % interval of a sum over trials, as a logarithm.

    Args:
        deviation: The standard deviation of the logarithm of the trials' times; None where no sweep was timed.
        trials: The number of trials.
    """
    return hypot(LOAD, UNTRIED if deviation is None else Z90 * deviation / sqrt(trials))


def _costs(
    dataset: Dataset, models: set[str], here: Callable[[], Mapping[str, tuple[Timed, float | None]]]
) -> Mapping[str, tuple[Timed, float | None]] | None:
    """Return the time of each model's cells by size, with the spread of its trials; None where one was never timed.

    Cells of earlier sweeps are preferred to those of runs: their settings varied, as those of the trials will. Where neither
    timed all models, the cached cells of this sweep, if it was interrupted, are read.
    """
    known: dict[str, tuple[Timed, float | None]] = {name: (timed, None) for name, timed in timed_before(dataset).items()}
    known |= timed_in_sweeps(dataset)
    if not models <= {*known}:
        known |= here()
    return {name: known[name] for name in models} if models <= {*known} else None


def timed_here(search: Search, names: Mapping[str, str]) -> Mapping[str, tuple[Timed, float | None]]:
    """Return the time of a sweep's cached cells, or of a sample of them, by the option of their models.

    Args:
        search: The sweep.
        names: Of each trial's label, the option of its model.
    """
    cached = [(cell, key) for group in search.trial_groups for cell, key in group.cells.items() if search.cache.has(key)]
    sampled = [search.cache.get(key, cell) for cell, key in cached[:: -(-len(cached) // SAMPLED) or 1]]
    rows = pl.DataFrame(
        [
            (names[done.cell.model], done.cell.model, max(done.cell.stop - done.cell.start, 1), done.seconds)
            for done in sampled
            if done is not None
        ],
        schema={"model": pl.String, "trial": pl.String, "units": pl.Int64, "seconds": pl.Float64},
        orient="row",
    )
    parts = rows.with_columns(sweep=pl.lit("this")).partition_by("model", as_dict=True)
    return {str(model): (_by_size(part), _log_deviation(part)) for (model,), part in parts.items()}


def timed_in_sweeps(dataset: Dataset) -> Mapping[str, tuple[Timed, float | None]]:
    """Return the time of each model's cells in the sweeps on one dataset, with the spread of its trials (as a logarithm)."""
    found = timings_on(dataset, OUTPUTS / "sweeps")
    if not found:
        return {}
    rows = pl.concat(timings.with_columns(sweep=pl.lit(str(path))) for path, (_, timings) in found.items())
    typical = rows.filter(pl.col("seconds") > 0).group_by("model", "sweep", "trial", "units").agg(pl.col("seconds").median())
    parts = typical.sort("sweep", "trial", "units").partition_by("model", as_dict=True)
    return {str(model): (_by_size(part), _log_deviation(part)) for (model,), part in parts.items()}


def _by_size(rows: pl.DataFrame) -> Timed:
    """Return the mean over trials of the time of a cell of each size: a mean, because a sum is estimated."""
    sizes = rows.group_by("units").agg(pl.col("seconds").mean()).sort("units")
    return Timed(sizes["units"].to_list(), sizes["seconds"].to_list())


def _log_deviation(rows: pl.DataFrame) -> float | None:
    """Return the standard deviation of the logarithm of trials' times over the mean of cells of their size."""
    usual = pl.col("seconds").mean().over("units")
    each = rows.with_columns(usual=usual).group_by("sweep", "trial").agg(pl.col("seconds", "usual").sum())
    return float(np.log((each["seconds"] / each["usual"]).to_numpy()).std(ddof=1)) if len(each) >= ENOUGH else None


def cells_at_once(compute: Compute, sweep: Searching) -> int | None:
    """Return the number of a sweep's cells that are computed at the same time; None for a cluster that runs already."""
    if getattr(compute, "address", None):
        return None
    workers = getattr(compute, "workers", None)
    cpus = sweep.cpus_per_trial or compute.cpus_per_cell
    most = 1 if workers is None else workers or max(usable_cores() // cpus, 1)
    return min(most, sweep.concurrent or most)


def share_of_windows(search: Search) -> float:
    """Return the share of all windows of the sweep's own trials that is computed, whichever of them turn out the best."""
    shares = shares_by_place(search)
    return sum(shares) / len(shares) if shares else 0.0


def shares_by_place(search: Search) -> list[float]:
    """Return the share of the sweep's own trials that compute each window, in the order of computation."""
    own = {trial.number for trial in search.trials if trial.experiment and not trial.source}
    folds, active, previous = len(search.tuning_split.folds), own, 0
    shares: list[float] = []
    for rung in search.rungs:
        shares += [len(active) / max(len(own), 1)] * (rung - previous)
        active = search.sweep.survivors(rung, folds, {number: float(number) for number in active}) if active else set()
        previous = rung
    return shares


def time_record(estimate: SweepEstimate, records: Sequence[TrialRecord], seconds: float) -> dict[str, object]:
    """Return the actual and the estimated time for `sweep.json`; empty where nothing was computed now.

    Args:
        estimate: The estimate.
        records: The records of the trials.
        seconds: The wall time.
    """
    core = sum(record.now for record in records)
    cells = sum(len(record.timings) - record.cached for record in records)
    if not cells:
        return {}
    took = {"cells": cells, "core_seconds": core, "seconds": seconds}
    if estimate.core is None:
        return {"took": took}
    span = estimate.core
    expected = {"core_seconds": span.seconds, "low": span.low, "high": span.high, "seconds": estimate.seconds}
    return {"foreseen": expected, "took": took}
