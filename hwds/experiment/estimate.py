"""An estimate of the time of missing cells: from the time of earlier ones, or else from the work that they are.

A cell takes what it takes to begin and to write its rows, and something for each unit. The two are told apart where cells of
several sizes were timed: between two sizes the seconds are interpolated, beyond them they go on as from the smallest to the
largest. From one size alone a larger cell cannot be foreseen but from above, as if nothing were fixed.

What was never timed on the data follows from rows, steps, trees and epochs, by the laws of its protocol, and from the speed of
this machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from hwds.core.checksums.files import read_parquet
from hwds.core.outputs import OUTPUTS
from hwds.evaluation.abilities import Foreseeable
from hwds.evaluation.base import Cell
from hwds.experiment.prepare import Prepared
from hwds.results.score_totals import DAMAGE

ALIKE = 1.5
"""The largest ratio of a cell's size to the one size that was timed at which both count as alike."""


@dataclass(frozen=True, slots=True)
class Time:
    """An estimate of time.

    Attributes:
        seconds: On one core.
        at_most: Whether it may be far too high, as only far smaller cells were timed.
        by_work: Whether some of it follows from the work that cells are, and was never timed on this data.
    """

    seconds: float
    at_most: bool = False
    by_work: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Timed:
    """The times of a model's cells: the sizes that were timed, rising, and the median seconds of each."""

    sizes: Sequence[int]
    seconds: Sequence[float]

    def time(self, units: int) -> Time:
        """Return the estimate for a cell with so many units."""
        sizes, seconds = np.array(self.sizes, float), np.maximum.accumulate(self.seconds)  # more units take no less
        first, last = (sizes[0], seconds[0]), (sizes[-1], seconds[-1])
        each = (last[1] - first[1]) / (last[0] - first[0]) if len(sizes) > 1 else first[1] / first[0]
        if units > last[0]:
            return Time(float(last[1] + each * (units - last[0])), len(sizes) == 1 and units > ALIKE * last[0])
        fixed = max(first[1] - each * first[0], 0.0)
        return Time(float(np.interp(units, [0.0, *sizes], [fixed, *seconds])))


def missing_cells(prepared: Prepared) -> list[Cell]:
    """Return the cells that are not in the cache."""
    return [cell for cell, key in prepared.work.cells.items() if not prepared.cache.has(key)]


def timed_before(dataset: str) -> Mapping[str, Timed]:
    """Return the times of the cells of each model on one dataset, over earlier runs."""
    found = timings_on(dataset, OUTPUTS / "runs")
    timings = [rows.filter(pl.col("status") == "ok") for rows in found.values()]
    if not timings:
        return {}
    units = pl.max_horizontal(pl.col("stop") - pl.col("start"), 1).alias("units")
    by_size = pl.concat(timings).group_by("model", units).agg(pl.col("seconds").median()).sort("model", "units")
    models = by_size.partition_by("model", as_dict=True, include_key=False)
    return {str(model): Timed(part["units"].to_list(), part["seconds"].to_list()) for (model,), part in models.items()}


def timings_on(dataset: str, folder: Path) -> dict[Path, pl.DataFrame]:
    """Return the timings of all finished runs or sweeps below a folder on one dataset, but for those that are damaged."""
    found = {}
    for path in folder.glob("*/*/timings.parquet"):
        try:
            if dataset in read_parquet(path.with_name("scores.parquet"), ["dataset"])["dataset"].unique():
                found[path] = read_parquet(path)
        except DAMAGE:  # whatever reads it for its numbers says so
            continue
    return found


def time_for(prepared: Prepared, cells: Sequence[Cell]) -> Time | None:
    """Return the time of these cells one after the other; None where one was never timed on this dataset, and has no law."""
    before = timed_before(prepared.experiment.dataset.name)
    times = [
        before[cell.model].time(max(cell.stop - cell.start, 1)) if cell.model in before else foreseen(prepared, cell)
        for cell in cells
    ]
    known = [time for time in times if time is not None]
    if len(known) < len(times):
        return None
    total = sum(time.seconds for time in known)
    return Time(total, any(time.at_most for time in known), any(time.by_work for time in known))


def foreseen(prepared: Prepared, cell: Cell) -> Time | None:
    """Return the time of a cell of a model that was never timed on this data, by its work; None where that is not known."""
    from hwds.evaluation.speed import seconds_per_unit

    protocol, model = prepared.job.protocol, prepared.job.models[cell.model]
    if not isinstance(protocol, Foreseeable):
        return None
    work = protocol.work(model, prepared.frame, cell)
    bounded = bool(model.why_unrepeatable())
    return None if work is None else Time(work * (1.0 if bounded else seconds_per_unit()), bounded, by_work=True)
