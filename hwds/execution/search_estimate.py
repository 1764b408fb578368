"""What a sweep will ask and how long it may take, by what such cells took before; afterwards, how good that was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, hypot, log, sqrt
from typing import Any

import numpy as np
import polars as pl

from hwds.execution.estimate import Timed, timed_before
from hwds.execution.processes import usable_cores
from hwds.execution.search import Search
from hwds.execution.sweep import Record
from hwds.results.folder import OUTPUTS

UNTRIED = log(2.0)
"""How far, as a logarithm, settings may cost more or less than the one that was timed, where no sweep has tried any."""
LOAD = log(1.25)
"""How far the same work may take longer or shorter on another day."""
ENOUGH = 5
"""Trials that must have been timed, to know how far settings differ in cost."""
LOOKED = 100
"""Kept cells of a sweep that was cut short, evenly among them, that are read to see what they took."""
Z90 = 1.645


@dataclass(frozen=True, slots=True)
class Span:
    """An expectation in seconds of one core, and the ends of its 90 % range."""

    seconds: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Ahead:
    """What lies ahead of a sweep.

    Attributes:
        cells: All cells of all trials, if none were stopped.
        missing: How many of them are not kept.
        share: The share of windows that is asked where nothing fails: less than 1 where trials are stopped.
        core: What the missing ones that are asked take on one core; None where a model was never timed on this dataset.
        at_once: Cells that are computed at the same time; None of a cluster that runs already.
    """

    cells: int
    missing: int
    share: float
    core: Span | None
    at_once: int | None

    @property
    def seconds(self) -> float | None:
        """What the clock will show; None where that cannot be known."""
        return None if self.core is None or self.at_once is None else self.core.seconds / self.at_once


def ahead_of(search: Search) -> Ahead:
    """What lies ahead."""
    names = {trial.label: trial.experiment.model.name for trial in search.trials if trial.experiment}
    keys = [(cell, key) for lot in search.lots for cell, key in lot.cells.items()]
    missing = [cell for cell, key in keys if not search.cache.has(key)]
    share, at_once = share_asked(search), cells_at_once(search.experiment.compute, search.sweep)
    asked = {names[cell.model] for cell in missing}
    costs = _costs(search.experiment.dataset.name, asked, lambda: timed_here(search, names))
    if costs is None:
        return Ahead(len(keys), len(missing), share, None, at_once)
    every = sum(costs[names[cell.model]][0].time(max(cell.stop - cell.start, 1)).seconds for cell in missing)
    seconds = every * share_left(len(keys), len(missing), share)
    count = max(len({cell.model for cell in missing}), 1)
    reach = max((spread(apart, count) for _, apart in costs.values()), default=0.0)
    return Ahead(len(keys), len(missing), share, Span(seconds, seconds * exp(-reach), seconds * exp(reach)), at_once)


def share_left(cells: int, missing: int, share: float) -> float:
    """The share of the missing cells that is asked: of those that are kept none is asked again, and trials stay stopped."""
    return min(max(share * cells - (cells - missing), 0.0) / missing, 1.0) if missing else 0.0


def spread(apart: float | None, trials: int) -> float:
    """How far, as a logarithm, a sum over trials may lie from its expectation.

    Args:
        apart: The standard deviation of the logarithm of what trials took; None where no sweep has told.
        trials: How many.
    """
    return hypot(LOAD, UNTRIED if apart is None else Z90 * apart / sqrt(trials))


def _costs(
    dataset: str, models: set[str], here: Callable[[], Mapping[str, tuple[Timed, float | None]]]
) -> Mapping[str, tuple[Timed, float | None]] | None:
    """What cells of each model take by size, and how far trials of it differ; None where one was never timed.

    Cells of earlier sweeps go before those of runs: they had other settings, as the trials will. Where neither timed all
    models, the cells that this sweep has kept since it was cut short say it.
    """
    known: dict[str, tuple[Timed, float | None]] = {name: (timed, None) for name, timed in timed_before(dataset).items()}
    known |= timed_in_sweeps(dataset)
    if not models <= {*known}:
        known |= here()
    return {name: known[name] for name in models} if models <= {*known} else None


def timed_here(search: Search, names: Mapping[str, str]) -> Mapping[str, tuple[Timed, float | None]]:
    """What some of the cells that a sweep has kept took, by the option of their models.

    Args:
        search: The sweep.
        names: Of each trial's label, the option of its model.
    """
    kept = [(cell, key) for lot in search.lots for cell, key in lot.cells.items() if search.cache.has(key)]
    looked = [search.cache.get(key, cell) for cell, key in kept[:: -(-len(kept) // LOOKED) or 1]]
    rows = pl.DataFrame(
        [
            (names[done.cell.model], done.cell.model, max(done.cell.stop - done.cell.start, 1), done.seconds)
            for done in looked
            if done is not None
        ],
        schema={"model": pl.String, "trial": pl.String, "units": pl.Int64, "seconds": pl.Float64},
        orient="row",
    )
    parts = rows.with_columns(sweep=pl.lit("this")).partition_by("model", as_dict=True)
    return {str(model): (_by_size(part), _apart(part)) for (model,), part in parts.items()}


def timed_in_sweeps(dataset: str) -> Mapping[str, tuple[Timed, float | None]]:
    """What the cells of each model took in the sweeps on one dataset, and how far its trials differed (as a logarithm)."""
    paths = [
        path
        for path in (OUTPUTS / "sweeps").glob("*/*/timings.parquet")
        if dataset in pl.read_parquet(path.with_name("scores.parquet"), columns=["dataset"])["dataset"].unique()
    ]
    if not paths:
        return {}
    rows = pl.concat(pl.read_parquet(path).with_columns(sweep=pl.lit(str(path))) for path in paths)
    typical = rows.filter(pl.col("seconds") > 0).group_by("model", "sweep", "trial", "units").agg(pl.col("seconds").median())
    parts = typical.sort("sweep", "trial", "units").partition_by("model", as_dict=True)
    return {str(model): (_by_size(part), _apart(part)) for (model,), part in parts.items()}


def _by_size(rows: pl.DataFrame) -> Timed:
    """The mean over trials of what a cell of each size took: a sum is foreseen."""
    sizes = rows.group_by("units").agg(pl.col("seconds").mean()).sort("units")
    return Timed(sizes["units"].to_list(), sizes["seconds"].to_list())


def _apart(rows: pl.DataFrame) -> float | None:
    """The standard deviation of the logarithm of what trials took against the mean of cells of their size."""
    usual = pl.col("seconds").mean().over("units")
    each = rows.with_columns(usual=usual).group_by("sweep", "trial").agg(pl.col("seconds", "usual").sum())
    return float(np.log((each["seconds"] / each["usual"]).to_numpy()).std(ddof=1)) if len(each) >= ENOUGH else None


def cells_at_once(compute: Any, sweep: Any) -> int | None:
    """Cells of a sweep that are computed at the same time; None of a cluster that runs already."""
    if getattr(compute, "address", None):
        return None
    workers = getattr(compute, "workers", None)
    cpus = sweep.cpus_per_trial or compute.cpus_per_cell
    most = 1 if workers is None else workers or max(usable_cores() // cpus, 1)
    return min(most, sweep.concurrent or most)


def share_asked(search: Search) -> float:
    """The share of all windows of all trials that is asked, whichever trials turn out the best."""
    folds, going = len(search.rehearsal.folds), {trial.number for trial in search.trials if trial.experiment}
    asked, behind, every = 0, 0, len(going) * folds
    for rung in search.rungs:
        asked += len(going) * (rung - behind)
        kept = search.sweep.kept(rung, folds, {number: float(number) for number in going}) if going else set()
        going, behind = kept, rung
    return asked / every if every else 0.0


def time_told(ahead: Ahead, records: Sequence[Record], seconds: float) -> dict[str, object]:
    """What `sweep.json` says of the time that trials took beside what was foreseen; empty where nothing was computed now.

    Args:
        ahead: What was foreseen.
        records: What became of the trials.
        seconds: What the clock has shown.
    """
    core = sum(record.now for record in records)
    cells = sum(len(record.timings) - record.cached for record in records)
    if not cells:
        return {}
    took = {"cells": cells, "core_seconds": core, "seconds": seconds}
    if ahead.core is None:
        return {"took": took}
    span = ahead.core
    foreseen = {"core_seconds": span.seconds, "low": span.low, "high": span.high, "seconds": ahead.seconds}
    return {"foreseen": foreseen, "took": took}
