"""P-values corrected for several tests at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float | None], family: int = 0) -> list[float | None]:
    """Return p-values by Holm's step-down adjustment: an error anywhere in the family is no likelier than the level.

    Holm (1979), "A simple sequentially rejective multiple test procedure".

    Args:
        p_values: None where there is none: it is no test, and does not count.
        family: How many tests there are in all, where not every one of them is here: the others are taken to be larger,
            which is the cautious side.

    Returns:
        Adjusted p-values in the same order, at most 1.
    """
    present = np.array([p for p in p_values if p is not None], float)
    order = np.argsort(present)
    multiples = present[order] * np.arange(max(family, len(present)), 0, -1)[: len(present)]
    adjusted = np.empty_like(present)
    adjusted[order] = np.minimum(np.maximum.accumulate(multiples), 1.0)
    values = iter(adjusted.tolist())
    return [None if p is None else next(values) for p in p_values]
