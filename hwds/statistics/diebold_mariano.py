"""Tests of equal accuracy along one series: Diebold and Mariano's, and one that holds its level with few origins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.statistics.reference_distribution import Effect, ReferenceDistribution

METHOD = "cosines over origins"
LEAST_ORIGINS = 20
"""Origins that a series must have at least; twice the horizon, where that is more."""


@dataclass(frozen=True, slots=True)
class DieboldMariano:
    """The test of one series.

    Attributes:
        statistic: Below 0 where the first model loses less.
        p_value: Two-sided, of Student's t with one less than `origins` degrees of freedom.
        mean: The mean difference of losses.
        origins: How many there are.
        horizon: How many origins one error reaches over; 1 where the variance of the longer one was not above 0.
    """

    statistic: float
    p_value: float
    mean: float
    origins: int
    horizon: int


def enough(origins: int, horizon: int) -> bool:
    """Return whether a series has enough origins for the test to hold its level."""
    return origins >= max(LEAST_ORIGINS, 2 * horizon)


def diebold_mariano(differences: np.ndarray, horizon: int = 1) -> DieboldMariano | None:
    """Return the test that losses differ by 0 on average.

    Diebold and Mariano (1995), "Comparing predictive accuracy", the variance summed over `horizon - 1` autocovariances;
    Harvey, Leybourne and Newbold (1997), "Testing the equality of prediction mean squared errors", eq. 9, and Student's t. As
    `dm.test` of R's forecast: where that variance is not above 0 the test is made with a horizon of 1.

    Args:
        differences: The loss of the first model less that of the second, in the order of origins, shape (n,).
        horizon: Origins that one forecast error reaches over: 1 where windows do not overlap.

    Returns:
        None where all differences are the same, or there are fewer than two.
    """
    n = len(differences)
    if n < 2 or np.ptp(differences) == 0:
        return None
    mean = float(np.mean(differences))
    centred = differences - mean
    covariances = [float(centred[lag:] @ centred[: n - lag]) / n for lag in range(min(horizon, n))]
    variance = (covariances[0] + 2 * sum(covariances[1:])) / n
    if variance <= 0:
        return diebold_mariano(differences, 1)
    correction = (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n
    statistic = mean / variance**0.5 * correction**0.5
    return DieboldMariano(statistic, ReferenceDistribution(n - 1).two_sided(statistic), mean, n, horizon)


def cosine_effect(differences: np.ndarray, horizon: int) -> Effect:
    """Return the mean with the long-run variance of equal-weighted cosines, and Student's t with a degree of freedom a cosine.

    Lazarus, Lewis, Stock and Watson (2018), "HAR inference: recommendations for practice", with their rule of 0.41 n^(2/3)
    cosines, recommended for Diebold and Mariano's test by Coroneo and Iacone (2020), "Comparing predictive accuracy in small
    samples using fixed-smoothing asymptotics"; two for every three windows that do not overlap at most, for a cosine faster
    than that misses what they share.

    Args:
        differences: The loss of the second model less that of the first, in the order of origins, shape (n,).
        horizon: Origins that one forecast error reaches over.
    """
    n, waves = len(differences), cosines(len(differences), horizon)
    variance = float(np.mean(np.square(waves @ differences)))
    return Effect(float(np.mean(differences)), (variance / n) ** 0.5, ReferenceDistribution(len(waves)), METHOD, n)


def cosines(n: int, horizon: int) -> np.ndarray:
    """Return the orthonormal cosines that a long-run variance is the mean square of, shape (count, n); see `cosine_effect`."""
    count = max(int(min(0.41 * n ** (2 / 3), n / horizon / 1.5)), 1)
    waves: np.ndarray = np.sqrt(2 / n) * np.cos(np.pi * np.arange(1, count + 1)[:, None] * (np.arange(n) + 0.5) / n)
    return waves
