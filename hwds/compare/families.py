"""Families of tests: p-values that stay honest when several questions are asked at once."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float | None], family: int = 0) -> list[float | None]:
    """Holm's step-down adjustment: an error anywhere in the family is no likelier than the level.

    Holm (1979), "A simple sequentially rejective multiple test procedure".

    Args:
        p_values: None where there is none: it is no test, and does not count.
        family: How many tests there are in all, where not every one of them is here: the others are taken to be larger,
            which is the cautious side.

    Returns:
        Adjusted p-values in the same order, at most 1.
    """
    known = [(p, place) for place, p in enumerate(p_values) if p is not None]
    unseen = max(family - len(known), 0)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(sorted(known)):
        highest = max(highest, min((unseen + len(known) - rank) * p, 1.0))
        adjusted[place] = highest
    return adjusted
