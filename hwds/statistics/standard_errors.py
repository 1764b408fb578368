"""The standard errors of means over units and seeds, and the laws they follow: bootstrap, Student's t, both levels at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from hwds.statistics.reference_distribution import Effect, ReferenceDistribution, student_critical

LEAST_CLUSTERS = 20
"""Units from which on a bootstrap over them is trusted."""

LEAST_SEEDS = 5
"""Seeds from which on a bootstrap over them is trusted."""

MOST_CLUSTERS = 10_000
"""Units from which on a bootstrap tells nothing that Student's t does not."""

RESAMPLES = 2000
"""The resamples of a bootstrap by which models are compared."""

LEVEL = 0.95
"""The level at which a bootstrap is compared with Student's t."""


@dataclass(frozen=True, eq=False)
class StratifiedMean:
    """Sums from which the mean of means over strata and its standard error are made; the last axis is that of pairs.

    Attributes:
        mean: The mean over strata of the means within.
        units: Its variance from the units, those of a stratum taken as drawn.
        df: Of that variance, by Satterthwaite.
    """

    mean: np.ndarray
    units: np.ndarray
    df: np.ndarray


def over_units(values: np.ndarray, strata: Sequence[np.ndarray], counts: np.ndarray | None = None) -> StratifiedMean:
    """Return the stratified mean of values, and what its units make it vary.

    Args:
        values: Shape (units, pairs).
        strata: The units of each.
        counts: How often each unit counts in each resample, shape (resamples, units); once where None.

    Returns:
        Each part of shape (resamples, pairs); of one resample where `counts` is None.
    """
    shape = (1 if counts is None else len(counts), values.shape[1])
    mean, variance, inner = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    share = 1 / len(strata)
    for rows in strata:
        block, n = values[rows], len(rows)
        middle = block.mean(axis=0)
        centred = block - middle
        if counts is None:
            shift, squares = np.zeros(shape), np.square(centred).sum(axis=0)[None]
        else:
            drawn_counts = counts[:, rows]
            shift, squares = drawn_counts @ centred / n, drawn_counts @ np.square(centred)
        mean += share * (middle + shift)
        part = share**2 * np.maximum(squares - n * shift**2, 0.0) / (n * (n - 1))
        variance += part
        inner += part**2 / (n - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(inner > 0, variance**2 / inner, inf)
    return StratifiedMean(mean, variance, df)


def resampled(strata: Sequence[np.ndarray], n: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each unit is drawn, stratum by stratum with replacement, shape (resamples, n)."""
    counts = np.zeros((resamples, n))
    for rows in strata:
        counts[:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=resamples)
    return counts


def drawn(strata: Sequence[np.ndarray], resamples: int, rng: np.random.Generator) -> np.ndarray | None:
    """Return the resamples of a bootstrap over units, which all pairs meet; None where there are too few or too many."""
    n = sum(map(len, strata))
    enough = min(map(len, strata)) >= LEAST_CLUSTERS and n <= MOST_CLUSTERS
    return resampled(strata, n, resamples, rng) if enough else None


def unit_effects(values: np.ndarray, strata: Sequence[np.ndarray], counts: np.ndarray | None) -> list[Effect]:
    """Return effects over units of one seed: by a studentised bootstrap, or Student's t where units are few or very many.

    Efron and Tibshirani (1993), An Introduction to the Bootstrap, 12.5, in its symmetric form (Hall 1992, 3.6).

    Args:
        values: Whose mean is the effect, shape (units, pairs).
        strata: The units of each dataset, two at least.
        counts: The resamples, see `drawn`; None for Student's t.
    """
    parts, n = over_units(values, strata), len(values)
    stretch, method = np.ones(values.shape[1]), "t over units"
    if counts is not None:
        again = over_units(values, strata, counts)
        stretch, method = _stretch(again.mean - parts.mean, np.sqrt(again.units), parts.df[0]), "bootstrap over units"
    errors = np.sqrt(parts.units[0])
    lines = zip(parts.mean[0].tolist(), errors.tolist(), parts.df[0].tolist(), stretch.tolist(), strict=True)
    return [Effect(value, error, ReferenceDistribution(df, wide), method, n) for value, error, df, wide in lines]


def _stretch(distances: np.ndarray, errors: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Return the 95 % point of a bootstrap's |t| over that of Student's t, shape (pairs,); 1 where nothing varies."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(distances) / errors
    t[~np.isfinite(t)] = 0.0  # a resample of one unit alone has no spread
    points = np.quantile(t, LEVEL, axis=0)
    usual = np.array([student_critical(each, LEVEL) for each in df.tolist()])
    return np.where(points > 0, points / usual, 1.0)
