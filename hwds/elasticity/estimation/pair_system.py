"""The quadratic likelihood of the slopes of substitutes' prices, by product, and their posterior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.elasticity.estimation.crossed import VAGUE, Groups
from hwds.elasticity.estimation.layout import Layout, moments
from hwds.elasticity.estimation.slopes import Slopes, shared_shocks


@dataclass(frozen=True, eq=False)
class PairSystem:
    """The quadratic log-likelihood of the slopes b of each product's cells and shared parameters s.

    log L = sum of h'b - b'Ab / 2 - b'Bs over products, plus k's - s'Gs / 2. A product has D slopes: of each of its cells that
    of the own price, then those of its substitutes; what is beyond its cells has no information. s are the shared parameters of
    the layout, then the effects of groups on own elasticities, then those of families on cross elasticities.

    Attributes:
        linear: h, shape (P, D).
        square: A, shape (P, D, D).
        cross: B, shape (P, D, Q).
        shared_linear: k, shape (Q,).
        shared: G, with the prior of the groups, shape (Q, Q).
        own: The variance of what a cell adds to its own elasticity.
        is_own: Which of the D slopes are of own prices, shape (D,).
        same: Which slopes are to the price of the same other product, shape (P, D, D).
        noise: The covariance of errors that shared shocks give to what these say, shape (P, D, D).
        place: Of each cell's slopes of substitutes among those of all products, shape (K, n).
        families: How many there are.
        members: The family of each cell, shape (K,).
        common_slope: The shared parameters of the fit without pairs, shape (q,).
    """

    linear: np.ndarray
    square: np.ndarray
    cross: np.ndarray
    shared_linear: np.ndarray
    shared: np.ndarray
    own: float
    is_own: np.ndarray
    same: np.ndarray
    noise: np.ndarray
    place: np.ndarray
    families: int
    members: np.ndarray
    common_slope: np.ndarray

    @classmethod
    def of(
        cls,
        layout: Layout,
        fit: Slopes,
        groups: Groups,
        prices: np.ndarray,
        family: np.ndarray,
        product: np.ndarray,
        rivals: np.ndarray,
    ) -> PairSystem:
        """Return the moments at the fit; see `cross_prices.pair_slopes`."""
        rows = _Rows.of(layout, fit, prices)
        known = moments(layout, rows.weight, rows.working)
        weighted = rows.columns * rows.weight
        square = np.einsum("akt,bkt->kab", weighted, rows.columns)
        linear = np.einsum("akt,kt->ka", weighted, rows.working)
        dummies, _ = groups.design(layout.cells)
        members = np.unique(family, return_inverse=True)[1]
        member = (members[:, None] == np.arange(int(members.max()) + 1)).astype(float)
        by_group = square[:, :, 0][:, :, None] * dummies[:, None, :]
        by_family = square[:, :, 1:].sum(axis=2)[:, :, None] * member[:, None, :]
        by_column = np.einsum("akt,mkt->kam", weighted, layout.x)
        by_period = np.moveaxis(weighted[:, :, 1:], 0, 1) if layout.by_period else np.zeros((*linear.shape, 0))
        cross = np.concatenate([by_column, by_period, by_group, by_family], axis=2)
        q, beside = len(known.shared_linear), [cross[:, 0].T @ dummies, cross[:, 1:].sum(axis=1).T @ member]
        shared = np.zeros((cross.shape[2],) * 2)
        shared[:, q:] = np.concatenate(beside, axis=1)
        shared[q:, :] = shared[:, q:].T
        shared[:q, :q] = known.shared
        prior = 1 / groups.priors(fit.posterior.deviations)[0]
        shared[np.arange(q, q + len(prior)), np.arange(q, q + len(prior))] += prior
        ends = [known.shared_linear, dummies.T @ linear[:, 0], member.T @ linear[:, 1:].sum(axis=1)]
        width = linear.shape[1]
        blocks = _Blocks.of(product, width)
        pair = np.where(rivals >= 0, product[:, None] * (int(product.max()) + 1) + rivals, -1)
        noise = _noise(rows.scores, np.diagonal(square, axis1=1, axis2=2)[:, 1:], pair, lost=2 + len(layout.x))
        laid = blocks.laid(np.concatenate([np.full((len(pair), 1), -1), pair], axis=1), -1)
        same = (laid[:, :, None] == laid[:, None, :]) & (laid[:, :, None] >= 0)
        errors = blocks.laid(np.concatenate([np.zeros((len(pair), 1)), noise], axis=1))
        return cls(
            blocks.laid(linear),
            blocks.laid_square(square),
            blocks.laid(cross),
            np.concatenate(ends),
            shared,
            float(fit.posterior.deviations[-1] ** 2),
            np.arange(same.shape[1]) % width == 0,
            same,
            np.where(same, errors[:, :, None], 0.0),
            blocks.first[:, None] + np.arange(1, width),
            member.shape[1],
            members,
            fit.posterior.theta,
        )

    def _priors(self, product: float, cell: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the prior covariance of the answers, and of what the data say, each of shape (P, D, D)."""
        answers = np.diag(np.where(self.is_own, self.own, cell**2)) + product**2 * self.same
        return answers, answers + self.noise

    def _solved(self, family: float, whole: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return I + VA of the prior covariance V, the posterior covariance, and precision and linear term of s."""
        factor = np.eye(whole.shape[1]) + whole @ self.square
        inverse = np.linalg.solve(factor, whole)
        flat = self.cross.reshape(-1, self.cross.shape[2])
        matrix = self.shared - flat.T @ (inverse @ self.cross).reshape(flat.shape)
        place = np.arange(len(matrix) - self.families, len(matrix))
        matrix[place, place] += 1 / family**2
        rest = np.einsum("pab,pb->pa", inverse, self.linear)
        return factor, inverse, matrix, self.shared_linear - flat.T @ rest.ravel()

    def log_likelihood(self, family: float, product: float, cell: float) -> float:
        """Return the marginal log-likelihood of the standard deviations of families, pairs of products and of cells."""
        factor, inverse, matrix, linear = self._solved(family, self._priors(product, cell)[1])
        own = 0.5 * float(np.einsum("pa,pab,pb->", self.linear, inverse, self.linear) - np.linalg.slogdet(factor)[1].sum())
        own += 0.5 * float(linear @ np.linalg.solve(matrix, linear)) - 0.5 * float(np.linalg.slogdet(matrix)[1])
        return own - self.families * float(np.log(family))

    def slopes(self, family: float, product: float, cell: float, common: int) -> tuple[np.ndarray, np.ndarray]:
        """Return means and variances of the slopes of substitutes, the means less that of their mean price, shape (K, n).

        Args:
            family: The standard deviation of what families add.
            product: The same of pairs of products.
            cell: The same of pairs of cells.
            common: The place of the slope of the mean price.
        """
        answers, whole = self._priors(product, cell)
        factor, _, matrix, linear = self._solved(family, whole)
        covariance = np.linalg.inv(matrix)
        shared = covariance @ linear
        kept = np.swapaxes(np.linalg.solve(factor, answers), 1, 2)  # answers (I + A whole)^-1
        gain = kept @ self.cross
        mean = (np.einsum("pab,pb->pa", kept, self.linear) - gain @ shared).ravel()[self.place]
        own = np.diagonal(answers - kept @ self.square @ answers, axis1=1, axis2=2).ravel()[self.place]
        load = -gain.reshape(-1, gain.shape[2])[self.place]
        first = len(shared) - self.families + self.members
        load[:, :, common] += 1.0
        load[np.arange(len(load)), :, first] += 1.0
        variance = own + np.einsum("kaq,kaq->ka", load @ covariance, load)
        return mean + shared[first][:, None] + shared[common] - self.common_slope[common], np.maximum(variance, 0.0)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows at the fit.

    Attributes:
        weight, working: Of the quadratic approximation, shape (K, T).
        columns: The own log price, then those of substitutes, less their weighted means in the cell, shape (1 + n, K, T).
        scores: What each row says of the slopes of substitutes, shape (K, n, T).
    """

    weight: np.ndarray
    working: np.ndarray
    columns: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(cls, layout: Layout, fit: Slopes, prices: np.ndarray) -> _Rows:
        """Return the rows at a fit without pairs."""
        used = layout.seen & (fit.mean > 0)
        mean = np.where(used, fit.mean, 1.0)
        share = np.where(used, 1 / (1 + fit.overdispersion * mean), 0.0)
        weight = mean * share / fit.dispersion[:, None]
        working = np.where(used, np.log(mean) + (layout.units - mean) / mean, 0.0)
        if layout.own is not None:
            working = working - np.where(used, fit.own[:, None] * layout.x[layout.own], 0.0)
        columns = np.concatenate([layout.log_price[None], prices])
        columns = columns - (weight * columns).sum(axis=2, keepdims=True) / np.maximum(weight.sum(axis=1)[:, None], 1e-300)
        moved = columns[1:]
        if layout.by_period:
            moved = moved - (weight * moved).sum(axis=1, keepdims=True) / np.maximum(weight.sum(axis=0), 1e-300)
        return cls(weight, working, columns, np.moveaxis(moved * (layout.units - mean) * share, 0, 1))


@dataclass(frozen=True, eq=False)
class _Blocks:
    """The places of cells' slopes in blocks of products.

    Attributes:
        first: The place of each cell's first slope among those of all blocks, shape (K,).
        count: Products.
        size: Slopes of a product, D.
    """

    first: np.ndarray
    count: int
    size: int

    @classmethod
    def of(cls, product: np.ndarray, width: int) -> _Blocks:
        """Return the blocks of cells with so many slopes each."""
        counts, order = np.bincount(product), np.argsort(product, kind="stable")
        within = np.empty(len(product), np.int64)
        within[order] = np.arange(len(product)) - (np.cumsum(counts) - counts)[product[order]]
        size = int(counts.max()) * width
        return cls(product * size + within * width, len(counts), size)

    def laid(self, values: np.ndarray, beyond: float = 0) -> np.ndarray:
        """Return values by slope of each cell, shape (K, width, ...), in blocks, shape (P, D, ...)."""
        out = np.full((self.count * self.size, *values.shape[2:]), beyond, values.dtype)
        out[self.first[:, None] + np.arange(values.shape[1])] = values
        return out.reshape(self.count, self.size, *values.shape[2:])

    def laid_square(self, values: np.ndarray) -> np.ndarray:
        """Return matrices of cells, shape (K, width, width), on the diagonals of blocks, shape (P, D, D)."""
        width = values.shape[1]
        out = np.zeros((self.count, self.size, self.size))
        block, start = np.divmod(self.first, self.size)
        inside = start[:, None] + np.arange(width)
        out[block[:, None, None], inside[:, :, None], inside[:, None, :]] = values
        return out


def _noise(scores: np.ndarray, precision: np.ndarray, pair: np.ndarray, lost: int) -> np.ndarray:
    """Return the variance of the error that shared shocks give to what all cells of a pair of products say, shape (K, n).

    One ratio of variances for all pairs (`shared_shocks`), over the precision of each.

    Args:
        scores: Shape (K, n, T).
        precision: Of each slope, shape (K, n).
        pair: The pair of products, -1 for none, shape (K, n).
        lost: Degrees of freedom of a pair's periods that the fit has taken.
    """
    there = pair >= 0
    out = np.zeros(pair.shape)
    if not there.any():
        return out
    code = np.unique(pair[there], return_inverse=True)[1]
    ratio = shared_shocks(scores[there], code, lost)
    out[there] = np.minimum((ratio - 1) / np.maximum(np.bincount(code, precision[there]), 1e-9), VAGUE)[code]
    return out
