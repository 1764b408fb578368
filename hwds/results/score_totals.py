"""Totals: the scores of many runs over all folds and steps, read together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from hwds.core.checksums.files import check_parquet
from hwds.core.hashing import digest_file

AT_ONCE = 250
"""Folders whose tables are read in one pass."""

DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""The errors that reading a damaged folder may raise."""

_ORDER = {"mean": 0, "pooled": 1}
_TOTAL = ("model", "metric", "aggregate", "value", "stderr", "n_failed")

Total = tuple[float, float | None]
"""A score and its standard error."""


@dataclass(slots=True)
class Totals:
    """The totals of one run.

    Attributes:
        scores: By model and full name of the metric: the mean where there is one, or else the pooled score.
        failed: The number of failed predictions of each model.
        better: By metric, whether `low` or `high` is good.
        error: The error of damaged tables; empty where they are sound.
    """

    scores: dict[str, dict[str, Total]] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    better: dict[str, str] = field(default_factory=dict)
    error: str = ""


def totals_of(folders: Sequence[Path]) -> dict[Path, Totals]:
    """Return the totals of finished runs; those of damaged tables have an `error`."""
    totals_by_folder: dict[Path, Totals] = {}
    for begin in range(0, len(folders), AT_ONCE):
        part = folders[begin : begin + AT_ONCE]
        try:
            totals_by_folder |= _read(part)
        except DAMAGE:  # one of them is damaged: read each alone
            for folder in part:
                try:
                    totals_by_folder |= _read([folder])
                except DAMAGE as error:
                    totals_by_folder[folder] = Totals(error=" ".join(str(error).split()) or type(error).__name__)
    return totals_by_folder


def _read(folders: Sequence[Path]) -> dict[Path, Totals]:
    totals_by_folder = {folder: Totals() for folder in folders}
    for folder in folders:
        check_parquet(folder / "scores.parquet")
    whole = pl.all_horizontal(pl.col("fold", "step", "segment").is_null())
    lost = pl.col("metric").is_null()  # a fold that failed, which a model without any score has alone
    rows = _scan(folders, "scores").filter(whole | lost).select("path", *_TOTAL).collect()
    order = pl.col("aggregate").replace_strict(_ORDER, default=9, return_dtype=pl.Int8)
    of = {str(folder / "scores.parquet"): totals for folder, totals in totals_by_folder.items()}
    unscored: dict[tuple[str, str], int] = {}
    for path, model, metric, _, value, error, failed in rows.sort(order, maintain_order=True).iter_rows():
        totals = of[path]
        if metric is None:
            unscored[path, model] = unscored.get((path, model), 0) + (failed or 0)
        totals.failed[model] = max(totals.failed.get(model, 0), unscored.get((path, model), failed or 0))
        if value is not None:
            totals.scores.setdefault(model, {}).setdefault(metric, (value, error))
    alike = _alike([folder for folder in folders if (folder / "metrics.parquet").is_file()])
    for path, metric, better in _sides([Path(path).parent for path in alike]):
        for folder in alike[path]:
            totals_by_folder[folder].better[metric] = better
    return totals_by_folder


def _alike(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Return for each distinct metrics table its first file, and all folders whose file has the same bytes."""
    totals_by_folder: dict[str, list[Path]] = {}
    for folder in folders:
        path = folder / "metrics.parquet"
        check_parquet(path)
        totals_by_folder.setdefault(digest_file(path), []).append(folder)
    return {str(same[0] / "metrics.parquet"): same for same in totals_by_folder.values()}


def _sides(folders: Sequence[Path]) -> Iterator[tuple[str, str, str]]:
    if folders:
        yield from _scan(folders, "metrics").select("path", "metric", "better").collect().iter_rows()


def _scan(folders: Sequence[Path], table: str) -> pl.LazyFrame:
    files = [folder / f"{table}.parquet" for folder in folders]
    return pl.scan_parquet(files, include_file_paths="path", glob=False, extra_columns="ignore")
