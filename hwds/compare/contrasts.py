"""Contrasts: pairs of models as numbers whose mean is how much better the first one is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np

from hwds.compare.matrix import Matrix

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Scale:
    """How a difference is measured.

    Relative: the logarithm of the ratio of means, over several datasets the mean of it (their geometric mean), told as the
    share that the first model is better. Absolute, where a mean is not above 0: the difference of means.

    Attributes:
        low: Whether a low value is good.
        relative: Which of the two.
    """

    low: bool
    relative: bool

    @classmethod
    def of(cls, means: np.ndarray, better: str) -> Scale:
        """The scale that means allow: relative where all are above 0."""
        return cls(better == "low", bool((means > 0).all()))

    def between(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """How much better `first` is than `second`, both means of the same datasets on the last axis but none after it."""
        ahead, behind = (second, first) if self.low else (first, second)
        return np.log(ahead / behind) if self.relative else ahead - behind

    def ahead(self, means: np.ndarray) -> list[float]:
        """How much better each model is than the first, averaged over datasets; means of shape (datasets, models)."""
        return [float(self.between(means[:, place], means[:, 0]).mean()) for place in range(means.shape[1])]

    def told(self, value: float) -> float:
        """The share that is told of a value on this scale: `0.021` for 2.1 % better."""
        if not self.relative:
            return value
        return 1 - exp(-value) if self.low else exp(value) - 1

    def bounds(self, margin: float) -> tuple[float, float]:
        """The values between which two models are alike, where the margin is a share or an absolute difference."""
        if not self.relative:
            return -margin, margin
        return (-log(1 + margin), -log(1 - margin)) if self.low else (log(1 - margin), log(1 + margin))


def contrasts(matrix: Matrix, pairs: Sequence[Pair], scale: Scale) -> np.ndarray:
    """Numbers whose mean within a dataset, averaged over datasets, is how much better the first of each pair is.

    Of a ratio they are its linearisation at the means: the effect plus what each unit adds (Cochran, Sampling Techniques, 6.4).

    Returns:
        Shape (units, seeds, pairs).
    """
    values, means = matrix.values, matrix.means
    firsts, seconds = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    sign = 1.0 if scale.low else -1.0
    if not scale.relative:
        return sign * (values[..., seconds] - values[..., firsts])
    shares = values / means[matrix.dataset][:, None, :]
    at_means = scale.between(means[:, firsts], means[:, seconds])
    return at_means[matrix.dataset][:, None, :] + sign * (shares[..., seconds] - shares[..., firsts])
