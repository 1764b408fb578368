"""How long the cells that are missing will take, from what such cells took before; None where that is not known."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from hwds.execution.prepare import Prepared
from hwds.protocols.base import Cell
from hwds.results.folder import OUTPUTS


def missing_cells(prepared: Prepared) -> list[Cell]:
    """The cells that are not in the cache."""
    return [cell for cell, key in prepared.work.cells.items() if not prepared.cache.has(key)]


def seconds_before(dataset: str) -> Mapping[str, float]:
    """Seconds a unit of each model on one dataset, the median over earlier runs."""
    found = []
    for path in (OUTPUTS / "runs").glob("*/*/timings.parquet"):
        scores = path.with_name("scores.parquet")
        if scores.is_file() and dataset in pl.read_parquet(scores, columns=["dataset"])["dataset"].unique():
            found.append(pl.read_parquet(path).filter(pl.col("status") == "ok"))
    if not found:
        return {}
    units = pl.max_horizontal(pl.col("stop") - pl.col("start"), 1)
    medians = pl.concat(found).group_by("model").agg((pl.col("seconds") / units).median())
    return dict(medians.iter_rows())


def estimate(prepared: Prepared, cells: list[Cell]) -> float | None:
    """Seconds for these cells one after the other; None where a model was never timed on this dataset."""
    before = seconds_before(prepared.experiment.dataset.name)
    if any(cell.model not in before for cell in cells):
        return None
    return sum(before[cell.model] * max(cell.stop - cell.start, 1) for cell in cells)
