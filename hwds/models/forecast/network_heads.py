"""Heads: what a network answers for each step, and how that is learned, judged and read as a forecast."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np

from hwds.frames.panel import Panel
from hwds.models.forecast.window_source import Origins, Source, Windows

Likelihood = Literal["quantile", "negative_binomial"]


class Head(Protocol):
    """What is asked of a head; it is part of a graph's key, so it is a tuple of plain values."""

    @property
    def outputs(self) -> int:
        """Numbers that the network gives for each step."""

    @property
    def target_shape(self) -> tuple[int, ...]:
        """Shape of the target of one step."""

    def activated(self, out: Any) -> Any:
        """A Keras tensor of raw outputs (n, h, outputs) as an answer."""

    def loss(self, answer: Any, target: Any) -> Any:
        """The mean loss of known targets, in TensorFlow."""

    def score(self, answer: np.ndarray, target: np.ndarray) -> float:
        """The same in numpy, for choosing the number of epochs."""

    def target(self, source: Source, origins: Origins, windows: Windows) -> np.ndarray:
        """What is learned, its first axes (n, h), NaN where unknown, float32."""

    def check(self, history: Panel) -> None:
        """Refuse a history that it cannot describe."""

    def answered(self, history: Panel) -> np.ndarray:
        """Which series it can answer for, shape (n_series,)."""

    def read(self, answer: np.ndarray, windows: Windows, levels: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Mean (n, h) and quantiles (n, h, levels) in the target's unit."""
