"""Columns of row features, computed once for all models that ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from hwds.execution.cache import alone
from hwds.execution.keys import libraries, machine
from hwds.frames.table import Table
from hwds.hashing import digest
from hwds.recipe import canonical, code_digest
from hwds.results.atomic import write_atomically


def kept_columns(folder: Path, features: Any, table: Table) -> pl.DataFrame:
    """The columns that a feature set adds to a table, from the folder of cells or computed now, by one worker."""
    told = [table.fingerprint, canonical(features), code_digest([features]), machine(), libraries()]
    key = digest(["columns", *told])
    path = folder / key[:2] / f"{key}.arrow"
    with alone(path):
        kept = _read(path) if path.is_file() else None
        if kept is not None:
            return kept
        found: pl.DataFrame = features.compute(table)
        if found.width:
            write_atomically(path, lambda part: found.write_ipc(part, compression="zstd"))
        return found


def _read(path: Path) -> pl.DataFrame | None:
    """None where the file is damaged; it is computed again."""
    try:
        return pl.read_ipc(path)
    except (pl.exceptions.PolarsError, OSError):
        path.unlink(missing_ok=True)
        return None
