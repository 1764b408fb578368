"""The losses of a run's or a sweep's fits by epoch or round: files of cells while they are computed, one table at the end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from hwds.core.checksums.files import read_parquet, write_parquet

FOLDER, FILE = "learning", "learning.parquet"
"""The folder of the cells' files, and the table that they end in. Neither is part of the results."""

CELL = {"model": pl.String, "fold": pl.String, "start": pl.Int64}
"""The columns that name a cell."""

COLUMNS = CELL | {
    "fit": pl.String,
    "axis": pl.String,
    "step": pl.Int64,
    "train": pl.Float64,
    "validation": pl.Float64,
}
"""One row an epoch or round of a fit: the mean loss on the rows that are learned from, and on those that are not."""


def read_learning(folder: Path) -> pl.DataFrame:
    """Return all losses so far, see `COLUMNS`: of each cell its fits in the order in which they began; empty for none."""
    new = pl.DataFrame(list(_reported(folder / FOLDER)), schema=COLUMNS, orient="row")
    before = pl.DataFrame(schema=COLUMNS)
    with suppress(OSError, ValueError, pl.exceptions.PolarsError):  # damaged, or absent: it is no result
        before = read_parquet(folder / FILE)
    kept = before.join(new.select(list(CELL)).unique(), on=list(CELL), how="anti", maintain_order="left")
    return pl.concat([kept, new]).sort(list(CELL), maintain_order=True)


def settle_learning(folder: Path) -> None:
    """Write the table of all losses, and delete the files that it is made of; nothing where there are none.

    Raises:
        HwdsError: The folder cannot be written.
    """
    if (folder / FOLDER).is_dir():
        write_parquet(folder / FILE, read_learning(folder))
        shutil.rmtree(folder / FOLDER)


def latest_losses(folder: Path) -> dict[str, Any]:
    """Return the last point that was reported, with its cell, see `COLUMNS`; empty where no fit reports."""
    latest = max((folder / FOLDER).glob("*.jsonl"), key=_written, default=None)
    rows = [] if latest is None else list(_of_file(latest))
    return dict(zip(COLUMNS, rows[-1], strict=True)) if rows else {}


def _written(path: Path) -> int:
    """Return when a file was written last, in nanoseconds; 0 where its cell has begun anew meanwhile."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _reported(folder: Path) -> Iterator[tuple[Any, ...]]:
    for path in sorted(folder.glob("*.jsonl")):
        yield from _of_file(path)


def _of_file(path: Path) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a file; a last line that is being written, or was not written to its end, is left out."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:  # settled, or begun anew, meanwhile
        return
    lines = text[: text.rfind("\n") + 1].splitlines()
    if not lines:
        return
    cell = json.loads(lines[0])
    for line in lines[1:]:
        row = cell | json.loads(line)
        yield tuple(row.get(name) for name in COLUMNS)
