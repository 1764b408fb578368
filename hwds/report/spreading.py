"""Labels side by side: where to write numbers that lie too close to each other."""

from __future__ import annotations

from collections.abc import Sequence


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places as near to the wanted ones as can be, in their order, each at least a gap from the next.

    Least squares under the order: pool adjacent violators, of the places less the gaps below each.

    Args:
        wanted: Where each label would stand alone.
        gap: The least distance; less where they would not all fit.
        low: Where labels may begin.
        high: Where they must end.

    Returns:
        A place for each, in the order given.
    """
    if not wanted:
        return []
    step = min(gap, (high - low) / max(len(wanted) - 1, 1))
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    blocks: list[tuple[float, int]] = []
    for rank, place in enumerate(order):
        mean, size = wanted[place] - rank * step, 1
        while blocks and blocks[-1][0] > mean:
            below, many = blocks.pop()
            mean, size = (below * many + mean * size) / (many + size), many + size
        blocks.append((mean, size))
    flat = [mean for mean, size in blocks for _ in range(size)]
    top = high - (len(wanted) - 1) * step
    found = [0.0] * len(wanted)
    for rank, (place, value) in enumerate(zip(order, flat, strict=True)):
        found[place] = min(max(value, low), top) + rank * step
    return found
