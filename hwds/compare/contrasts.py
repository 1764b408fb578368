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
    """The scale on which a difference is measured.

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
        """Return the scale that means allow: relative where all are above 0."""
        return cls(better == "low", bool((means > 0).all()))

    def between(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return how much better `first` is than `second`: means of the same datasets on the last axis, equal in all others."""
        ahead, behind = (second, first) if self.low else (first, second)
        return np.log(ahead / behind) if self.relative else ahead - behind

    def ahead(self, means: np.ndarray) -> list[float]:
        """Return how much better each model is than the first, averaged over datasets; means of shape (datasets, models)."""
        return [float(self.between(means[:, place], means[:, 0]).mean()) for place in range(means.shape[1])]

    def as_share(self, value: float) -> float:
        """Return the share that stands for a value on this scale: `0.021` for 2.1 % better."""
        if not self.relative:
            return value
        return 1 - exp(-value) if self.low else exp(value) - 1

    def bounds(self, margin: float) -> tuple[float, float]:
        """Return the values between which two models are alike, where the margin is a share or an absolute difference."""
        if not self.relative:
            return -margin, margin
        return (-log(1 + margin), -log(1 - margin)) if self.low else (log(1 - margin), log(1 + margin))


def contrasts(matrix: Matrix, pairs: Sequence[Pair], scale: Scale) -> np.ndarray:
    """Return numbers whose mean within a dataset, averaged over datasets, is how much better the first of each pair is.

    Of a ratio they are its linearisation at the means: the effect plus what each unit adds (Cochran, Sampling Techniques, 6.4).

    Returns:
        Shape (units, seeds, pairs).
    """
    means = matrix.means
    apart = deviations(matrix.values, means[matrix.dataset][:, None, :], pairs, scale)
    if not scale.relative:
        return apart
    firsts, seconds = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    return scale.between(means[:, firsts], means[:, seconds])[matrix.dataset][:, None, :] + apart


def deviations(values: np.ndarray, means: np.ndarray, pairs: Sequence[Pair], scale: Scale) -> np.ndarray:
    """Return what each value adds to the effect of each pair; models on the last axis, pairs on that of the result.

    Args:
        values: Of models.
        means: The mean of each over the whole dataset, which values are shares of where the scale is relative.
        pairs: Of models.
        scale: Of effects.
    """
    firsts, seconds = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    shares = values / means if scale.relative else values
    return (1.0 if scale.low else -1.0) * (shares[..., seconds] - shares[..., firsts])
