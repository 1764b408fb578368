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
        own: The column of `x` whose slope deviates by cell, too (promotion); None for none.
    """

    seen: np.ndarray
    units: np.ndarray
    log_price: np.ndarray
    x: np.ndarray
    by_period: bool
    own: int | None = None

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
        own: int | None = None,
    ) -> Layout:
        """Lay out rows; `x` has shape (n, m), `shape` is (K, T)."""
        seen = np.zeros(shape, bool)
        seen[cell, period] = True
        laid = np.zeros((2 + x.shape[1], *shape))
        for place, column in enumerate((units, log_price, *x.T)):
            laid[place, cell, period] = column
        return cls(seen, laid[0], laid[1], laid[2:], by_period, own)

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
class LikelihoodExpansion:
    """The quadratic approximation of a log-likelihood in slopes e and shared parameters t, cell effects profiled out.

    log L = h'e - e'De / 2 - e'Bt + k't - t'Ct / 2, with D diagonal.

    Attributes:
        linear: h, shape (K,).
        precision: D's diagonal, shape (K,).
        cross: B, shape (K, q).
        shared_linear: k, shape (q,).
        shared: C, shape (q, q).
        second: Of a second slope that deviates by cell; None for none.
        constant: What is added to the log-likelihood.
    """

    linear: np.ndarray
    precision: np.ndarray
    cross: np.ndarray
    shared_linear: np.ndarray
    shared: np.ndarray
    second: SecondSlope | None = None
    constant: float = 0.0

    def integrated(self, deviation: float) -> LikelihoodExpansion:
        """Return the moments once deviations d of the second slope, normal with a standard deviation, are integrated out."""
        other = self.second
        if other is None:
            return self
        variance = deviation**2
        kept = variance / (1 + variance * other.precision)
        constant = 0.5 * float(np.sum(kept * other.linear**2) - np.sum(np.log1p(variance * other.precision)))
        mixed = other.cross * kept[:, None]
        return LikelihoodExpansion(
            self.linear - kept * other.price * other.linear,
            self.precision - kept * other.price**2,
            self.cross - mixed * other.price[:, None],
            self.shared_linear - mixed.T @ other.linear,
            self.shared - mixed.T @ other.cross,
            None,
            constant,
        )


@dataclass(frozen=True, eq=False)
class SecondSlope:
    """The moments of the deviations d of a second slope: l'd - d'Pd / 2 - e'cd - d'Bt, with P and c diagonal.

    Attributes:
        linear: l, shape (K,).
        precision: P's diagonal, shape (K,).
        price: c's diagonal: with the slope of price, shape (K,).
        cross: B: with the shared parameters, shape (K, q).
    """

    linear: np.ndarray
    precision: np.ndarray
    price: np.ndarray
    cross: np.ndarray

    def deviations(self, deviation: float, slopes: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """Return the posterior means of the deviations, given slopes of price and shared parameters, shape (K,)."""
        kept = deviation**2 / (1 + deviation**2 * self.precision)
        return np.asarray(kept * (self.linear - self.price * slopes - self.cross @ theta))


def moments(layout: Layout, weight: np.ndarray, working: np.ndarray) -> LikelihoodExpansion:
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
    second = None
    if layout.own is not None:
        own, weighted_own = x[layout.own], xw[layout.own]
        mixed_own = (xw * own).sum(axis=2).T
        by_period = weighted_own[:, 1:] if layout.by_period else weighted_own[:, :0]
        second = SecondSlope(
            (weighted_own * z).sum(axis=1),
            (weighted_own * own).sum(axis=1),
            (weighted_own * price).sum(axis=1),
            np.concatenate([mixed_own, by_period], axis=1),
        )
    ridge = 1e-9 * max(float(np.mean(np.diag(shared))) if len(shared) else 1.0, 1e-12)
    return LikelihoodExpansion(linear, precision, cross, shared_linear, shared + ridge * np.eye(len(shared)), second)
