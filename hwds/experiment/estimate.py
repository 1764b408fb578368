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
from typing import Any

import numpy as np
import polars as pl

from hwds.core.checksums.files import read_json, read_parquet
from hwds.core.outputs import OUTPUTS
from hwds.core.recipe import Recipe, canonical
from hwds.datasets.base import Dataset
from hwds.evaluation.abilities import Foreseeable
from hwds.evaluation.base import Cell
from hwds.experiment.prepare import Prepared
from hwds.results.runs.config import CONFIG, config_of
from hwds.results.score_totals import DAMAGE
from hwds.results.sweep_folder import SWEEP

ALIKE = 1.5
"""The largest ratio of a cell's size to the one size that was timed at which both count as alike."""


@dataclass(frozen=True, slots=True)
class Time:
    """An estimate of time.

    Attributes:
        seconds: On one core.
        at_most: Whether it may be far too high, as only far smaller cells were timed.
        by_work: Whether some of it follows from the work that cells are, and was never timed on this data.
        by_budget: Whether some of it is a budget, which need not be used up.
    """

    seconds: float
    at_most: bool = False
    by_work: bool = False
    by_budget: bool = False


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


def timed_before(dataset: Dataset, models: Mapping[str, Recipe] | None = None) -> Mapping[str, Timed]:
    """Return the times of the cells of each model on one dataset, over earlier runs.

    Args:
        dataset: Which; a file by its path.
        models: Those whose times count with the same settings alone, by name: another budget, or more trees, take another time.
    """
    found = timings_on(dataset, OUTPUTS / "runs").values()
    timings = [_of_settings(rows, config, models or {}).filter(pl.col("status") == "ok") for config, rows in found]
    if not timings:
        return {}
    units = pl.max_horizontal(pl.col("stop") - pl.col("start"), 1).alias("units")
    by_size = pl.concat(timings).group_by("model", units).agg(pl.col("seconds").median()).sort("model", "units")
    parts = by_size.partition_by("model", as_dict=True, include_key=False)
    return {str(model): Timed(part["units"].to_list(), part["seconds"].to_list()) for (model,), part in parts.items()}


def timings_on(dataset: Dataset, folder: Path) -> dict[Path, tuple[dict[str, Any], pl.DataFrame]]:
    """Return the configs and timings of all finished runs or sweeps below a folder on one dataset, but for damaged ones."""
    found = {}
    for path in folder.glob("*/*/timings.parquet"):
        try:
            config = _config_beside(path)
            same = all(config["dataset"].get(key) == getattr(dataset, key, None) for key in ("name", "path"))
            if same and path.with_name("scores.parquet").is_file():
                found[path] = config, read_parquet(path)
        except DAMAGE:  # whatever reads it for its numbers says so
            continue
    return found


def _config_beside(path: Path) -> dict[str, Any]:
    """Return the config of the run or the sweep in whose folder a file lies."""
    run, sweep = path.with_name(CONFIG), path.with_name(SWEEP)
    return dict(read_json(sweep)["config"]) if sweep.is_file() else config_of(run)


def _of_settings(rows: pl.DataFrame, config: Mapping[str, Any], models: Mapping[str, Recipe]) -> pl.DataFrame:
    """Return the timings of a run without those of models that had other settings in it."""
    before = {model["name"]: model for model in (config["model"], *config.get("rivals", ()))}
    other = [name for name in models if name in before and _settings(before[name]) != _settings(canonical(models[name]))]
    return rows.filter(~pl.col("model").is_in(other))


def _settings(value: Any) -> Any:
    """Return plain data without names and classes."""
    if isinstance(value, Mapping):
        return {key: _settings(item) for key, item in value.items() if key not in ("name", "recipe")}
    return [_settings(item) for item in value] if isinstance(value, list | tuple) else value


def time_for(prepared: Prepared, cells: Sequence[Cell]) -> Time | None:
    """Return the time of these cells one after the other; None where one was never timed on this dataset, and has no law."""
    before = timed_before(prepared.experiment.dataset, prepared.job.models)
    times = [
        before[cell.model].time(max(cell.stop - cell.start, 1)) if cell.model in before else foreseen(prepared, cell)
        for cell in cells
    ]
    known = [time for time in times if time is not None]
    if len(known) < len(times):
        return None
    marks = {mark: any(getattr(time, mark) for time in known) for mark in ("at_most", "by_work", "by_budget")}
    return Time(sum(time.seconds for time in known), **marks)


def foreseen(prepared: Prepared, cell: Cell) -> Time | None:
    """Return the time of a cell of a model that was never timed on this data, by its work; None where that is not known.

    The companions of a model take none: what it has fitted is there for them.
    """
    from hwds.evaluation.speed import seconds_per_unit

    protocol, model = prepared.job.protocol, prepared.job.models[cell.model]
    if not isinstance(protocol, Foreseeable):
        return None
    if any(cell.model == companion.name for other in prepared.job.models.values() for companion in other.companions()):
        return Time(0.0, by_work=True)
    work = protocol.work(model, prepared.frame, cell)
    speed = 1.0 if model.why_unrepeatable() else seconds_per_unit()  # a budget by the clock is in seconds as it is
    return None if work is None else Time(work * speed, by_work=True, by_budget=hasattr(model, "budget"))
