"""Cross elasticities of pairs of substitutes, shrunk to the mean of their family, beside slopes that were fitted before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.elasticity.estimation.crossed import VAGUE, Groups
from hwds.elasticity.estimation.layout import Layout, moments
from hwds.elasticity.estimation.slopes import Slopes

FAMILY_GRID = np.array([0.02, 0.1, 0.3, 0.8])
PAIR_GRID = np.array([0.02, 0.06, 0.12, 0.25, 0.4, 0.6, 0.9, 1.4])
"""The standard deviations of what families and pairs add that are weighed."""

PRIOR_SCALE = 0.5
"""The scale of the half-normal prior on each."""

UNLIKELY = 1e-3
"""The posterior weight under which standard deviations are not counted."""


@dataclass(frozen=True, eq=False)
class PairSlopes:
    """The slopes of the prices of each cell's substitutes.

    A slope is the elasticity to one substitute's price times the number of substitutes, so that it compares with the one slope
    of their mean price; 0 where there is no such substitute.

    Attributes:
        deviation: Of each slope from that of the mean price, which all cells share, shape (K, n).
        stderr: Of the whole slope, shape (K, n).
        family, pair: Standard deviations of what families and pairs add, posterior means.
    """

    deviation: np.ndarray
    stderr: np.ndarray
    family: float
    pair: float


def pair_slopes(layout: Layout, fit: Slopes, groups: Groups, prices: np.ndarray, family: np.ndarray, common: int) -> PairSlopes:
    """Return the slopes of the prices of substitutes: that of their mean, plus what a family and a pair add.

    Both are normal around 0: a pair of which prices say little has the mean of its family, not 0 (Smith and Griffin 2023,
    Shrinkage priors for high-dimensional demand estimation). What is unknown of their standard deviations, which single pairs
    hardly tell, is averaged over a grid. The likelihood is the quadratic approximation at the fit without pairs; all other
    slopes move along.

    Args:
        layout: The rows, laid out.
        fit: Of the model with the mean price of substitutes.
        groups: Of the prior of own elasticities.
        prices: Log price of each cell's substitutes over the number on sale, 0 where there is none, shape (n, K, T).
        family: The family of each cell, shape (K,).
        common: The place of the slope of the mean price among the shared ones.
    """
    system = _System.of(layout, fit, groups, prices, family)
    tried = [(f, p) for f in (FAMILY_GRID if system.families > 1 else FAMILY_GRID[:1]) for p in PAIR_GRID]
    logs = np.array([system.log_likelihood(f, p) for f, p in tried])
    squares = np.sum((np.array(tried) / PRIOR_SCALE) ** 2, axis=1)
    weights = np.exp(logs - 0.5 * squares - np.max(logs - 0.5 * squares)) * np.prod(_widths(tried), axis=1)
    weights = np.where(weights >= UNLIKELY * weights.sum(), weights, 0.0)
    return _mixed([(w, system.slopes(*each, common)) for w, each in zip(weights / weights.sum(), tried, strict=True) if w > 0])


def _widths(tried: list[tuple[float, float]]) -> np.ndarray:
    """Return how wide the part of the line is that each standard deviation stands for, shape (tried, 2)."""
    widths = [dict(zip(grid.tolist(), np.gradient(grid).tolist(), strict=True)) for grid in (FAMILY_GRID, PAIR_GRID)]
    return np.array([[own[float(value)] for own, value in zip(widths, each, strict=True)] for each in tried])


def _mixed(parts: list[tuple[float, PairSlopes]]) -> PairSlopes:
    """Return the mean and the variance of a mixture of posteriors."""
    mean = sum(weight * each.deviation for weight, each in parts)
    square = sum(weight * (each.stderr**2 + (each.deviation - mean) ** 2) for weight, each in parts)
    family, pair = (sum(weight * getattr(each, name) for weight, each in parts) for name in ("family", "pair"))
    return PairSlopes(np.asarray(mean), np.sqrt(square), float(family), float(pair))


@dataclass(frozen=True, eq=False)
class _System:
    """The quadratic log-likelihood of the slopes of each cell b (own price, then substitutes) and shared parameters s.

    log L = sum of h'b - b'Ab / 2 - b'Bs over cells, plus k's - s'Gs / 2; s are the shared parameters of the layout, then the
    effects of groups on own elasticities, then those of families on cross elasticities.

    Attributes:
        linear: h, shape (K, 1 + n).
        square: A, shape (K, 1 + n, 1 + n).
        cross: B, shape (K, 1 + n, Q).
        shared_linear: k, shape (Q,).
        shared: G, with the prior of the groups, shape (Q, Q).
        own: The variance of what a cell adds to its own elasticity.
        families: How many there are.
        members: The family of each cell, shape (K,).
        there: Whether there is such a substitute, shape (K, n).
        common_slope: The shared parameters of the fit without pairs, shape (q,).
    """

    linear: np.ndarray
    square: np.ndarray
    cross: np.ndarray
    shared_linear: np.ndarray
    shared: np.ndarray
    own: float
    families: int
    members: np.ndarray
    there: np.ndarray
    common_slope: np.ndarray

    @classmethod
    def of(cls, layout: Layout, fit: Slopes, groups: Groups, prices: np.ndarray, family: np.ndarray) -> _System:
        """Return the moments at the fit."""
        used = layout.seen & (fit.mean > 0)
        safe = np.where(used, fit.mean, 1.0)
        weight = np.where(used, safe / (1 + fit.overdispersion * safe), 0.0) / fit.dispersion[:, None]
        working = np.where(used, np.log(safe) + (layout.units - safe) / safe, 0.0)
        if layout.own is not None:
            working = working - np.where(used, fit.own[:, None] * layout.x[layout.own], 0.0)
        total = np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
        columns = np.concatenate([layout.log_price[None], prices])
        columns = columns - (weight * columns).sum(axis=2, keepdims=True) / total
        weighted = columns * weight
        square = np.einsum("akt,bkt->kab", weighted, columns)
        linear = np.einsum("akt,kt->ka", weighted, working)
        known = moments(layout, weight, working)
        by_column = np.einsum("akt,mkt->kam", weighted, layout.x)
        by_period = np.moveaxis(weighted[:, :, 1:], 0, 1) if layout.by_period else np.zeros((*linear.shape, 0))
        dummies, which = groups.design(layout.cells)
        code = np.unique(family, return_inverse=True)[1]
        member = (code[:, None] == np.arange(int(code.max()) + 1)).astype(float)
        substitutes = square[:, :, 1:].sum(axis=2)
        cross = np.concatenate(
            [
                by_column,
                by_period,
                square[:, :, 0][:, :, None] * dummies[:, None, :],
                substitutes[:, :, None] * member[:, None, :],
            ],
            axis=2,
        )
        prior = np.concatenate([[1 / VAGUE], 1 / fit.posterior.deviations[:-1] ** 2])[which + 1]
        q = len(known.shared_linear)
        laid = np.concatenate([dummies, member], axis=1)
        rows = np.concatenate([cross[:, 0][:, None], cross[:, 1:].sum(axis=1)[:, None]], axis=1)
        beside = np.concatenate([rows[:, 0, :].T @ dummies, rows[:, 1, :].T @ member], axis=1)
        shared = np.zeros((q + laid.shape[1],) * 2)
        shared[:, q:] = beside
        shared[q:, :] = beside.T
        shared[:q, :q] = known.shared
        place = np.arange(q, q + len(prior))
        shared[place, place] += prior
        ends = [known.shared_linear, dummies.T @ linear[:, 0], member.T @ linear[:, 1:].sum(axis=1)]
        own = float(fit.posterior.deviations[-1] ** 2)
        there = (np.abs(prices) > 0).any(axis=2).T
        return cls(linear, square, cross, np.concatenate(ends), shared, own, member.shape[1], code, there, fit.posterior.theta)

    def solved(self, family: float, pair: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the inverse precisions of cells, times h and B, and precision and linear term of the shared parameters."""
        cells, width = self.linear.shape
        prior = np.concatenate([[1 / self.own], np.full(width - 1, 1 / pair**2)])
        inverse = np.linalg.inv(self.square + np.diag(prior))
        gain = inverse @ self.cross
        matrix = self.shared - self.cross.reshape(cells * width, -1).T @ gain.reshape(cells * width, -1)
        place = np.arange(len(matrix) - self.families, len(matrix))
        matrix[place, place] += 1 / family**2
        return inverse, gain, matrix, self.shared_linear - np.einsum("kaq,ka->q", gain, self.linear)

    def log_likelihood(self, family: float, pair: float) -> float:
        """Return the marginal log-likelihood of the standard deviations of families and pairs."""
        inverse, _, matrix, linear = self.solved(family, pair)
        own = 0.5 * float(np.einsum("ka,kab,kb->", self.linear, inverse, self.linear))
        scale = self.linear.size // len(self.linear) - 1
        own += 0.5 * float(np.linalg.slogdet(inverse)[1].sum()) - len(self.linear) * scale * float(np.log(pair))
        own += 0.5 * float(linear @ np.linalg.solve(matrix, linear)) - 0.5 * float(np.linalg.slogdet(matrix)[1])
        return own - self.families * float(np.log(family))

    def slopes(self, family: float, pair: float, common: int) -> PairSlopes:
        """Return the posterior of the slopes of substitutes; `common` is the place of that of their mean price."""
        inverse, gain, matrix, linear = self.solved(family, pair)
        covariance = np.linalg.inv(matrix)
        shared = covariance @ linear
        cells = np.arange(len(self.linear))
        first = len(shared) - self.families
        deviation = (np.einsum("kab,kb->ka", inverse, self.linear) - gain @ shared)[:, 1:] + shared[first + self.members][
            :, None
        ]
        load = -gain[:, 1:]
        load[cells, :, common] += 1.0
        load[cells, :, first + self.members] += 1.0
        deviation += shared[common] - self.common_slope[common]
        variance = np.diagonal(inverse, axis1=1, axis2=2)[:, 1:] + np.einsum("kaq,kaq->ka", load @ covariance, load)
        return PairSlopes(np.where(self.there, deviation, 0.0), np.where(self.there, np.sqrt(variance), 0.0), family, pair)
