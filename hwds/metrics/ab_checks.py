"""What stands before and after the comparisons of a test: the sample-ratio check, and corrections for many comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Correction = Literal["holm", "bh", "none"]

LEAST_EXPECTED = 5
"""Units that each arm must be expected to have, so that chi-square holds."""


@dataclass(frozen=True, slots=True)
class RatioCheck:
    """Whether the arms have the shares of units that were planned.

    Attributes:
        statistic: Chi-square.
        p_value: Its p-value; None where an arm is expected to have fewer than five units, and the check says nothing.
        expected: The units that each arm was expected to have.
    """

    statistic: float | None
    p_value: float | None
    expected: tuple[float, ...]


def ratio_check(counts: Sequence[int], shares: Sequence[float]) -> RatioCheck:
    """Pearson's chi-square of the counts against planned shares (Fabijan et al., KDD 2019, on sample ratio mismatch)."""
    from scipy.special import chdtrc

    seen = np.asarray(counts, float)
    expected = seen.sum() * np.asarray(shares, float) / np.sum(shares)
    told = tuple(float(units) for units in expected)
    if expected.min() < LEAST_EXPECTED:
        return RatioCheck(None, None, told)
    statistic = float(np.sum((seen - expected) ** 2 / expected))
    return RatioCheck(statistic, float(chdtrc(len(seen) - 1, statistic)), told)


def adjusted(p_values: Sequence[float], correction: Correction) -> list[float]:
    """P-values adjusted for their number: Holm (1979) for any error, Benjamini and Hochberg (1995) for the share of errors."""
    p = np.asarray(p_values, float)
    if correction == "none" or not len(p):
        return p.tolist()
    order = np.argsort(p, kind="stable")
    ranks = np.arange(1, len(p) + 1)
    if correction == "holm":
        rising = np.maximum.accumulate((len(p) - ranks + 1) * p[order])
    else:
        rising = np.minimum.accumulate((len(p) / ranks * p[order])[::-1])[::-1]
    result = np.empty_like(p)
    result[order] = np.minimum(rising, 1.0)
    return result.tolist()
