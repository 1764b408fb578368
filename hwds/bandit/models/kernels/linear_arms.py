"""Ridge regression for each arm on the context and an intercept, kept up to date outcome by outcome, in compiled code.

The state holds a block for each arm: pulls, the inverse of ridge I + sum x x' (d x d), the sum of y x, and the coefficients.
An outcome changes the inverse by a product of vectors (Sherman and Morrison 1950), so that nothing is ever inverted.
"""

from __future__ import annotations

import numpy as np

from hwds.core.numba_cache import helper

INVERSE = 1
"""The position of the inverse in a block."""


def size(arms: int, columns: int) -> int:
    """Return numbers in the state: the blocks, then scratch for a number of each arm, and for a vector."""
    return scratch(arms, columns) + arms + columns + 1


@helper
def block(columns: int) -> int:
    """Return numbers of one arm, for d - 1 columns of context: pulls, inverse, sum, coefficients."""
    d = columns + 1
    return 1 + d * d + 2 * d


@helper
def scratch(arms: int, columns: int) -> int:
    """Return the position at which a policy may write a number for each arm."""
    return arms * block(columns)


@helper
def begin(state: np.ndarray, arms: int, columns: int, ridge: float) -> None:
    """Begin without outcomes: the inverse is I / ridge, all else zero."""
    d = columns + 1
    for arm in range(arms):
        first = arm * block(columns) + INVERSE
        for i in range(d):
            state[first + i * d + i] = 1.0 / ridge


@helper
def entry(context: np.ndarray, i: int) -> float:
    """Return the i-th regressor; the intercept comes last."""
    return context[i] if i < context.size else 1.0


@helper
def mean(state: np.ndarray, arm: int, context: np.ndarray) -> float:
    """Return the fitted value of an arm for a customer."""
    d = context.size + 1
    first = arm * block(d - 1) + INVERSE + d * d + d
    fitted = state[first + d - 1]
    for i in range(d - 1):
        fitted += context[i] * state[first + i]
    return fitted


@helper
def leverage(state: np.ndarray, arm: int, context: np.ndarray) -> float:
    """Return x' A^-1 x: the variance of the fitted value, over that of one outcome."""
    d = context.size + 1
    first = arm * block(d - 1) + INVERSE
    form = 0.0
    for i in range(d):
        x = entry(context, i)
        if x == 0.0:
            continue
        row = state[first + i * d + d - 1]
        for j in range(d - 1):
            row += state[first + i * d + j] * context[j]
        form += x * row
    return max(form, 0.0)


@helper
def pulls(state: np.ndarray, arm: int, columns: int) -> float:
    """Return the number of outcomes of an arm."""
    return state[arm * block(columns)]


@helper
def total(state: np.ndarray, arm: int, columns: int) -> float:
    """Return the sum of an arm's outcomes: that of y times the intercept."""
    d = columns + 1
    return state[arm * block(columns) + INVERSE + d * d + d - 1]


@helper
def absorb(state: np.ndarray, arms: int, arm: int, context: np.ndarray, y: float) -> None:
    """Add an outcome of an arm: A^-1 loses (A^-1 x)(A^-1 x)' / (1 + x' A^-1 x), and the coefficients move along A^-1 x."""
    d = context.size + 1
    first, vector = arm * block(d - 1), scratch(arms, d - 1) + arms
    inverse, sums = first + INVERSE, first + INVERSE + d * d
    error, spread = y - mean(state, arm, context), 1.0
    for i in range(d):
        moved = 0.0
        for j in range(d):
            moved += state[inverse + i * d + j] * entry(context, j)
        state[vector + i] = moved
        spread += entry(context, i) * moved
    for i in range(d):
        for j in range(d):
            state[inverse + i * d + j] -= state[vector + i] * state[vector + j] / spread
        state[sums + i] += y * entry(context, i)
        state[sums + d + i] += state[vector + i] * error / spread
    state[first] += 1.0
