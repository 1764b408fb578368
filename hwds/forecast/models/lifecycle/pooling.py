"""Partial pooling: a ridge regression whose blocks of coefficients are shrunk by as much as the data says."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LEAST, MOST = 1e-8, 1e4
"""Bounds of a block's variance, in noise units."""


class Normal(NamedTuple):
    """The normal equations of a whitened regression: X'X, X'y, y'y and the number of rows."""

    gram: np.ndarray
    moment: np.ndarray
    square: float
    rows: int

    @classmethod
    def of(cls, white: np.ndarray, rows: int) -> Normal:
        """Return the equations of whitened columns, of which the first is the target."""
        product = white.T @ white
        return cls(product[1:, 1:], product[1:, 0], float(product[0, 0]), rows)

    def without(self, other: Normal) -> Normal:
        """Return the equations without the rows of another."""
        return Normal(self.gram - other.gram, self.moment - other.moment, self.square - other.square, self.rows - other.rows)


class Pooled(NamedTuple):
    """A fitted regression.

    Attributes:
        coefficients: Shape (p,).
        covariance: Their posterior covariance in noise units, shape (p, p).
        variances: The prior variance of each block in noise units, shape (blocks,).
        noise: The variance of the noise of one row.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    variances: np.ndarray
    noise: float


def pool(normal: Normal, blocks: np.ndarray, fixed: np.ndarray, start: np.ndarray, noise: float, rounds: int) -> Pooled:
    """Return coefficients and the prior variances of their blocks by the evidence (MacKay 1992, "Bayesian interpolation").

    Args:
        normal: The normal equations.
        blocks: The block of each coefficient, shape (p,).
        fixed: Blocks whose variance is not learned, shape (blocks,), bool.
        start: Prior variances to begin from, in noise units, shape (blocks,).
        noise: The variance of the noise to begin from.
        rounds: How often coefficients and variances are found from each other.
    """
    variances, sizes = start.copy(), np.bincount(blocks, minlength=len(start))
    for _ in range(rounds):
        coefficients, covariance = solve(normal, variances[blocks])
        unsaid = np.bincount(blocks, np.diag(covariance), len(variances)) / variances
        learned = np.maximum(sizes - unsaid, 1e-3)
        size = np.bincount(blocks, coefficients**2, len(variances)) / noise
        variances = np.where(fixed, start, np.clip(size / learned, LEAST, MOST))
        missed = normal.square - 2 * coefficients @ normal.moment + coefficients @ normal.gram @ coefficients
        noise = max(float(missed / max(normal.rows - learned.sum(), 1.0)), 1e-9)
    coefficients, covariance = solve(normal, variances[blocks])
    return Pooled(coefficients, covariance, variances, noise)


def solve(normal: Normal, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients under given prior variances, shape (p,), and their covariance in noise units, shape (p, p)."""
    root = np.sqrt(variances)  # scaled, so that a block of next to no variance does no harm to the condition
    scaled = root[:, None] * normal.gram * root + np.eye(len(root))
    inverse = np.linalg.inv(scaled)
    covariance = root[:, None] * (inverse + inverse.T) / 2 * root
    coefficients: np.ndarray = covariance @ normal.moment
    return coefficients, covariance
