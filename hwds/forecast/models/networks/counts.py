"""The head that answers with the distribution of a count."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hwds.core.errors import DataError
from hwds.forecast.models.windows.cut import Origins, Windows
from hwds.forecast.models.windows.source import WindowSource
from hwds.frames.panel import Panel

LEAST = 1e-3
"""Dispersion at least, and the mean beside the window's size: a logarithm is taken of both."""


class CountHead(NamedTuple):
    """Mean and dispersion of a negative binomial: variance = mean + dispersion x mean^2.

    The mean is a multiple of the window's size (Salinas et al. 2020, "DeepAR", section 3.3, eq. 4). Series with negative or
    fractional values are neither learned from nor answered for.
    """

    @property
    def outputs(self) -> int:
        """Mean over size, and dispersion."""
        return 2

    @property
    def target_shape(self) -> tuple[int, ...]:
        """The count and the size of its window."""
        return (2,)

    def activated(self, out: Any) -> Any:
        """Return outputs above 0."""
        from keras import ops

        return ops.softplus(out) + LEAST

    def loss(self, output: Any, target: Any) -> Any:
        """Return the negative log-likelihood but for what does not depend on the answer."""
        import tensorflow as tf

        known = tf.math.is_finite(target[..., 0])
        count, size = tf.where(known, target[..., 0], 0.0), tf.where(known, target[..., 1], 1.0)
        share, places = output[..., 1] * output[..., 0] * size, 1.0 / output[..., 1]
        likelihood = tf.math.lgamma(count + places) - tf.math.lgamma(places) + count * tf.math.log(share)
        likelihood -= (count + places) * tf.math.log1p(share)
        weight = tf.cast(known, tf.float32)
        return -tf.reduce_sum(likelihood * weight) / tf.maximum(tf.reduce_sum(weight), 1.0)

    def score(self, output: np.ndarray, target: np.ndarray) -> float:
        """Return the same, in double precision."""
        from scipy.special import gammaln

        count, size = target[..., 0].astype(np.float64), target[..., 1].astype(np.float64)
        dispersion = output[..., 1].astype(np.float64)
        share, places = dispersion * output[..., 0] * size, 1.0 / dispersion
        likelihood = gammaln(count + places) - gammaln(places) + count * np.log(share) - (count + places) * np.log1p(share)
        return float(-np.nanmean(likelihood))

    def target(self, source: WindowSource, origins: Origins, windows: Windows) -> np.ndarray:
        """Return the count and the window's size, shape (n, h, 2)."""
        first = (source.panel.offsets[origins.series] + origins.ends)[:, None]
        rows = first + np.arange(windows.target.shape[1])
        known = ~np.isnan(windows.target) & self.supports(source.panel)[origins.series][:, None]
        count = source.target[np.minimum(rows, len(source.target) - 1)]
        both = np.stack([count, np.broadcast_to(_size(windows)[:, None], rows.shape)], -1, dtype=np.float32)
        return np.where(known[..., None], both, np.float32(np.nan))

    def check(self, history: Panel) -> None:
        """Refuse a history without a series of counts.

        Raises:
            DataError: No series is one.
        """
        if not self.supports(history).any():
            raise DataError(
                "model.likelihood: 'negative_binomial' needs counts, but every series has negative or fractional values;"
                " use 'quantile'."
            )

    def supports(self, history: Panel) -> np.ndarray:
        """Return which series hold whole numbers from 0 on."""
        values = np.nan_to_num(history.target)
        odd = (values < 0) | (values != np.floor(values))
        return ~np.logical_or.reduceat(odd, history.offsets[:-1])

    def read(self, output: np.ndarray, windows: Windows, levels: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean, and the quantiles of the distribution: whole numbers."""
        from scipy.stats import nbinom

        mean = output[..., 0].astype(np.float64) * _size(windows)[:, None]
        places = 1.0 / output[..., 1].astype(np.float64)
        quantiles = nbinom.ppf(np.array(levels), places[..., None], (places / (places + mean))[..., None])
        return mean, quantiles


def _size(windows: Windows) -> np.ndarray:
    """Return the unit of a count: the last season's mean with its changes, at least one piece in the window; (n,)."""
    return np.maximum(np.nan_to_num(windows.level + windows.scale), 1.0 / windows.past.shape[1])
