"""Past errors of many series at once: how large each one's are, and how they move together, shrunk towards not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwds.core.serialization import Serializable

LEAST = 0.01
"""The least shrinkage, so that a covariance has an inverse."""


@dataclass(frozen=True, eq=False)
class Joint:
    """The assumed joint distribution of the errors of n series: deviations times correlations.

    The correlations are `shrinkage` times none at all, and the rest those of `vectors`.

    Attributes:
        deviations: Shape (n,), positive.
        vectors: In deviations, 0 where unknown, shape (t, n).
        shrinkage: From 0 to 1.
    """

    deviations: np.ndarray
    vectors: np.ndarray
    shrinkage: float

    @property
    def alone(self) -> np.ndarray:
        """The variance of each series that it shares with none, shape (n,); with `common` it makes up the covariance."""
        explained = np.square(self.vectors).mean(0) if len(self.vectors) else np.zeros(len(self.deviations))
        return self.deviations**2 * np.maximum(1 - (1 - self.shrinkage) * explained, LEAST)

    @property
    def common(self) -> np.ndarray:
        """A factor F: the covariance is diag(alone) + F F'; shape (n, t)."""
        weight = np.sqrt((1 - self.shrinkage) / max(len(self.vectors), 1))
        return weight * self.deviations[:, None] * self.vectors.T

    def orders(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return the order in which n rising draws of each series go together, shape (series, n): past vectors, blurred.

        A Schaake shuffle (see `metrics.coupling`) of the past vectors, each taken as often as another, and as often with either
        sign: all forecasts that were too low in the past may be too high together next time. The noise is as strong as
        the shrinkage does not believe them, so that ranks are correlated as W says; without any vector, all move as one.
        """
        if not len(self.vectors):
            return np.broadcast_to(np.arange(n), (len(self.deviations), n))
        taken, signs = rng.permutation(n) % len(self.vectors), np.where(rng.permutation(n) % 2, 1.0, -1.0)
        explained = np.square(self.vectors).mean(0)[:, None]
        noise = rng.standard_normal((len(self.deviations), n)) * np.sqrt(
            np.maximum(1 - (1 - self.shrinkage) * explained, LEAST)
        )
        mixed: np.ndarray = np.sqrt(1 - self.shrinkage) * self.vectors[taken].T * signs + noise
        return mixed.argsort(1, kind="stable")


@dataclass(frozen=True, eq=False)
class ErrorVectors(Serializable):
    """The errors of forecasts on inner windows: one vector over all series for each window and step.

    Attributes:
        series: Names.
        vectors: Errors of the mean over each series' deviation and over each step's growth; 0 where unknown, shape (t, n).
        deviations: Root mean squares, NaN where nothing is known, shape (n,).
        sizes: Mean sizes of the forecasts, NaN where nothing is known, shape (n,).
    """

    series: tuple[str, ...]
    vectors: np.ndarray
    deviations: np.ndarray
    sizes: np.ndarray

    @classmethod
    def learn(cls, series: Sequence[str], errors: np.ndarray, steps: np.ndarray, forecasts: np.ndarray) -> ErrorVectors:
        """Return all steps pooled: the errors of farther ones are larger by one factor, the same for all series.

        So one covariance serves all steps but for a factor, which reconciliation does not see (Wickramasuriya, Athanasopoulos
        and Hyndman 2019). Errors are not centred: the bias of a few windows is a part of how wrong a forecast is.

        Args:
            series: Names.
            errors: NaN where unknown, shape (t, n).
            steps: Of each row, shape (t,).
            forecasts: Shape (t, n).
        """
        growth = np.ones(len(errors))
        deviations = _rms(errors)
        for _ in range(2):
            scaled = errors / np.where(deviations > 0, deviations, np.nan)
            for step in np.unique(steps):
                size = float(_rms(scaled[steps == step].reshape(-1, 1))[0])
                growth[steps == step] = size if size > 0 else 1.0
            deviations = _rms(errors / growth[:, None])
        vectors = np.nan_to_num(errors / growth[:, None] / np.where(deviations > 0, deviations, np.nan))
        return cls(tuple(series), vectors, deviations, _mean(np.abs(forecasts)))

    @classmethod
    def nothing(cls) -> ErrorVectors:
        """Return the vectors of no windows."""
        none = np.zeros(0)
        return cls((), np.zeros((0, 0)), none, none)

    def of(self, series: Sequence[str], sizes: np.ndarray, members: np.ndarray) -> Joint:
        """Return the errors to expect of some series, in their order.

        Of a series without past errors they are as large for its size as those of the others; where nobody has any, as the
        square root of the number of its parts.

        Args:
            series: Names.
            sizes: Mean sizes of their forecasts now, shape (series,).
            members: How many series each is the sum of, 1 for one that is no sum.
        """
        places = {name: i for i, name in enumerate(self.series)}
        where = np.array([places.get(name, -1) for name in series], np.int64)
        known = where >= 0
        vectors = np.where(known, self.vectors[:, where], 0.0) if len(self.series) else np.zeros((0, len(series)))
        deviations = np.where(known, self.deviations[where], np.nan) if len(self.series) else np.full(len(series), np.nan)
        if not np.nanmax(deviations, initial=0.0) > 0:
            return Joint(np.sqrt(members.astype(np.float64)), vectors[:0], 1.0)
        held = self.sizes > 0
        relative = self.deviations[held] / self.sizes[held]
        usual = float(np.nanmedian(relative)) if np.isfinite(relative).any() else 0.0
        deviations = np.where(np.isnan(deviations), usual * sizes, deviations)
        # an exact series would leave nothing to divide by
        return Joint(np.maximum(deviations, 1e-9 * deviations.max()), vectors, shrinkage(vectors))


def shrinkage(vectors: np.ndarray) -> float:
    """Return the weight of the shrinkage of correlations to zero: their mean sampling variance over their mean square.

    Schaefer and Strimmer (2005), "A shrinkage approach to large-scale covariance matrix estimation and implications for
    functional genomics", not centred. The steps of one window share its shocks, so that this is less than what independent
    windows would say; counted as one observation each, they shrink more and forecast worse on monthly retail turnover.

    Args:
        vectors: In deviations, shape (t, n).
    """
    n = len(vectors)
    if n < 2:
        return 1.0
    # the sum over pairs of series of the products of two vectors' own products, without any matrix of pairs
    squares = vectors**2
    pairs = (vectors @ vectors.T) ** 2 - squares @ squares.T
    variance = (np.trace(pairs) - pairs.sum() / n) * n / (n - 1) ** 3
    square = pairs.mean()
    return float(np.clip(variance / square, LEAST, 1.0)) if square > 0 else 1.0


def _rms(values: np.ndarray) -> np.ndarray:
    """Return the root mean square over the known rows, NaN where there are none."""
    return np.sqrt(_mean(values**2))


def _mean(values: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    count = known.sum(0)
    return np.where(count > 0, np.where(known, values, 0).sum(0) / np.maximum(count, 1), np.nan)
