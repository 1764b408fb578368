"""Training rows of a model that forecasts each step alone: pairs of an origin and a step, evenly sampled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.forecast.models.windows.cut import Origins, Windows
from hwds.forecast.models.windows.source import WindowSource


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Pairs of an origin and a step whose target is known.

    Attributes:
        inputs: Shape (rows, columns), float32.
        target: Shape (rows,), float32.
        late: Whether the target lies in the last horizon of its series, shape (rows,).
        scale: What the target was divided by, shape (rows,), float64.
    """

    inputs: np.ndarray
    target: np.ndarray
    late: np.ndarray
    scale: np.ndarray

    def take(self, index: np.ndarray | slice) -> TrainingRows:
        """Keep some of the rows."""
        return TrainingRows(self.inputs[index], self.target[index], self.late[index], self.scale[index])


def training_rows(source: WindowSource, most: int, rng: np.random.Generator, origins: Origins | None = None) -> TrainingRows:
    """Sample about `most` pairs from some origins, or from all that can be learned from."""
    return _sampled(source, source.origins() if origins is None else origins, most, rng)


def stopping_rows(source: WindowSource, most: int, rng: np.random.Generator) -> TrainingRows:
    """Sample about `most` pairs from the origins one horizon before the end of the series."""
    ends = source.panel.lengths - source.windowing.horizon
    able = np.flatnonzero(source.panel.offsets[:-1] + ends > source.first)
    return _sampled(source, Origins(able, ends[able]), most, rng)


def matrix(windows: Windows, origin: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return the inputs of pairs of an origin and a step (both from 0), one row each, float32."""
    of_origin = (windows.past[origin], windows.origin[origin], windows.codes[origin])
    return np.concatenate(
        [*of_origin, step[:, None] + 1, windows.steps[origin, step]], axis=1, dtype=np.float32, casting="unsafe"
    )


def names(source: WindowSource) -> tuple[str, ...]:
    """Return the names of the columns of `matrix`."""
    past = (f"past {rows}" for rows in range(source.windowing.length, 0, -1))
    return (*past, *source.origin_names, *source.codes, "step", *source.step_names)


def thinned(total: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return about `most` of the numbers below `total`, rising: one drawn from each of as many equal stretches."""
    if total <= most:
        return np.arange(total)
    drawn = ((np.arange(most) + rng.random(most)) * (total / most)).astype(np.int64)
    return np.unique(np.minimum(drawn, total - 1))


def _sampled(source: WindowSource, origins: Origins, most: int, rng: np.random.Generator) -> TrainingRows:
    left = source.panel.lengths[origins.series] - origins.ends
    steps = np.minimum(left, source.windowing.horizon)
    ends = np.cumsum(steps)
    pairs = thinned(int(steps.sum()), most, rng)
    owner = np.searchsorted(ends, pairs, side="right")
    step = pairs - (ends - steps)[owner]
    late = left[owner] - step <= source.windowing.horizon
    used, owner = np.unique(owner, return_inverse=True)
    parts = []
    for part, windows in source.parts(origins.take(used)):
        here = slice(*np.searchsorted(owner, [part.start, part.stop]))
        parts.append(_known(windows, owner[here] - part.start, step[here], late[here]))
    if not parts:
        return TrainingRows(np.zeros((0, 0), np.float32), np.zeros(0, np.float32), np.zeros(0, bool), np.zeros(0))
    return TrainingRows(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _known(windows: Windows, origin: np.ndarray, step: np.ndarray, late: np.ndarray) -> tuple[np.ndarray, ...]:
    target = windows.target[origin, step]
    known = ~np.isnan(target)
    return matrix(windows, origin[known], step[known]), target[known], late[known], windows.scale[origin[known]]
