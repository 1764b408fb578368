"""Forecasts: the answer of a fitted forecaster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Forecasts:
    """The forecasts of n series over h steps.

    Attributes:
        mean: Shape (n, h), in the target's unit; NaN where the model has no answer.
        quantiles: Shape (n, h, levels), not decreasing along the last axis.
        fallback: Shape (n,), true where something simpler than the model itself has answered.
        diagnostics: Further columns of the predictions, such as the member that answered for a series, each of shape (n,).
    """

    mean: np.ndarray
    quantiles: np.ndarray
    fallback: np.ndarray
    diagnostics: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, mean: np.ndarray, quantiles: np.ndarray, fallback: np.ndarray | None = None) -> Forecasts:
        """Return forecasts with sorted quantiles (rearrangement never hurts the pinball loss: Chernozhukov et al. 2010)."""
        return cls(mean, np.sort(quantiles, axis=-1), np.zeros(len(mean), bool) if fallback is None else fallback)
