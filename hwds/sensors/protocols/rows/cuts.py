"""Instants at which runs are cut, each by how many of its rows are known then."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hwds.frames.runs import Runs

ASKED_AT = (0.0, 1 / 3, 2 / 3)
"""The parts of the scored rows that are known at the instants, but for one row more: a leak at any of them is seen."""

NOT_ASKED = -1


@dataclass(frozen=True, slots=True)
class KnownRows:
    """The rows of each run that are known at an instant.

    Attributes:
        part: Of the scored rows, in words.
        rows: How many of each run, in their order; `NOT_ASKED` for one that is not scored.
    """

    part: str
    rows: tuple[int, ...] = field(default=(), repr=False)

    @property
    def label(self) -> str:
        """The name in messages."""
        return self.part


def instants(runs: Runs, first: int, asked: np.ndarray) -> tuple[KnownRows, ...]:
    """Return the instants of a fold: one row after the first part, and later ones.

    Args:
        runs: All runs.
        first: The rows that are learned from.
        asked: Which runs are scored, shape (n,).
    """
    out = []
    for share in ASKED_AT:
        rows = first + 1 + np.floor(share * (runs.lengths - first - 1)).astype(int)
        known = tuple(np.where(asked, rows, NOT_ASKED).tolist())
        out.append(KnownRows(f"{100 * share:.0f} % of the rows after the first {first}", known))
    return tuple(out)
