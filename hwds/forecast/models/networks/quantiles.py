"""The head that answers with quantiles."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hwds.forecast.models.windows.cut import Origins, Windows
from hwds.forecast.models.windows.quantile_grid import mean_weights
from hwds.forecast.models.windows.source import WindowSource
from hwds.frames.panel import Panel


class QuantileHead(NamedTuple):
    """Quantiles that cannot cross, of what the seasonal naive missed, learned by the pinball loss.

    A median with steps up and down made positive by softplus (Gasthaus et al. 2019, "Probabilistic forecasting with spline
    quantile function RNNs", for the idea of a monotone head).

    Attributes:
        grid: The levels, 0.5 among them.
        nonnegative: Whether forecasts are never below 0.
    """

    grid: tuple[float, ...]
    nonnegative: bool

    @property
    def outputs(self) -> int:
        """One a level."""
        return len(self.grid)

    @property
    def target_shape(self) -> tuple[int, ...]:
        """One residual."""
        return ()

    def activated(self, out: Any) -> Any:
        """Return the levels, rising."""
        from keras import layers, ops

        middle = self.grid.index(0.5)
        median = out[..., middle : middle + 1]
        up = median + ops.cumsum(ops.softplus(out[..., middle + 1 :]), -1)
        down = median - ops.flip(ops.cumsum(ops.flip(ops.softplus(out[..., :middle]), -1), -1), -1)
        return layers.Concatenate()([down, median, up])

    def loss(self, output: Any, target: Any) -> Any:
        """Return the pinball loss, mean over the levels."""
        import tensorflow as tf

        grid = np.array(self.grid, np.float32)
        known = tf.math.is_finite(target)
        error = tf.where(known, target, 0.0)[..., None] - output
        pinball = tf.maximum(grid * error, (grid - 1) * error) * tf.cast(known, tf.float32)[..., None]
        return tf.reduce_sum(pinball) / tf.maximum(tf.reduce_sum(tf.cast(known, tf.float32)), 1.0) / len(grid)

    def score(self, output: np.ndarray, target: np.ndarray) -> float:
        """Return the same."""
        error = target[..., None] - output
        levels = np.array(self.grid)
        return float(np.nanmean(np.maximum(levels * error, (levels - 1) * error)))

    def target(self, source: WindowSource, origins: Origins, windows: Windows) -> np.ndarray:
        """Return the residual, shape (n, h)."""
        return windows.target

    def check(self, history: Panel) -> None:
        """Accept every history."""

    def supports(self, history: Panel) -> np.ndarray:
        """Return all of them."""
        return np.ones(history.n_series, bool)

    def read(self, output: np.ndarray, windows: Windows, levels: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return the levels to forecast, and the mean that all levels together make."""
        restored = np.sort(windows.restore(output), -1)
        grid = np.maximum(restored, 0.0) if self.nonnegative else restored
        return (grid * mean_weights(self.grid)).sum(-1), grid[..., [self.grid.index(level) for level in levels]]
