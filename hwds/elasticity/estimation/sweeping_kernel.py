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


@helper
def weighed(rest: np.ndarray, diagonal: np.ndarray) -> float:
    """Return the sum of squares over the diagonal."""
    total = 0.0
    for t in range(len(rest)):
        total += rest[t] * rest[t] / diagonal[t] if diagonal[t] > 0 else 0.0
    return total


@helper
def right_side(
    weight: np.ndarray, starts: np.ndarray, period: np.ndarray, column: np.ndarray, means: np.ndarray, out: np.ndarray
) -> None:
    """Write the sums by period of a column less its cells' means into `out`."""
    out[:] = 0.0
    cell_means(weight, starts, period, column, out, means)
    for cell in range(len(starts) - 1):
        for row in range(starts[cell], starts[cell + 1]):
            out[period[row]] += weight[row] * (column[row] - means[cell])


@helper
def subtract(
    weight: np.ndarray, starts: np.ndarray, period: np.ndarray, effects: np.ndarray, means: np.ndarray, column: np.ndarray
) -> None:
    """Take period effects, and the cell effects that go with them, out of a column."""
    cell_means(weight, starts, period, column, effects, means)
    for cell in range(len(starts) - 1):
        for row in range(starts[cell], starts[cell + 1]):
            column[row] -= means[cell] + effects[period[row]]


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
        work: Work space, shape (3, periods).
        tolerance: Of the residual, relative to the right side.
        most: Steps at most.
    """
    rest, direction, image = work[0], work[1], work[2]
    right_side(weight, starts, period, column, means, rest)
    goal = tolerance * tolerance * weighed(rest, diagonal)
    period_sums(weight, starts, period, effects, means, image)
    direction[:] = 0.0
    rest -= image
    size, ratio, steps = weighed(rest, diagonal), 0.0, 0
    while steps < most and size > goal and size > 1e-280:
        for t in range(len(rest)):
            direction[t] = (rest[t] / diagonal[t] if diagonal[t] > 0 else 0.0) + ratio * direction[t]
        period_sums(weight, starts, period, direction, means, image)
        curve = 0.0
        for t in range(len(rest)):
            curve += direction[t] * image[t]
        if curve <= 0.0:
            break
        for t in range(len(rest)):
            effects[t] += size / curve * direction[t]
            rest[t] -= size / curve * image[t]
        new = weighed(rest, diagonal)
        ratio = new / size
        size = new
        steps += 1
    subtract(weight, starts, period, effects, means, column)
    return steps
