"""Estimates of the value of each arm in an adaptive game: the sums that a simulation keeps while it plays.

The mean of an arm's own steps is too low on average: an arm that begins badly is dropped before it can recover (Nie, Tian,
Taylor and Zou 2018). With the chance e_t(a) that the policy gave the arm before it chose, and a guess m_t(a) from earlier
steps, G_t(a) = m_t(a) + [a chosen] (reward - m_t(a)) / e_t(a) has the mean of the arm whatever came before. Over all steps at
which the arm was on offer:

    ipw            the mean of G with m = 0: inverse-propensity weights; unbiased, its variance is that of 1 / e;
    aipw           the mean of G: augmented; unbiased, less varied;
    aipw_weighted  the mean of G weighted by sqrt(e): least varied, asymptotically normal, with a bias that fades (Hadad,
                   Hirshberg, Zhan, Wager and Athey 2021, constant allocation).

Thompson sampling of two arms of .5, 500 steps: raw is off by -.026 on average with a standard deviation of .075, ipw by 0 and
.098, aipw by 0 and .079, aipw_weighted by -.015 and .069. Unbiased is not sure: an arm that was all but dropped has a wide
interval and a rare large weight. An arm whose chance was 0 while it was on offer (greedy, an upper confidence bound) has none
of the three. None corrects the choice of the highest of several estimates: what is recommended is to be measured again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from hwds.bandit.models.kernels.base import Visit, weigh
from hwds.core.numba_cache import helper, helper_options

METHODS = ("ipw", "aipw", "aipw_weighted")

STEPS, IPW, IPW_SQUARES, AIPW, AIPW_SQUARES, ROOTS, ROOT_AIPW, CHANCES, CHANCE_AIPW, CHANCE_SQUARES, NEVER = range(11)
"""The sums of each arm: the number of steps, of G and its square without and with a guess, of sqrt(e), sqrt(e) G, e, e G,
e G^2; and whether its chance was ever 0."""


class NoEstimates(NamedTuple):
    """The arrays of a game that estimates nothing."""

    unused: int


class EstimatorArrays(NamedTuple):
    """The arrays that are read and written while a game is played.

    Attributes:
        values: What a conversion of each arm earns, shape (K,).
        pulls: Times each arm was chosen, which the game counts, shape (K,).
        wins: Conversions of each arm, too.
        chances: Of the arms at a step, shape (K,).
        sums: Shape (11, K).
    """

    values: np.ndarray
    pulls: np.ndarray
    wins: np.ndarray
    chances: np.ndarray
    sums: np.ndarray


def estimator_arrays(
    values: np.ndarray, pulls: np.ndarray, wins: np.ndarray, estimates_wanted: bool
) -> NoEstimates | EstimatorArrays:
    """Return room for one thread; it tells compiled code whether to estimate, so that a game without estimates pays nothing."""
    return (
        EstimatorArrays(values, pulls, wins, np.zeros(values.size), np.zeros((NEVER + 1, values.size)))
        if estimates_wanted
        else NoEstimates(0)
    )


def observe(arrays: Any, settings: Any, state: np.ndarray, visit: Visit, arm: int, converts: bool) -> None:
    """Add a step, before the policy learns from it and before it is among the pulls and wins, in compiled code."""
    raise NotImplementedError("observe is for compiled code")


def conclude(arrays: Any, estimates: np.ndarray, row: int) -> None:
    """Write the estimates of a game, and make room for the next, in compiled code."""
    raise NotImplementedError("conclude is for compiled code")


@cache
def register_estimates() -> None:
    """Register `observe` and `conclude` for compiled code."""
    from numba.extending import overload

    for stub, nothing, something in ((observe, _observe_nothing, _observe), (conclude, _conclude_nothing, _conclude)):
        overload(stub, jit_options=helper_options(), strict=False)(_by_arrays(nothing, something))  # type: ignore[arg-type]


def _by_arrays(nothing: Callable[..., None], something: Callable[..., None]) -> Callable[..., Any]:
    return lambda arrays, *arguments: something if arrays.instance_class is EstimatorArrays else nothing


def _observe_nothing(arrays: Any, settings: Any, state: np.ndarray, visit: Visit, arm: int, converts: bool) -> None:
    pass


def _observe(arrays: Any, settings: Any, state: np.ndarray, visit: Visit, arm: int, converts: bool) -> None:
    values, pulls, wins, chances, sums = arrays
    active = visit.active
    weigh(settings, state, visit, chances)
    for i in range(values.size):
        if active[i]:
            guess = values[i] * (wins[i] + 1.0) / (pulls[i] + 2.0)
            reward = values[i] if converts else 0.0
            _add(sums, i, i == arm, chances[i], reward, guess)


@helper
def _add(sums: np.ndarray, arm: int, chosen: bool, chance: float, reward: float, guess: float) -> None:
    """Add one step of one arm that was on offer."""
    plain = reward / chance if chosen else 0.0
    augmented = guess + (reward - guess) / chance if chosen else guess
    root = np.sqrt(chance)
    sums[STEPS, arm] += 1.0
    sums[IPW, arm] += plain
    sums[IPW_SQUARES, arm] += plain * plain
    sums[AIPW, arm] += augmented
    sums[AIPW_SQUARES, arm] += augmented * augmented
    sums[ROOTS, arm] += root
    sums[ROOT_AIPW, arm] += root * augmented
    sums[CHANCES, arm] += chance
    sums[CHANCE_AIPW, arm] += chance * augmented
    sums[CHANCE_SQUARES, arm] += chance * augmented * augmented
    if chance <= 0.0:
        sums[NEVER, arm] = 1.0


def _conclude_nothing(arrays: Any, estimates: np.ndarray, row: int) -> None:
    pass


def _conclude(arrays: Any, estimates: np.ndarray, row: int) -> None:
    sums = arrays.sums
    for arm in range(arrays.chances.size):
        if sums[NEVER, arm] == 0.0 and sums[STEPS, arm] > 0.0:
            _estimate(sums, arm, estimates, row)
    sums[:] = 0.0


@helper
def _estimate(sums: np.ndarray, arm: int, estimates: np.ndarray, row: int) -> None:
    """Write the three estimates of an arm and their standard errors, those of a martingale's increments."""
    n = sums[STEPS, arm]
    for method in range(2):
        mean = sums[IPW + 2 * method, arm] / n
        spread = max(sums[IPW_SQUARES + 2 * method, arm] - n * mean * mean, 0.0)
        estimates[row, method, arm, 0], estimates[row, method, arm, 1] = mean, np.sqrt(spread) / n
    total = sums[ROOTS, arm]
    mean = sums[ROOT_AIPW, arm] / total
    spread = sums[CHANCE_SQUARES, arm] - 2.0 * mean * sums[CHANCE_AIPW, arm] + mean * mean * sums[CHANCES, arm]
    estimates[row, 2, arm, 0], estimates[row, 2, arm, 1] = mean, np.sqrt(max(spread, 0.0)) / total


