"""What rows say of the slopes of substitutes' prices, cell by cell, and what pairs of products share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.elasticity.estimation.crossed import VAGUE, Groups
from hwds.elasticity.estimation.layout import Layout, moments
from hwds.elasticity.estimation.slopes import Slopes, shared_shocks


@dataclass(frozen=True, eq=False)
class PairMoments:
    """The quadratic log-likelihood of the slopes b of each cell and shared parameters s.

    log L = sum of h'b - b'Ab / 2 - b'Bs over cells, plus k's - s'Gs / 2. A cell has W slopes: of its own price, then those of
    its substitutes. s are the shared parameters of the layout, then the effects of groups on own elasticities, then those of
    families on cross elasticities.

    Attributes:
        square: A, shape (K, W, W).
        terms: B, and h as the last column, shape (K, W, Q + 1).
        shared: G, with the prior of the groups, k as the last row and column, and 0 in the corner, shape (Q + 1, Q + 1).
        own: The variance of what a cell adds to its own elasticity.
        pairs: Which slopes are to the price of the same other product.
        noise: The variance of the error that shared shocks give to what all cells say of a pair, shape (P, R).
        families: How many there are.
        members: The family of each cell, shape (K,).
        common_slope: The shared parameters of the fit without pairs, shape (q,).
    """

    square: np.ndarray
    terms: np.ndarray
    shared: np.ndarray
    own: float
    pairs: Pairs
    noise: np.ndarray
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
    ) -> PairMoments:
        """Return the moments at the fit.

        Args:
            layout: The rows, laid out.
            fit: Of the model with the mean price of substitutes.
            groups: Of the prior of own elasticities.
            prices: Log price of each cell's substitutes over the number on sale, 0 where there is none, shape (n, K, T).
            family: The family of each cell, shape (K,).
            product: The product of each cell, from 0, shape (K,).
            rivals: The product of each cell's substitutes, -1 beyond their number, shape (K, n).
        """
        rows, pairs = _Rows.of(layout, fit, prices), Pairs.of(product, rivals)
        square = np.einsum("akt,bkt->kab", rows.columns * rows.weight, rows.columns)
        members = np.unique(family, return_inverse=True)[1]
        effects = _effects(groups.design(layout.cells)[0], members, square.shape[1])
        terms = _terms(layout, rows, square @ effects)
        shared = _shared(layout, rows, terms, effects, 1 / groups.priors(fit.posterior.deviations)[0])
        noise = _noise(rows.scores, np.diagonal(square, axis1=1, axis2=2)[:, 1:], pairs, lost=2 + len(layout.x))
        own, common = float(fit.posterior.deviations[-1] ** 2), fit.posterior.theta
        return cls(square, terms, shared, own, pairs, noise, int(members.max()) + 1, members, common)


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs of products that slopes of cells belong to: at most R of each of P products.

    Attributes:
        product: The product of each cell, from 0, shape (K,).
        place: The pair of each slope of a substitute among its product's, -1 for none, shape (K, n).
        slopes: 1 where a slope of a cell is of a pair, else 0, shape (K, 1 + n, R).
    """

    product: np.ndarray
    place: np.ndarray
    slopes: np.ndarray

    @classmethod
    def of(cls, product: np.ndarray, rivals: np.ndarray) -> Pairs:
        """Return the pairs of cells' products, shape (K,), and those of their substitutes, -1 for none, shape (K, n)."""
        product, there = np.unique(product, return_inverse=True)[1], rivals >= 0
        first = np.broadcast_to(product[:, None], rivals.shape)[there]
        codes, code = np.unique(np.stack([first, rivals[there]]), axis=1, return_inverse=True)
        place = np.full(rivals.shape, -1)
        place[there] = (np.arange(codes.shape[1]) - np.searchsorted(codes[0], codes[0]))[code.ravel()]
        own = np.full((len(place), 1), -1)
        slopes = np.concatenate([own, place], axis=1)[:, :, None] == np.arange(place.max(initial=-1) + 1)
        return cls(product, place, slopes.astype(float))

    def summed(self, values: np.ndarray) -> np.ndarray:
        """Return sums by pair of values of slopes, shape (K, 1 + n, m): shape (P, R, m)."""
        order = np.argsort(self.product, kind="stable")
        starts = np.searchsorted(self.product[order], np.arange(self.product.max() + 1))
        return np.add.reduceat((np.swapaxes(self.slopes, 1, 2) @ values)[order], starts, axis=0)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Return for each slope the values of its pair, shape (P, R, m), 0 where it is of none: shape (K, 1 + n, m)."""
        return np.asarray(self.slopes @ values[self.product])


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


def _effects(dummies: np.ndarray, members: np.ndarray, width: int) -> np.ndarray:
    """Return what the effects of groups and of families add to each slope, per unit, shape (K, width, groups + families)."""
    out = np.zeros((len(members), width, dummies.shape[1] + int(members.max()) + 1))
    out[:, 0, : dummies.shape[1]] = dummies
    out[np.arange(len(members)), 1:, dummies.shape[1] + members] = 1.0
    return out


def _terms(layout: Layout, rows: _Rows, by_effect: np.ndarray) -> np.ndarray:
    """Return B, whose last columns are given, and h, shape (K, W, Q + 1)."""
    weighted = rows.columns * rows.weight
    by_column = np.einsum("akt,mkt->kam", weighted, layout.x)
    by_period = np.moveaxis(weighted[:, :, 1:], 0, 1) if layout.by_period else np.zeros((*by_column.shape[:2], 0))
    linear = np.einsum("akt,kt->ka", weighted, rows.working)
    return np.concatenate([by_column, by_period, by_effect, linear[:, :, None]], axis=2)


def _shared(layout: Layout, rows: _Rows, terms: np.ndarray, effects: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Return G and k, with the precision of the prior of the groups' effects, shape (Q + 1, Q + 1)."""
    known = moments(layout, rows.weight, rows.working)
    q, size = len(known.shared_linear), terms.shape[2]
    out = np.zeros((size, size))
    out[:, q:-1] = np.tensordot(terms, effects, ((0, 1), (0, 1)))
    out[:q, :q], out[:q, -1] = known.shared, known.shared_linear
    out[q:] = out[:, q:].T
    place = q + np.arange(len(prior))
    out[place, place] += prior
    return out


def _noise(scores: np.ndarray, precision: np.ndarray, pairs: Pairs, lost: int) -> np.ndarray:
    """Return the variance of the error that shared shocks give to what all cells say of a pair of products, shape (P, R).

    One ratio of variances for all pairs (`shared_shocks`), over the precision of each.

    Args:
        scores: Shape (K, n, T).
        precision: Of each slope, shape (K, n).
        pairs: Of products.
        lost: Degrees of freedom of a pair's periods that the fit has taken.
    """
    there = pairs.place >= 0
    out = np.zeros((int(pairs.product.max()) + 1, pairs.slopes.shape[2]))
    if not there.any():
        return out
    first = np.broadcast_to(pairs.product[:, None], there.shape)[there]
    codes, code = np.unique(first * out.shape[1] + pairs.place[there], return_inverse=True)
    ratio = shared_shocks(scores[there], code, lost)
    out.flat[codes] = np.minimum((ratio - 1) / np.maximum(np.bincount(code, precision[there]), 1e-9), VAGUE)
    return out
