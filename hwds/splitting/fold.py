"""Fold: one fit and all of its predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fold:
    """One fit and the cutoffs that it serves. Made from the data alone, so it is the same for every rival.

    Attributes:
        index: Its place in the order of folds.
        name: What it may know, in words (`2023-12-01`, `replications 0-999`): random streams are named by it, so that
            asking for more folds changes none of those that were there.
        units: Series, replications or rows: what may be worked on apart.
        cutoffs: The instants from which it predicts; the first is the last instant that the fit may know.
    """

    index: int
    name: str
    units: int
    cutoffs: tuple[Any, ...] = ()
