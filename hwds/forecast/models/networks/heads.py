"""Heads: what a network answers for each step, and how that is learned, judged and read as a forecast."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np

from hwds.forecast.models.windows.cut import Origins, Windows
from hwds.forecast.models.windows.source import WindowSource
from hwds.frames.panel import Panel

Likelihood = Literal["quantile", "negative_binomial"]


class Head(Protocol):
    """The interface of a head; it is part of a graph's key, so it is a tuple of plain values."""

    @property
    def outputs(self) -> int:
        """Numbers that the network gives for each step."""

    @property
    def target_shape(self) -> tuple[int, ...]:
        """Shape of the target of one step."""

    def activated(self, out: Any) -> Any:
        """Return a Keras tensor of raw outputs (n, h, outputs) as an answer."""

    def loss(self, output: Any, target: Any) -> Any:
        """Return the mean loss of known targets, in TensorFlow."""

    def score(self, output: np.ndarray, target: np.ndarray) -> float:
        """Return the same in numpy, for choosing the number of epochs."""

    def target(self, source: WindowSource, origins: Origins, windows: Windows) -> np.ndarray:
        """Return the target to learn, its first axes (n, h), NaN where unknown, float32."""

    def check(self, history: Panel) -> None:
        """Refuse a history that it cannot describe."""

    def supports(self, history: Panel) -> np.ndarray:
        """Return which series it can forecast, shape (n_series,)."""

    def read(self, output: np.ndarray, windows: Windows, levels: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return mean (n, h) and quantiles (n, h, levels) in the target's unit."""
