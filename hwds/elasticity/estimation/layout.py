"""Rows of cells laid out as cells by periods, and the weighted moments of a likelihood's quadratic approximation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Layout:
    """Sales by cell and period; what was not observed has weight 0.

    Attributes:
        seen: Whether a row is there, shape (K, T).
        units: Shape (K, T).
        log_price: Shape (K, T).
        x: Columns with a slope that all cells share, shape (m, K, T).
        by_period: Whether periods have effects.
    """

    seen: np.ndarray
    units: np.ndarray
    log_price: np.ndarray
    x: np.ndarray
    by_period: bool

    @classmethod
    def of(
        cls,
        units: np.ndarray,
        log_price: np.ndarray,
        x: np.ndarray,
        cell: np.ndarray,
        period: np.ndarray,
        shape: tuple[int, int],
        *,
        by_period: bool,
    ) -> Layout:
        """Lay out rows; `x` has shape (n, m), `shape` is (K, T)."""
        seen = np.zeros(shape, bool)
        seen[cell, period] = True
        laid = np.zeros((2 + x.shape[1], *shape))
        for place, column in enumerate((units, log_price, *x.T)):
            laid[place, cell, period] = column
        return cls(seen, laid[0], laid[1], laid[2:], by_period)

    @property
    def cells(self) -> int:
        """K."""
        return len(self.seen)

    @property
    def shared(self) -> int:
        """The number of shared parameters: slopes of `x`, then the effects of all periods but the first."""
        return len(self.x) + (self.seen.shape[1] - 1 if self.by_period else 0)

    def shared_effect(self, theta: np.ndarray) -> np.ndarray:
        """Return what shared parameters add to the log mean, shape (K, T)."""
        effect = np.tensordot(theta[: len(self.x)], self.x, 1)
        return effect + np.concatenate([[0.0], theta[len(self.x) :]]) if self.by_period else effect


@dataclass(frozen=True, eq=False)
class Moments:
    """The quadratic approximation of a log-likelihood in slopes e and shared parameters t, cell effects profiled out.

    log L = h'e - e'De / 2 - e'Bt + k't - t'Ct / 2, with D diagonal.

    Attributes:
        linear: h, shape (K,).
        precision: D's diagonal, shape (K,).
        cross: B, shape (K, q).
        shared_linear: k, shape (q,).
        shared: C, shape (q, q).
    """

    linear: np.ndarray
    precision: np.ndarray
    cross: np.ndarray
    shared_linear: np.ndarray
    shared: np.ndarray


def moments(layout: Layout, weight: np.ndarray, working: np.ndarray) -> Moments:
    """Return the moments of a weighted least squares of a working response on cell effects, slopes and shared parameters.

    Args:
        layout: The rows.
        weight: 0 where nothing was observed, shape (K, T).
        working: Shape (K, T).
    """
    total = np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)

    def centred(values: np.ndarray) -> np.ndarray:
        return np.asarray(values - (weight * values).sum(axis=-1, keepdims=True) / total)

    z, price, x = centred(working), centred(layout.log_price), centred(layout.x)
    weighted = weight * price
    xw = x * weight
    linear, precision = (weighted * z).sum(axis=1), (weighted * price).sum(axis=1)
    cross, shared_linear = (xw * price).sum(axis=2).T, (xw * z).sum(axis=(1, 2))
    shared = np.tensordot(xw, x, axes=([1, 2], [1, 2]))
    if layout.by_period:
        share = weight / total
        periods = np.diag(weight.sum(axis=0)) - weight.T @ share
        mixed = xw.sum(axis=1)
        shared = np.block([[shared, mixed[:, 1:]], [mixed[:, 1:].T, periods[1:, 1:]]])
        cross = np.concatenate([cross, weighted[:, 1:]], axis=1)
        shared_linear = np.concatenate([shared_linear, (weight * z).sum(axis=0)[1:]])
    ridge = 1e-9 * max(float(np.mean(np.diag(shared))) if len(shared) else 1.0, 1e-12)
    return Moments(linear, precision, cross, shared_linear, shared + ridge * np.eye(len(shared)))
