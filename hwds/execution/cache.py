"""The cell cache: a finished cell is a file under its key, whole or absent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from hwds.execution.job import Outcome
from hwds.protocols.base import Cell
from hwds.results.atomic import write_atomically


def key_of(fold: str, start: int, stop: int) -> str:
    """The key of the cell with the units from `start` to `stop` (excluded), from that of its model and fold."""
    return f"{fold}-{start}-{stop}"


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait while another worker computes what is to lie at a path; the system frees the lock of a process that dies."""
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with FileLock(lock):
        yield
        lock.unlink(missing_ok=True)  # who waits on it goes on, and at worst the same is computed twice


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

    def runs(self, fold: str) -> list[tuple[int, int]]:
        """Start and stop of every finished run of units of a model and fold."""
        paths = (self.folder / fold[:2]).glob(f"{fold}-*.parquet")
        return sorted((int(start), int(stop)) for _, start, stop in (path.stem.rsplit("-", 2) for path in paths))

    def get(self, key: str, cell: Cell) -> Outcome | None:
        """The outcome of a cell that was computed before; None where it is absent or its file is damaged."""
        path = self.path(key)
        if not path.is_file():
            return None
        try:
            rows = pl.read_parquet(path)
            seconds = json.loads(pl.read_parquet_metadata(path)["hwds"])["seconds"]
        except (pl.exceptions.PolarsError, OSError, KeyError):
            path.unlink(missing_ok=True)  # damaged from outside: it is computed again
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
