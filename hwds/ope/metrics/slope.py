"""SLOPE: the choice of an off-policy estimator's parameter without knowing the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from hwds.ope.metrics.estimates import EstimatorTerms, stderr
from hwds.statistics.reference_distribution import Z95


def slope(values: Sequence[float], half_widths: Sequence[float]) -> int:
    """Return the last candidate whose value agrees with all before it.

    Su, Srinath and Krishnamurthy 2020 (Adaptive Estimator Selection for Off-Policy Evaluation) in the form of Tucker and Lee
    2021: candidate i is kept while |v_i - v_j| <= r_i + (sqrt(6) - 1) r_j for all j < i.

    Args:
        values: Of the candidates, the least biased and most variable first.
        half_widths: Half the width of each one's interval.
    """
    last = 0
    for i in range(1, len(values)):
        near = [abs(values[i] - values[j]) <= half_widths[i] + (np.sqrt(6) - 1) * half_widths[j] for j in range(i)]
        if not all(near):
            break
        last = i
    return last


def tuned(candidates: Sequence[float], at: Callable[[float], EstimatorTerms]) -> EstimatorTerms:
    """Return the parts at the candidate that SLOPE chooses, with normal intervals of 95 %.

    Args:
        candidates: Parameters, the least biased first.
        at: The parts under one parameter.
    """
    parts = [at(candidate) for candidate in candidates]
    chosen = parts[slope([part.value for part in parts], [Z95 * (stderr(part) or 0.0) for part in parts])]
    return replace(chosen, learned=True)
