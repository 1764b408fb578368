"""Windows as a network reads them: past, steps, origin and codes, standardised by statistics of the training windows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hwds.forecast.models.networks.heads import Head
from hwds.forecast.models.windows.cut import Origins, Windows
from hwds.forecast.models.windows.source import CLIP, WindowSource


class Inputs(NamedTuple):
    """The inputs of a network for n windows, float32 but for the codes.

    Attributes:
        past: The target, the known-future and the past-only columns over the window, shape (n, length, p).
        steps: What is known of each step, its own number last, shape (n, h, q).
        origin: What holds for all steps, shape (n, a).
        codes: Static texts, 0 for one that fit has not seen, shape (n, c), int32.
    """

    past: np.ndarray
    steps: np.ndarray
    origin: np.ndarray
    codes: np.ndarray

    def take(self, index: np.ndarray) -> Inputs:
        """Return some of the windows."""
        return Inputs(*(part[index] for part in self))


Scaling = tuple[np.ndarray, ...]
"""Centre and spread of `past`, `steps` and `origin`, each of shape (columns,)."""


class WindowExamples(NamedTuple):
    """Windows and what a head makes of what followed, its first axes (n, h), NaN where unknown."""

    inputs: Inputs
    target: np.ndarray


def examples_of(source: WindowSource, origins: Origins, head: Head) -> WindowExamples:
    """Return inputs of these origins, and their targets as the head learns them."""
    parts = [
        (_part(source, origins.take(part), w), head.target(source, origins.take(part), w)) for part, w in source.parts(origins)
    ]
    return WindowExamples(_joined([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))


def inputs_of(source: WindowSource, origins: Origins, steps: int) -> tuple[Inputs, list[Windows]]:
    """Return inputs of these origins over so many steps, and the windows that forecasts are restored by."""
    cut = list(source.parts(origins, steps))
    return _joined([_part(source, origins.take(part), windows) for part, windows in cut]), [windows for _, windows in cut]


def _joined(parts: list[Inputs]) -> Inputs:
    return Inputs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _part(source: WindowSource, origins: Origins, windows: Windows) -> Inputs:
    rows = source.past_rows(origins)
    covariates = [column[rows] for column in (*source.known.values(), *source.passed.values())]
    past = np.stack([windows.past, *covariates], -1, dtype=np.float32)
    n, steps = windows.base.shape
    number = np.broadcast_to((np.arange(steps, dtype=np.float32) + 1) / source.windowing.horizon, (n, steps))
    return Inputs(past, np.concatenate([windows.steps, number[..., None]], -1), windows.origin, windows.codes + 1)


def learn_scaling(inputs: Inputs) -> Scaling:
    """Return mean and standard deviation of every input column; a constant one is left as it is."""
    return tuple(part for values in inputs[:3] for part in _statistics(values))


def scaled(inputs: Inputs, scaling: Scaling) -> Inputs:
    """Return inputs standardised and clipped; what is unknown counts as the mean."""
    pairs: Iterator[tuple[np.ndarray, np.ndarray]] = zip(scaling[::2], scaling[1::2], strict=True)
    past, steps, origin = (_apply(values, *pair) for values, pair in zip(inputs[:3], pairs, strict=True))
    return Inputs(past, steps, origin, inputs.codes)


def _statistics(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat = np.clip(values.reshape(-1, values.shape[-1]).astype(np.float64), -1e6, 1e6)
    known = ~np.isnan(flat)
    count = np.maximum(known.sum(0), 1)
    centre = np.where(known, flat, 0).sum(0) / count
    spread = np.sqrt(np.where(known, (flat - centre) ** 2, 0).sum(0) / count)
    return centre.astype(np.float32), np.where(spread > 1e-9, spread, 1).astype(np.float32)


def _apply(values: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.clip((values - centre) / spread, -CLIP, CLIP)).astype(np.float32)
