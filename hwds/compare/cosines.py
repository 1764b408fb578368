"""The mean of losses along a series whose windows overlap: a test that holds its level with few origins."""

from __future__ import annotations

import numpy as np

from hwds.compare.laws import Effect, Law

METHOD = "cosines over origins"


def cosine_effect(differences: np.ndarray, horizon: int) -> Effect:
    """The mean with the long-run variance of equal-weighted cosines, and Student's t of as many degrees of freedom as cosines.

    Lazarus, Lewis, Stock and Watson (2018), "HAR inference: recommendations for practice", with their rule of 0.41 n^(2/3)
    cosines, recommended for Diebold and Mariano's test by Coroneo and Iacone (2020), "Comparing predictive accuracy in small
    samples using fixed-smoothing asymptotics"; two for every three windows that do not overlap at most, for a cosine faster
    than that misses what they share.

    Args:
        differences: The loss of the second model less that of the first, in the order of origins, shape (n,).
        horizon: Origins that one forecast error reaches over.
    """
    n = len(differences)
    count = max(int(min(0.41 * n ** (2 / 3), n / horizon / 1.5)), 1)
    waves = np.cos(np.pi * np.arange(1, count + 1)[:, None] * (np.arange(n) + 0.5) / n)
    variance = float(np.mean(np.square(np.sqrt(2 / n) * waves @ differences)))
    return Effect(float(np.mean(differences)), (variance / n) ** 0.5, Law(count), METHOD, n)
