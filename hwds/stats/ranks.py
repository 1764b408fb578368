"""Ranks: Friedman, Nemenyi, Wilcoxon, win rates, the model confidence set, DeLong's areas."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt

import numpy as np
from numpy import ndarray

from hwds.results.comparison import RankTest
from hwds.stats.estimates import wilson

# The model confidence set: the models that no other is surely better than.

LEAST_VARIANCE = 1e-24
"""The variance of a model's distance from the mean of the others, relative to the largest, below
which models are the same.
"""


def confidence_set(losses: ndarray, samples: ndarray) -> ndarray:
    """Return the p-value of each model: those above 1 - level are in the confidence set of that
    level.

    Hansen, Lunde and Nason (2011), "The model confidence set", with the statistic T_max: the model
    furthest above the mean of those that are left goes, until no one is surely above it; a p-value
    is the largest met until the model goes.

    Args:
        losses: Mean loss of each model, shape (models,): low is good.
        samples: The same means in each bootstrap resample, all models by the same draw, shape
            (resamples, models).

    Returns:
        Shape (models,); 1 for the last that is left.
    """
    remaining = list(range(len(losses)))
    p_values, highest = np.ones(len(losses)), 0.0
    while len(remaining) > 1:
        # T_max: how far each model is above the mean of those that are left
        distances = losses[remaining] - losses[remaining].mean()
        resampled = samples[:, remaining] - samples[:, remaining].mean(axis=1, keepdims=True)
        # if all are alike, resamples vary around 0
        centred = resampled - distances
        errors = np.sqrt(np.square(centred).mean(axis=0))
        # without any spread a model that is above is surely above, and an equal one is not
        same = errors <= LEAST_VARIANCE**0.5 * max(float(np.abs(losses[remaining]).max()), 1e-300)
        scale = np.where(same, 1.0, errors)
        t = np.where(same, np.where(distances > 0, np.inf, 0.0), distances / scale)
        t = np.where(
            same
            & (np.abs(distances) < 1e-12 * max(float(np.abs(losses[remaining]).max()), 1e-300)),
            0.0,
            t,
        )
        largest = np.where(same, 0.0, centred / scale).max(axis=1)
        worst = int(np.argmax(t))
        # p-values never fall: a model that goes later is no less plausible
        highest = max(highest, float(np.mean(largest >= t[worst])))
        p_values[remaining[worst]] = highest
        del remaining[worst]
    return p_values


# DeLong's covariance of areas under ROC curves on the same independent rows.


def delong(label: ndarray, scores: ndarray) -> tuple[ndarray, ndarray]:
    """Return the area under the ROC of each score, and their covariance.

    DeLong, DeLong and Clarke-Pearson (1988), "Comparing the areas under two or more correlated
    receiver operating characteristic curves"; by ranks, as Sun and Xu (2014), "Fast implementation
    of DeLong's algorithm".

    Args:
        label: The label of each row, 1.0 or 0.0, two of each at least, shape (n,).
        scores: The higher the more suspicious, shape (n, models).

    Returns:
        Shapes (models,) and (models, models).
    """
    from scipy.stats import rankdata

    positive = label > 0
    m, n = int(positive.sum()), int((~positive).sum())
    together = rankdata(scores, axis=0)
    hits = (together[positive] - rankdata(scores[positive], axis=0)) / n
    misses = 1 - (together[~positive] - rankdata(scores[~positive], axis=0)) / m
    covariance = np.cov(hits, rowvar=False) / m + np.cov(misses, rowvar=False) / n
    return hits.mean(axis=0), np.atleast_2d(covariance)


# Ranks over blocks: Friedman's test, Nemenyi's critical difference, Wilcoxon's test and win
# rates.

LEAST_BLOCKS = 5
"""Blocks from which on Friedman's chi-square is near its law (Demsar 2006)."""

ROUNDED_DIGITS = 12
"""Significant digits to which values are taken as different; more are noise of the last bits."""


def rank_rows(values: ndarray, better: str) -> ndarray:
    """Return the rank of each model in each block, 1 the best, ties shared, shape (blocks, models).

    NaN where one is missing.

    The ranks of SciPy's `rankdata`, whose import takes half a second.
    """
    signed = round_digits(values) * (1.0 if better == "low" else -1.0)
    own, others = signed[:, :, None], signed[:, None, :]
    ranks = (others < own).sum(axis=2) + ((others == own).sum(axis=2) + 1) / 2
    return np.where(np.isnan(signed).any(axis=1, keepdims=True), np.nan, ranks)


def round_digits(values: ndarray) -> ndarray:
    """Return values to `ROUNDED_DIGITS` significant digits."""
    size = np.where(values == 0, 1.0, np.abs(values))
    unit = 10.0 ** (np.floor(np.log10(size)) - ROUNDED_DIGITS + 1)
    return np.round(values / unit) * unit


def rank_test(models: Sequence[str], values: ndarray, called: str, better: str) -> RankTest | None:
    """Return Friedman's test of whether models rank differently over blocks.

    Demsar (2006), "Statistical comparisons of classifiers over multiple data sets", 3.2.

    Args:
        models: Their labels.
        values: The value of each model in each block, shape (blocks, models).
        called: The name of the blocks.
        better: `low` or `high`.

    Returns:
        None with fewer than three models or `LEAST_BLOCKS` blocks, or where all models tie
        everywhere.
    """
    from scipy.special import chdtrc, fdtrc

    n, k = values.shape
    if n < LEAST_BLOCKS or k < 3:
        return None
    ranks = rank_rows(values, better)
    sums, squares = ranks.sum(axis=0), float(np.square(ranks).sum())
    spread = squares - n * k * (k + 1) ** 2 / 4
    if spread <= 0:
        return None
    # Conover (1999), Practical Nonparametric Statistics, 5.8: with ties the ranks vary less
    statistic = (k - 1) * float(np.square(sums - n * (k + 1) / 2).sum()) / spread
    # the less conservative form of Iman and Davenport
    rest = n * (k - 1) - statistic
    f_p = float(fdtrc(k - 1, (k - 1) * (n - 1), (n - 1) * statistic / rest)) if rest > 0 else 0.0
    return RankTest(
        dict(zip(models, (sums / n).tolist(), strict=True)),
        n,
        called,
        statistic,
        float(chdtrc(k - 1, statistic)),
        f_p,
        nemenyi(k) * sqrt(k * (k + 1) / (6 * n)),
    )


def nemenyi(models: int, level: float = 0.95) -> float:
    """Return the critical value of Nemenyi's test: the studentised range of infinite degrees of
    freedom, over the root of 2.

    The table of Demsar (2006), 3.2.2.
    """
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(level, models, inf)) / sqrt(2)


def wilcoxon_p(differences: ndarray) -> float | None:
    """Return Wilcoxon's two-sided p-value of differences that are symmetric around 0 (signed
    ranks); None without any.

    Exact for up to 50 differences without ties, else by the normal law; differences of 0 are left
    out (Wilcoxon 1945).
    """
    from scipy.stats import wilcoxon

    nonzero = differences[differences != 0]
    return float(wilcoxon(nonzero).pvalue) if len(nonzero) else None


def win_rate(differences: ndarray) -> tuple[float, float, float]:
    """Return the share of units in which the first is better, ties half, and its 95 % interval
    (Wilson 1927).

    Args:
        differences: Differences above 0 where the first is better, shape (n,), at least one.
    """
    n = len(differences)
    share = float((np.sum(differences > 0) + np.sum(differences == 0) / 2) / n)
    low, high = wilson(share, n)
    return share, float(low), float(high)
