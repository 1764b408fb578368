"""The cell cache: a finished cell is a file under its key, whole or absent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from hwds.execution.job import Outcome
from hwds.protocols.base import Cell
from hwds.results.atomic import write_atomically


@dataclass(frozen=True)
class CellCache:
    """Outcomes by key in a folder."""

    folder: Path

    def path(self, key: str) -> Path:
        """Where a cell lies."""
        return self.folder / key[:2] / f"{key}.parquet"

    def has(self, key: str) -> bool:
        """Whether a cell is there."""
        return self.path(key).is_file()

    def get(self, key: str, cell: Cell) -> Outcome | None:
        """The outcome of a cell that was computed before; None where it is absent or its file is damaged."""
        path = self.path(key)
        if not path.is_file():
            return None
        try:
            rows = pl.read_parquet(path)
            seconds = json.loads(pl.read_parquet_metadata(path)["hwds"])["seconds"]
        except (pl.exceptions.PolarsError, OSError, KeyError):
            path.unlink()  # damaged from outside: it is computed again
            return None
        return Outcome(cell, rows.drop("__empty__") if "__empty__" in rows.columns else rows, seconds, cached=True)

    def put(self, key: str, outcome: Outcome) -> None:
        """Keep a cell that succeeded.

        Raises:
            HwdsError: The folder cannot be written.
        """
        if outcome.rows is None:
            return
        rows = outcome.rows if outcome.rows.width else pl.DataFrame({"__empty__": []})
        about = {"hwds": json.dumps({"seconds": outcome.seconds, "cell": outcome.cell.title})}
        write_atomically(self.path(key), lambda part: rows.write_parquet(part, compression="zstd", metadata=about))
