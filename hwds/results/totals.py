"""Totals: what the scores tables of many runs say over all folds and steps, read together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from hwds.hashing import digest_bytes

AT_ONCE = 250
"""Folders whose tables are read in one pass."""

DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, pl.exceptions.PolarsError)
"""What reading a damaged folder may raise."""

_ORDER = {"mean": 0, "pooled": 1}
_TOTAL = ("model", "metric", "aggregate", "value", "stderr", "n_failed")

Total = tuple[float, float | None]
"""A score and its standard error."""


@dataclass(slots=True)
class Totals:
    """Of one run.

    Attributes:
        scores: By model and full name of the metric: the mean where it was taken, or else over all rows.
        failed: Answers that each model lost.
        better: Which way is good, by metric.
        error: What was wrong with the tables; empty where nothing was.
    """

    scores: dict[str, dict[str, Total]] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    better: dict[str, str] = field(default_factory=dict)
    error: str = ""


def totals_of(folders: Sequence[Path]) -> dict[Path, Totals]:
    """The totals of finished runs; one whose tables are damaged says so in its `error`."""
    found: dict[Path, Totals] = {}
    for begin in range(0, len(folders), AT_ONCE):
        part = folders[begin : begin + AT_ONCE]
        try:
            found |= _read(part)
        except DAMAGE:  # some of them is damaged: which?
            for folder in part:
                try:
                    found |= _read([folder])
                except DAMAGE as error:
                    found[folder] = Totals(error=" ".join(str(error).split()) or type(error).__name__)
    return found


def _read(folders: Sequence[Path]) -> dict[Path, Totals]:
    found = {folder: Totals() for folder in folders}
    whole = pl.all_horizontal(pl.col("fold", "step", "segment").is_null())
    rows = _scan(folders, "scores").filter(whole).select("path", *_TOTAL).collect()
    order = pl.col("aggregate").replace_strict(_ORDER, default=9, return_dtype=pl.Int8)
    of = {str(folder / "scores.parquet"): told for folder, told in found.items()}
    for path, model, metric, _, value, error, failed in rows.sort(order, maintain_order=True).iter_rows():
        told = of[path]
        told.failed[model] = max(told.failed.get(model, 0), failed or 0)
        if value is not None:
            told.scores.setdefault(model, {}).setdefault(metric, (value, error))
    alike = _alike([folder for folder in folders if (folder / "metrics.parquet").is_file()])
    for path, metric, better in _sides([Path(path).parent for path in alike]):
        for folder in alike[path]:
            found[folder].better[metric] = better
    return found


def _alike(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Of each metrics table that is told the first file that holds it, and all folders whose file is the same to the byte."""
    found: dict[str, list[Path]] = {}
    for folder in folders:
        found.setdefault(digest_bytes([(folder / "metrics.parquet").read_bytes()]), []).append(folder)
    return {str(own[0] / "metrics.parquet"): own for own in found.values()}


def _sides(folders: Sequence[Path]) -> Iterator[tuple[str, str, str]]:
    if folders:
        yield from _scan(folders, "metrics").select("path", "metric", "better").collect().iter_rows()


def _scan(folders: Sequence[Path], table: str) -> pl.LazyFrame:
    files = [folder / f"{table}.parquet" for folder in folders]
    return pl.scan_parquet(files, include_file_paths="path", glob=False, extra_columns="ignore")