def estimate(
    arms: np.ndarray, converts: np.ndarray, values: np.ndarray, chances: np.ndarray, offered: np.ndarray
) -> np.ndarray:
    """Return the same from a log of n steps, in numpy.

    Args:
        arms: Chosen, shape (n,).
        converts: Whether the customer bought, shape (n,).
        values: What a conversion of each arm earns, shape (K,).
        chances: Of every arm at every step, before the choice, shape (n, K).
        offered: Whether an arm was on offer, shape (n, K).

    Returns:
        Shape (3, K, 2): by method of `METHODS` and arm, the estimate and its standard error, NaN where there is none.
    """
    chosen = arms[:, None] == np.arange(len(values))
    pulls, wins = (np.cumsum(table, axis=0) - table for table in (chosen, chosen & converts[:, None]))
    guesses = values * (wins + 1) / (pulls + 2)
    inverse = chosen / np.where(chosen, chances, 1.0)
    plain = inverse * converts[:, None] * values
    augmented = guesses + inverse * (converts[:, None] * values - guesses)
    terms = (plain, offered), (augmented, offered), (augmented, np.sqrt(chances) * offered)
    never = np.logical_or(~offered.any(axis=0), np.any(offered & (chances <= 0), axis=0))
    return np.where(never.reshape(-1, 1), np.nan, np.stack([_weighted(*pair) for pair in terms]))


def _weighted(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total = np.maximum(weights.sum(axis=0), 1e-300)  # else of an arm that was never on offer
    mean = (weights * values).sum(axis=0) / total
    return np.stack([mean, np.sqrt(np.square(weights * (values - mean)).sum(axis=0)) / total], axis=1)
