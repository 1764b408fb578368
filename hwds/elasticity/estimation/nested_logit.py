"""Nested logit: own and cross elasticities in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class NestedElasticities:
    """Elasticities of J products of one market, and their derivatives by the two parameters.

    Attributes:
        matrix: Of a row's share to a column's price, own ones on the diagonal, shape (J, J).
        by_slope, by_nesting: Derivatives by the slope of the price and by the nesting parameter, shape (J, J).
    """

    matrix: np.ndarray
    by_slope: np.ndarray
    by_nesting: np.ndarray


def nested_elasticities(
    price: np.ndarray, share: np.ndarray, nest: np.ndarray, slope: float, nesting: float
) -> NestedElasticities:
    """Return own and cross elasticities of nested logit demand (Berry 1994, Estimating discrete-choice models).

    Own: a p_j (1 / (1 - n) - n / (1 - n) s_j|g - s_j). To another product of the nest: -a p_k (n / (1 - n) s_k|g + s_k); of
    another nest: -a p_k s_k.

    Args:
        price: Of each product, shape (J,).
        share: Of each product, NaN where unknown, shape (J,).
        nest: Of each product from 0, shape (J,).
        slope: a.
        nesting: n.
    """
    known = np.isfinite(share)
    inside = np.bincount(nest, np.where(known, share, 0.0))
    within = share / np.maximum(inside[nest], 1e-300)
    same = nest[:, None] == nest
    away = np.eye(len(price)) - np.where(same, within, 0.0)
    by_slope = price * (np.eye(len(price)) + nesting / (1 - nesting) * away - share)
    return NestedElasticities(slope * by_slope, by_slope, slope * price * np.where(same, away, 0.0) / (1 - nesting) ** 2)
