"""Finished cells in the cache: of which units of a fold there are any, and the outcome of each."""

from __future__ import annotations

from dataclasses import dataclass

from hwds.core.cache import Cache
from hwds.evaluation.base import Cell
from hwds.evaluation.codecs import ROWS, TimedRows
from hwds.execution.job import Outcome


def cell_key(fold: str, start: int, stop: int) -> str:
    """Return the key of the cell with the units from `start` to `stop` (excluded), from that of its model and fold."""
    return f"{fold}-{start}-{stop}"


@dataclass(frozen=True)
class CellCache:
    """The outcomes of finished cells by key.

    Attributes:
        entries: Where they lie.
    """

    entries: Cache

    def has(self, key: str) -> bool:
        """Return whether a cell is there."""
        return self.entries.has(key, ROWS)

    def runs(self, fold: str) -> list[tuple[int, int]]:
        """Return start and stop of every finished run of units of a model and fold."""
        ends = (key.rsplit("-", 2)[1:] for key in self.entries.keys(f"{fold}-", ROWS))
        return sorted((int(start), int(stop)) for start, stop in ends)

    def get(self, key: str, cell: Cell) -> Outcome | None:
        """Return the outcome of a cell that was computed before; None where it is absent, damaged, or of other input files."""
        timed = self.entries.load(key, ROWS)
        return None if timed is None else Outcome(cell, timed.rows, timed.seconds, cached=True)

    def put(self, key: str, outcome: Outcome) -> None:
        """Keep a cell that succeeded.

        Raises:
            HwdsError: The folder cannot be written.
        """
        if outcome.rows is not None:
            self.entries.store(key, ROWS, TimedRows(outcome.rows, outcome.seconds), outcome.inputs)
