"""The amounts of purchases: laws with a known mean, as equally likely numbers."""

from __future__ import annotations

from typing import Literal

import numpy as np

BasketLaw = Literal["none", "gamma", "lognormal", "pareto"]

NUMBERS = 8192
"""Equally likely amounts that stand for a law: its quantiles in the middle of as many parts, so that the truth is exact."""


def basket_amounts(law: BasketLaw, spread: float) -> np.ndarray:
    """Return equally likely amounts over their mean, which is 1, rising.

    Args:
        law: `gamma`; `lognormal`; `pareto`, whose tail is a power of the amount; `none` for no law.
        spread: The standard deviation over the mean that the law itself has.

    Returns:
        Shape (8192,); (0,) without a law.
    """
    from scipy.special import gammaincinv, ndtri

    ranks = (np.arange(NUMBERS) + 0.5) / NUMBERS
    if law == "none":
        return np.zeros(0)
    if law == "gamma":
        amounts = gammaincinv(1 / spread**2, ranks)
    elif law == "lognormal":
        amounts = np.exp(np.sqrt(np.log1p(spread**2)) * ndtri(ranks))
    else:
        amounts = (1 - ranks) ** (-1 / (1 + np.sqrt(1 + 1 / spread**2)))
    return np.asarray(amounts / amounts.mean())
