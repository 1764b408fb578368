"""How the units of a fold are cut into runs, so that what is there is not computed again when more units are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Run = tuple[int, int]
"""The first unit, and the one after the last."""


def runs(units: int, size: int, finished: Sequence[Run]) -> Iterator[Run]:
    """The runs that units 0 to `units` (excluded) are computed in, in order: a block of `size` each, and the rest.

    A block of which runs are finished (it was the last one of a run that asked for fewer) is cut where they end: each is
    taken as it is, and what lies between them is what is left to compute.

    Args:
        units: How many are asked for.
        size: Units in a block; it depends on no number that is asked for.
        finished: The runs that are there.
    """
    for first in range(0, units, size):
        yield from _block(first, min(first + size, units), finished)


def _block(start: int, stop: int, finished: Sequence[Run]) -> Iterator[Run]:
    inside = [run for run in finished if start <= run[0] and run[1] <= stop]
    while start < stop:
        here = [end for begin, end in inside if begin == start]
        later = [begin for begin, _ in inside if begin > start]
        end = max(here) if here else min(later, default=stop)
        yield start, end
        start = end
