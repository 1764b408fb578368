"""Curves of survival beyond the longest life that was seen."""

from __future__ import annotations

import numpy as np

from hwds.lifetime.laws.lives import LEVELS, Lives, quantiles_of_survival, restricted_mean

LEAST_HAZARD = 1e-6
"""The least hazard of a tail, over the longest life seen: a law without any failure has a tail that ends too."""


def tail_hazard(left: np.ndarray | float, longest: float) -> np.ndarray:
    """Return the hazard beyond the longest life seen: that of the exponential which leaves as many there as the curve does.

    The tail of Brown, Hollander and Korwar (1974), "Nonparametric tests of independence for censored data".

    Args:
        left: The share that lasts longer than the longest life seen, above 0.
        longest: That life.
    """
    return np.maximum(-np.log(np.maximum(left, 1e-300)), LEAST_HAZARD) / longest


def lives_of_curves(times: np.ndarray, survival: np.ndarray, hazard: np.ndarray, longest: float, cap: float) -> Lives:
    """Return the laws of remaining lives by step curves with an exponential tail.

    Args:
        times: At which curves step down, rising from above 0 to no more than `longest`, shape (t,); may be none.
        survival: After each, shape (n, t).
        hazard: Beyond `longest`, shape (n,).
        longest: From which on the tail falls; before it curves stay at their last step.
        cap: Of points.
    """
    rows = len(survival)
    last = survival[:, -1] if len(times) else np.ones(rows)
    mean = restricted_mean(times, survival, cap)
    beyond = max(cap - longest, 0.0)  # the tail in place of the last step, which goes on to the cap
    point = mean + last * (-np.expm1(-hazard * beyond) / hazard - beyond)
    in_tail = longest + np.log(np.maximum(last[:, None], 1e-300) / (1 - LEVELS)) / hazard[:, None]
    reached = last[:, None] <= (1 - LEVELS) + 1e-12
    inside = quantiles_of_survival(times, survival) if len(times) else np.zeros((rows, len(LEVELS)))
    return Lives.of(point, np.where(reached, inside, np.maximum(in_tail, longest)))
