"""Training rows of models that forecast each step alone, and the quantiles that they learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from hwds.forecast.windows import Origins, Windows, WindowSource


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Pairs of an origin and a step whose target is known.

    Attributes:
        inputs: Shape (rows, columns), float32.
        target: Shape (rows,), float32.
        late: Whether the target lies in the last horizon of its series, shape (rows,).
        scale: The number that the target was divided by, shape (rows,), float64.
    """

    inputs: ndarray
    target: ndarray
    late: ndarray
    scale: ndarray

    def take(self, index: ndarray | slice) -> TrainingRows:
        """Keep some of the rows."""
        return TrainingRows(
            self.inputs[index], self.target[index], self.late[index], self.scale[index]
        )


def training_rows(
    source: WindowSource, most: int, rng: np.random.Generator, origins: Origins | None = None
) -> TrainingRows:
    """Sample about `most` pairs from some origins, or from all that can be learned from."""
    return _sample_pairs(source, source.origins() if origins is None else origins, most, rng)


def stopping_rows(source: WindowSource, most: int, rng: np.random.Generator) -> TrainingRows:
    """Sample about `most` pairs from the origins one horizon before the end of the series."""
    ends = source.panel.lengths - source.windowing.horizon
    able = np.flatnonzero(source.panel.offsets[:-1] + ends > source.first)
    return _sample_pairs(source, Origins(able, ends[able]), most, rng)


def input_matrix(windows: Windows, origin: ndarray, step: ndarray) -> ndarray:
    """Return the inputs of pairs of an origin and a step (both from 0), one row each, float32."""
    of_origin = (windows.past[origin], windows.origin[origin], windows.codes[origin])
    return np.concatenate(
        [*of_origin, step[:, None] + 1, windows.steps[origin, step]],
        axis=1,
        dtype=np.float32,
        casting="unsafe",
    )


def input_names(source: WindowSource) -> tuple[str, ...]:
    """Return the names of the columns of `input_matrix`."""
    past = (f"past {rows}" for rows in range(source.windowing.length, 0, -1))
    return (*past, *source.origin_names, *source.codes, "step", *source.step_names)


def thin_evenly(total: int, most: int, rng: np.random.Generator) -> ndarray:
    """Return about `most` of the numbers below `total`, rising: one drawn from each of as many
    equal stretches.
    """
    if total <= most:
        return np.arange(total)
    drawn = ((np.arange(most) + rng.random(most)) * (total / most)).astype(np.int64)
    return np.unique(np.minimum(drawn, total - 1))


def _sample_pairs(
    source: WindowSource, origins: Origins, most: int, rng: np.random.Generator
) -> TrainingRows:
    left = source.panel.lengths[origins.series] - origins.ends
    steps = np.minimum(left, source.windowing.horizon)
    ends = np.cumsum(steps)
    pairs = thin_evenly(int(steps.sum()), most, rng)
    owner = np.searchsorted(ends, pairs, side="right")
    step = pairs - (ends - steps)[owner]
    late = left[owner] - step <= source.windowing.horizon
    used, owner = np.unique(owner, return_inverse=True)
    parts = []
    for part, windows in source.parts(origins.take(used)):
        here = slice(*np.searchsorted(owner, [part.start, part.stop]))
        parts.append(_known_pairs(windows, owner[here] - part.start, step[here], late[here]))
    if not parts:
        none = np.zeros(0)
        inputs, target = np.zeros((0, 0), np.float32), none.astype(np.float32)
        return TrainingRows(inputs, target, none.astype(bool), none)
    return TrainingRows(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _known_pairs(
    windows: Windows, origin: ndarray, step: ndarray, late: ndarray
) -> tuple[ndarray, ...]:
    target = windows.target[origin, step]
    known = ~np.isnan(target)
    return (
        input_matrix(windows, origin[known], step[known]),
        target[known],
        late[known],
        windows.scale[origin[known]],
    )


# The quantile levels that a model learns, and the mean that they make.


def quantile_grid(levels: tuple[float, ...]) -> tuple[float, ...]:
    """Return the levels to learn: those to forecast, the median, and one on each side of it for the
    mean to be made of.
    """
    below = () if any(level < 0.5 for level in levels) else (0.1,)
    above = () if any(level > 0.5 for level in levels) else (0.9,)
    return tuple(sorted({*levels, 0.5, *below, *above}))


def mean_weights(grid: tuple[float, ...]) -> ndarray:
    """Return the weights that make a mean of quantiles: the integral of a quantile function that is
    linear between its levels.

    Beyond the outermost levels it is taken as flat. At 10, 50 and 90 % these are Swanson's .3, .4
    and .3, which hold for moderately skewed distributions (Hurst, Brown and Swanson 2000,
    "Swanson's 30-40-30 rule").
    """
    between = (np.array(grid[1:]) + np.array(grid[:-1])) / 2
    return np.diff(np.concatenate([[0.0], between, [1.0]]))


def read_grid(
    values: ndarray, grid: tuple[float, ...], levels: tuple[float, ...]
) -> tuple[ndarray, ndarray]:
    """Return the mean that quantiles make, and those of some levels.

    Args:
        values: The quantiles of all levels of the grid, shape (..., grid).
        grid: The levels that were learned.
        levels: The levels to forecast, all in the grid.
    """
    mean = (values * mean_weights(grid)).sum(-1)
    return mean, values[..., [grid.index(level) for level in levels]]


def every_input(windows: Windows) -> ndarray:
    """Return the inputs of every origin and step, one row each, float32."""
    n, steps = windows.base.shape
    return input_matrix(windows, np.repeat(np.arange(n), steps), np.tile(np.arange(steps), n))
