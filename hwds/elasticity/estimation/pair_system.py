"""The marginal likelihood and the posterior of the slopes of substitutes' prices, given what families, pairs and cells may add.

A slope is what its cell adds, normal and independent, plus the effect of its pair of products, which all channels share. Given
the effects of pairs, cells are independent: all work is in matrices of one cell's slopes and of one product's pairs (Woodbury).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.elasticity.estimation.pair_moments import PairMoments


@dataclass(frozen=True, eq=False)
class PairSystem:
    """The posterior of moments, by the standard deviations of what families, pairs of products and cells add.

    Attributes:
        moments: What the rows say.
        within: The moments given each standard deviation of what cells add.
    """

    moments: PairMoments
    within: dict[float, _Within]

    @classmethod
    def of(cls, moments: PairMoments, cells: np.ndarray) -> PairSystem:
        """Return the system of moments, for some standard deviations of what pairs of cells add."""
        return cls(moments, {cell: _Within.of(moments, cell) for cell in cells.tolist()})

    def log_likelihoods(self, families: np.ndarray, product: float, cell: float) -> np.ndarray:
        """Return the marginal log-likelihoods of standard deviations of families, given those of pairs and cells."""
        within, variance = self.within[cell], product**2 + self.moments.noise
        left = within.left(self.moments, variance)
        matrices, linear = self._precisions(left, families), left[:-1, -1]
        gains = [float(linear @ np.linalg.solve(matrix, linear)) for matrix in matrices]
        fixed = -left[-1, -1] - within.log_determinant(variance)
        logs = 0.5 * (fixed + np.array(gains) - np.linalg.slogdet(matrices)[1])
        return np.asarray(logs - self.moments.families * np.log(families))

    def _precisions(self, left: np.ndarray, families: np.ndarray) -> np.ndarray:
        """Return the precision of s by the standard deviation of families, shape (families, Q, Q)."""
        out = np.repeat(left[None, :-1, :-1], len(families), axis=0)
        place = np.arange(out.shape[1] - self.moments.families, out.shape[1])
        out[:, place, place] += 1 / families[:, None] ** 2
        return out

    def slopes(self, families: np.ndarray, product: float, cell: float, common: int) -> tuple[np.ndarray, np.ndarray]:
        """Return means and variances of the slopes of substitutes, means less that of the mean price, shape (families, K, n).

        Args:
            families: Standard deviations of what families add.
            product: One of pairs of products.
            cell: One of pairs of cells.
            common: The place of the slope of the mean price.
        """
        moments, within = self.moments, self.within[cell]
        left = within.left(moments, product**2 + moments.noise)
        answers, own = within.answers(moments, product**2)
        load, first = -answers[:, :, :-1], left.shape[0] - 1 - moments.families + moments.members
        load[:, :, common] += 1.0
        load[np.arange(len(load)), :, first] += 1.0
        covariances = np.linalg.inv(self._precisions(left, families))
        means = [answers[:, :, -1] - moments.common_slope[common] + load @ (each @ left[:-1, -1]) for each in covariances]
        variances = [own + _rowwise(load @ each, load) for each in covariances]
        return np.array(means), np.maximum(variances, 0.0)


@dataclass(frozen=True, eq=False)
class _Within:
    """What the moments say of the effects of pairs and of s, with what cells add integrated out.

    With D the prior variances of what a cell adds, X the terms and Z which slopes are of which pair:

    Attributes:
        prior: D, shape (1 + n,).
        square: E = A (I + D A)^-1, shape (K, 1 + n, 1 + n).
        rest: (I + A D)^-1 X, shape (K, 1 + n, Q + 1).
        taken: The sum of X'(D^-1 + A)^-1 X over cells, shape (Q + 1, Q + 1).
        logs: The sum of log |I + D A| over cells.
        precision: Z'EZ, of the effects of pairs, shape (P, R, R).
        terms: Z' (I + A D)^-1 X, shape (P, R, Q + 1).
    """

    prior: np.ndarray
    square: np.ndarray
    rest: np.ndarray
    taken: np.ndarray
    logs: float
    precision: np.ndarray
    terms: np.ndarray

    @classmethod
    def of(cls, moments: PairMoments, cell: float) -> _Within:
        """Return them for a standard deviation of what a cell adds to a slope of a substitute."""
        prior = np.full(moments.square.shape[1], cell**2)
        prior[0] = moments.own
        factor = np.eye(len(prior)) + moments.square * prior
        square, rest = np.linalg.solve(factor, moments.square), np.linalg.solve(factor, moments.terms)
        taken = _crossed(moments.terms, prior[:, None] * rest)
        precision, logs = moments.pairs.summed(square @ moments.pairs.slopes), float(np.linalg.slogdet(factor)[1].sum())
        return cls(prior, square, rest, taken, logs, precision, moments.pairs.summed(rest))

    def _factor(self, variance: np.ndarray) -> np.ndarray:
        """Return I + S Z'EZ of the prior variances S of pairs' effects, shape (P, R, R)."""
        return np.eye(variance.shape[1]) + variance[:, :, None] * self.precision

    def _covariance(self, variance: np.ndarray) -> np.ndarray:
        """Return the posterior covariance of pairs' effects given s, shape (P, R, R)."""
        return np.linalg.solve(self._factor(variance), variance[:, :, None] * np.eye(variance.shape[1]))

    def log_determinant(self, variance: np.ndarray) -> float:
        """Return log |I + V A| of the prior covariance V of all slopes, with pairs' prior variances, shape (P, R)."""
        return self.logs + float(np.linalg.slogdet(self._factor(variance))[1].sum())

    def left(self, moments: PairMoments, variance: np.ndarray) -> np.ndarray:
        """Return the shared moments with all slopes integrated out, shape (Q + 1, Q + 1)."""
        return moments.shared - self.taken - _crossed(self.terms, self._covariance(variance) @ self.terms)

    def answers(self, moments: PairMoments, effect: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the answers of substitutes' slopes to the terms, shape (K, n, Q + 1), and variances given s, shape (K, n).

        The error of shared shocks is in what the data say, and not in the answers.

        Args:
            moments: What the rows say.
            effect: The variance of pairs' effects without the noise.
        """
        pairs, covariance = moments.pairs, self._covariance(effect + moments.noise)
        beside = np.eye(covariance.shape[1]) - covariance @ self.precision
        by_pair = np.swapaxes(beside, 1, 2) @ self.terms
        loads = self.square @ pairs.slopes
        by_cell = self.rest - loads @ (covariance @ self.terms)[pairs.product]
        mean = self.prior[:, None] * by_cell + effect * pairs.spread(by_pair)
        inside = np.diagonal(self.square, axis1=1, axis2=2) - _rowwise(loads @ covariance[pairs.product], loads)
        between = _rowwise(loads @ beside[pairs.product], pairs.slopes)
        precision = np.diagonal(self.precision @ beside, axis1=1, axis2=2)[:, :, None]
        known = self.prior**2 * inside + 2 * self.prior * effect * between + effect**2 * pairs.spread(precision)[:, :, 0]
        prior = self.prior + effect * pairs.slopes.sum(axis=2)
        return mean[:, 1:], (prior - known)[:, 1:]


def _crossed(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the sum of left'right over all rows of stacks, shape (m, m)."""
    return np.asarray(left.reshape(-1, left.shape[2]).T @ right.reshape(-1, right.shape[2]))


def _rowwise(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the products of matching rows, shape (K, 1 + n)."""
    return np.asarray(np.einsum("kar,kar->ka", left, right))
