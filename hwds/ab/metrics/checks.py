"""The sample-ratio check of a test, and corrections of p-values for many comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hwds.statistics.multiple_testing import holm

Correction = Literal["holm", "bh", "none"]

LEAST_EXPECTED = 5
"""Units that each arm must be expected to have, so that chi-square holds."""


@dataclass(frozen=True, slots=True)
class RatioCheck:
    """The check of the arms' shares of units against the planned ones.

    Attributes:
        statistic: Chi-square.
        p_value: Its p-value; None where an arm is expected to have fewer than five units, and the check says nothing.
        expected: The units that each arm was expected to have.
    """

    statistic: float | None
    p_value: float | None
    expected: tuple[float, ...]


def ratio_check(counts: Sequence[int], shares: Sequence[float]) -> RatioCheck:
    """Return Pearson's chi-square of the counts against planned shares (Fabijan et al., KDD 2019, on sample ratio mismatch)."""
    from scipy.special import chdtrc

    observed = np.asarray(counts, float)
    expected = observed.sum() * np.asarray(shares, float) / np.sum(shares)
    expected_units = tuple(float(units) for units in expected)
    if expected.min() < LEAST_EXPECTED:
        return RatioCheck(None, None, expected_units)
    statistic = float(np.sum((observed - expected) ** 2 / expected))
    return RatioCheck(statistic, float(chdtrc(len(observed) - 1, statistic)), expected_units)


def adjusted(p_values: Sequence[float], correction: Correction) -> list[float]:
    """Return adjusted p-values: by Holm (1979) for any error, by Benjamini and Hochberg (1995) for the share of errors."""
    if correction == "none" or not len(p_values):
        return list(p_values)
    if correction == "bh":
        from scipy.stats import false_discovery_control

        return false_discovery_control(p_values).tolist()
    return [p for p in holm(p_values) if p is not None]
