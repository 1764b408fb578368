"""The compiled loops that sweep cell and period effects out of a column."""

from __future__ import annotations

import numpy as np

from hwds.core.numba_cache import helper


@helper
def period_sums(
    weight: np.ndarray, starts: np.ndarray, period: np.ndarray, values: np.ndarray, means: np.ndarray, out: np.ndarray
) -> None:
    """Write D_p g - W' D_c^-1 W g into `out`: the normal equations of period effects g once cell effects are eliminated.

    Args:
        weight: Of each row, rows of one cell side by side, shape (n,).
        starts: The first row of each cell and the end, shape (cells + 1,).
        period: Of each row, shape (n,).
        values: g, shape (periods,).
        means: Work space, shape (cells,).
        out: Shape (periods,).
    """
    out[:] = 0.0
    for cell in range(len(starts) - 1):
        total = 0.0
        top = 0.0
        for row in range(starts[cell], starts[cell + 1]):
            total += weight[row]
            top += weight[row] * values[period[row]]
        mean = top / total if total > 0 else 0.0
        means[cell] = mean
        for row in range(starts[cell], starts[cell + 1]):
            out[period[row]] += weight[row] * (values[period[row]] - mean)


@helper
def cell_means(
    weight: np.ndarray, starts: np.ndarray, period: np.ndarray, column: np.ndarray, effects: np.ndarray, means: np.ndarray
) -> None:
    """Write the weighted mean of a column less the period effects of each cell into `means`."""
    for cell in range(len(starts) - 1):
        total = 0.0
        top = 0.0
        for row in range(starts[cell], starts[cell + 1]):
            total += weight[row]
            top += weight[row] * (column[row] - effects[period[row]])
        means[cell] = top / total if total > 0 else 0.0


def sweep(
    weight: np.ndarray,
    starts: np.ndarray,
    period: np.ndarray,
    diagonal: np.ndarray,
    column: np.ndarray,
    effects: np.ndarray,
    means: np.ndarray,
    work: np.ndarray,
    tolerance: float,
    most: int,
) -> int:
    """Take the weighted least-squares fit of cell and period effects out of a column, in place; return the steps taken.

    Conjugate gradients on the equations of the period effects, preconditioned by their diagonal. They are singular where
    cells and periods are connected (a constant may move between the two), which conjugate gradients bear.

    Args:
        weight: Of each row, shape (n,).
        starts: The first row of each cell and the end, shape (cells + 1,).
        period: Of each row, shape (n,).
        diagonal: The sum of the weights of each period, shape (periods,).
        column: Shape (n,); holds the residuals afterwards.
        effects: Where to begin, shape (periods,); holds the period effects afterwards.
        means: Work space, shape (cells,).
        work: Work space, shape (4, periods).
        tolerance: Of the residual, relative to the right side.
        most: Steps at most.
    """
    right, direction, image, rest = work[0], work[1], work[2], work[3]
    right[:] = 0.0
    zero = image
    zero[:] = 0.0
    cell_means(weight, starts, period, column, zero, means)
    for cell in range(len(starts) - 1):
        for row in range(starts[cell], starts[cell + 1]):
            right[period[row]] += weight[row] * (column[row] - means[cell])
    goal = 0.0
    for t in range(len(right)):
        goal += right[t] * right[t] / diagonal[t] if diagonal[t] > 0 else 0.0
    goal *= tolerance * tolerance
    period_sums(weight, starts, period, effects, means, image)
    size = 0.0
    for t in range(len(right)):
        rest[t] = right[t] - image[t]
        direction[t] = rest[t] / diagonal[t] if diagonal[t] > 0 else 0.0
        size += rest[t] * direction[t]
    steps = 0
    while steps < most and size > goal and size > 1e-280:
        period_sums(weight, starts, period, direction, means, image)
        curve = 0.0
        for t in range(len(right)):
            curve += direction[t] * image[t]
        if curve <= 0.0:
            break
        length = size / curve
        new = 0.0
        for t in range(len(right)):
            effects[t] += length * direction[t]
            rest[t] -= length * image[t]
            if diagonal[t] > 0:
                new += rest[t] * rest[t] / diagonal[t]
        ratio = new / size
        for t in range(len(right)):
            direction[t] = (rest[t] / diagonal[t] if diagonal[t] > 0 else 0.0) + ratio * direction[t]
        size = new
        steps += 1
    cell_means(weight, starts, period, column, effects, means)
    for cell in range(len(starts) - 1):
        for row in range(starts[cell], starts[cell + 1]):
            column[row] -= means[cell] + effects[period[row]]
    return steps
