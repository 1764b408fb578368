"""The law of a sum from the laws of its parts: quantile functions, and ranks that say how the parts move together.

Schaake shuffle: Clark, Gangopadhyay, Hay, Rajagopalan and Wilby (2004), "The Schaake shuffle: a method for reconstructing
space-time variability in forecasted precipitation and temperature fields", Journal of Hydrometeorology 5. Each part keeps its
own law; of n draws the k-th smallest of a part goes where the k-th smallest error stood among n past vectors of errors.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

NORMAL = NormalDist()


def scores_of(levels: np.ndarray) -> np.ndarray:
    """Return levels as normal scores."""
    return np.array([NORMAL.inv_cdf(float(level)) for level in levels])


def middles(n: int) -> np.ndarray:
    """Return the normal scores of n equally likely draws: the middles of n equal parts of the unit interval, rising."""
    return scores_of((np.arange(n) + 0.5) / n)


def inverse(levels: np.ndarray, values: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return a quantile function at other levels, linear in the normal score, and extrapolated beyond the outermost.

    So it is exact for a normal law, and its tails are normal with the slope of the two outermost levels. (Lines over the level
    itself would end the law at its outermost quantile.)

    Args:
        levels: Known levels, rising, shape (levels,).
        values: Their quantiles, not falling, shape (levels,).
        scores: Normal scores of the levels to tell, shape (n,).
    """
    normal_scores = scores_of(levels)
    if len(normal_scores) == 1:
        return np.full(len(scores), values[0])
    inside = np.interp(scores, normal_scores, values)
    low = (values[1] - values[0]) / (normal_scores[1] - normal_scores[0])
    high = (values[-1] - values[-2]) / (normal_scores[-1] - normal_scores[-2])
    quantiles: np.ndarray = (
        inside + low * np.minimum(scores - normal_scores[0], 0) + high * np.maximum(scores - normal_scores[-1], 0)
    )
    return quantiles


def ranks_of(vectors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the rank of each of n vectors in each coordinate, 0 to n - 1, ties at random; shape (n, coordinates...)."""
    order = np.lexsort((rng.random(vectors.shape), vectors), axis=0)
    ranks = np.empty(order.shape, np.int64)
    places = np.arange(len(vectors)).reshape(-1, *[1] * (vectors.ndim - 1))
    np.put_along_axis(ranks, order, np.broadcast_to(places, order.shape), 0)
    return ranks


def coupled_sum(draws: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return the sums of parts, each part's n draws in the order of its ranks.

    Args:
        draws: Of each part, rising, shape (parts, n).
        ranks: Shape (n, parts).

    Returns:
        Shape (n,).
    """
    total: np.ndarray = np.take_along_axis(draws, ranks.T, 1).sum(0)
    return total
