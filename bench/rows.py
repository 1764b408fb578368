"""A row of the table, and how contestants are timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

REPEATS = 9


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison.

    Attributes:
        what: The work.
        ours_s: Seconds of hwds, the median over repeats.
        rival: Who else did the work, and how it was fed.
        rival_s: Seconds of the rival, the median over repeats.
        ratio: The median over repeats of rival / ours: above 1 hwds is faster.
        equal: Both gave the same values.
        note: What else is to be known, on a line of its own.
    """

    what: str
    ours_s: float
    rival: str
    rival_s: float
    ratio: float
    equal: bool
    note: str = ""


def interleaved(
    contestants: dict[str, Callable[[], Any]], repeats: int = REPEATS
) -> dict[str, list[float]]:
    """Seconds of each contestant in each round.

    They take turns, so that a slow moment of the machine strikes all alike.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, work in contestants.items():
            start = perf_counter()
            made = work()
            seconds[name].append(perf_counter() - start)
            del made  # what is made is given back between two timings, not within one
    return seconds


def compared(what: str, ours: list[float], rival: str, theirs: list[float], equal: bool) -> Row:
    """The row of two contestants that took turns."""
    ratio = median(b / a for a, b in zip(ours, theirs, strict=True))
    return Row(what, median(ours), rival, median(theirs), ratio, equal)
