"""Cross elasticities of pairs of substitutes, shrunk to their family, beside slopes of own
prices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product as every

import numpy as np
from numpy import ndarray

from hwds.elasticity.crossed import (
    VAGUE_VARIANCE,
    CellLayout,
    CrossedGroups,
    centred,
    least_squares_moments,
)
from hwds.elasticity.design import CROSS, DemandDesign, substitute_places
from hwds.elasticity.fitted import CrossPairs, Estimates, named_notes, shared_slope
from hwds.elasticity.models.base import demand_levels
from hwds.elasticity.slopes import FittedSlopes, shared_shocks
from hwds.elasticity.sweeping import number_groups

# What rows say of the slopes of substitutes' prices, cell by cell, and what pairs of products
# share.


@dataclass(frozen=True, eq=False)
class PairMoments:
    """The quadratic log-likelihood of the slopes b of each cell and shared parameters s.

    log L = sum of h'b - b'Ab / 2 - b'Bs over cells, plus k's - s'Gs / 2. A cell has W slopes: of
    its own price, then those of its substitutes. s are the shared parameters of the layout, then
    the effects of groups on own elasticities, then those of families on cross elasticities.

    Attributes:
        square: A, shape (K, W, W).
        terms: B, and h as the last column, shape (K, W, Q + 1).
        shared: G, with the prior of the groups, k as the last row and column, and 0 in the corner,
            shape (Q + 1, Q + 1).
        own: The variance of what a cell adds to its own elasticity.
        pairs: Which slopes are to the price of the same other product.
        noise: The variance of the error that shared shocks give to what all cells say of a pair,
            shape (P, R).
        families: How many there are.
        members: The family of each cell, shape (K,).
        common_slope: The shared parameters of the fit without pairs, shape (q,).
    """

    square: ndarray
    terms: ndarray
    shared: ndarray
    own: float
    pairs: ProductPairs
    noise: ndarray
    families: int
    members: ndarray
    common_slope: ndarray

    @classmethod
    def of(
        cls,
        layout: CellLayout,
        fit: FittedSlopes,
        groups: CrossedGroups,
        prices: ndarray,
        family: ndarray,
        product: ndarray,
        rivals: ndarray,
    ) -> PairMoments:
        """Return the moments at the fit.

        Args:
            layout: The rows, laid out.
            fit: The fit of the model with the mean price of substitutes.
            groups: The groups of the prior of own elasticities.
            prices: Log price of each cell's substitutes over the number on sale, 0 where there is
                none, shape (n, K, T).
            family: The family of each cell, shape (K,).
            product: The product of each cell, from 0, shape (K,).
            rivals: The product of each cell's substitutes, -1 beyond their number, shape (K, n).
        """
        rows, pairs = _PairRows.of(layout, fit, prices), ProductPairs.of(product, rivals)
        square = np.einsum("akt,bkt->kab", rows.columns * rows.weight, rows.columns)
        members = number_groups(family)
        effects = _group_effects(groups.design(layout.cells)[0], members, square.shape[1])
        terms = _pair_terms(layout, rows, square @ effects)
        shared = _shared_moments(
            layout, rows, terms, effects, 1 / groups.priors(fit.posterior.deviations)[0]
        )
        noise = _shock_variance(
            rows.scores, np.diagonal(square, axis1=1, axis2=2)[:, 1:], pairs, lost=2 + len(layout.x)
        )
        own, common = float(fit.posterior.deviations[-1] ** 2), fit.posterior.theta
        return cls(
            square, terms, shared, own, pairs, noise, int(members.max()) + 1, members, common
        )


@dataclass(frozen=True, eq=False)
class ProductPairs:
    """The pairs of products that slopes of cells belong to: at most R of each of P products.

    Attributes:
        product: The product of each cell, from 0, shape (K,).
        place: The pair of each slope of a substitute among its product's, -1 for none, shape (K,
            n).
        slopes: 1 where a slope of a cell is of a pair, else 0, shape (K, 1 + n, R).
    """

    product: ndarray
    place: ndarray
    slopes: ndarray

    @classmethod
    def of(cls, product: ndarray, rivals: ndarray) -> ProductPairs:
        """Return the pairs of cells' products, shape (K,), and those of their substitutes, -1 for
        none, shape (K, n).
        """
        product, there = number_groups(product), rivals >= 0
        first = np.broadcast_to(product[:, None], rivals.shape)[there]
        codes, code = np.unique(np.stack([first, rivals[there]]), axis=1, return_inverse=True)
        place = np.full(rivals.shape, -1)
        place[there] = (np.arange(codes.shape[1]) - np.searchsorted(codes[0], codes[0]))[
            code.ravel()
        ]
        own = np.full((len(place), 1), -1)
        slopes = np.concatenate([own, place], axis=1)[:, :, None] == np.arange(
            place.max(initial=-1) + 1
        )
        return cls(product, place, slopes.astype(float))

    def summed(self, values: ndarray) -> ndarray:
        """Return sums by pair of values of slopes, shape (K, 1 + n, m): shape (P, R, m)."""
        order = np.argsort(self.product, kind="stable")
        starts = np.searchsorted(self.product[order], np.arange(self.product.max() + 1))
        return np.add.reduceat((np.swapaxes(self.slopes, 1, 2) @ values)[order], starts, axis=0)

    def spread(self, values: ndarray) -> ndarray:
        """Return for each slope the values of its pair, shape (P, R, m), 0 where it is of none:
        shape (K, 1 + n, m).
        """
        return self.slopes @ values[self.product]


@dataclass(frozen=True, eq=False)
class _PairRows:
    """The rows at the fit.

    Attributes:
        weight, working: Of the quadratic approximation, shape (K, T).
        columns: The own log price, then those of substitutes, less their weighted means in the
            cell, shape (1 + n, K, T).
        scores: What each row says of the slopes of substitutes, shape (K, n, T).
    """

    weight: ndarray
    working: ndarray
    columns: ndarray
    scores: ndarray

    @classmethod
    def of(cls, layout: CellLayout, fit: FittedSlopes, prices: ndarray) -> _PairRows:
        """Return the rows at a fit without pairs."""
        used = layout.seen & (fit.mean > 0)
        mean = np.where(used, fit.mean, 1.0)
        share = np.where(used, 1 / (1 + fit.overdispersion * mean), 0.0)
        weight = mean * share / fit.dispersion[:, None]
        working = np.where(used, np.log(mean) + (layout.units - mean) / mean, 0.0)
        if layout.own is not None:
            working = working - np.where(used, fit.own[:, None] * layout.x[layout.own], 0.0)
        columns = np.concatenate([layout.log_price[None], prices])
        columns = centred(columns, weight)
        moved = centred(columns[1:], weight, -2) if layout.by_period else columns[1:]
        return cls(
            weight, working, columns, np.moveaxis(moved * (layout.units - mean) * share, 0, 1)
        )


def _group_effects(dummies: ndarray, members: ndarray, width: int) -> ndarray:
    """Return what the effects of groups and of families add to each slope, per unit, shape (K,
    width, groups + families).
    """
    out = np.zeros((len(members), width, dummies.shape[1] + int(members.max()) + 1))
    out[:, 0, : dummies.shape[1]] = dummies
    out[np.arange(len(members)), 1:, dummies.shape[1] + members] = 1.0
    return out


def _pair_terms(layout: CellLayout, rows: _PairRows, by_effect: ndarray) -> ndarray:
    """Return B, whose last columns are given, and h, shape (K, W, Q + 1)."""
    weighted = rows.columns * rows.weight
    by_column = np.einsum("akt,mkt->kam", weighted, layout.x)
    by_period = (
        np.moveaxis(weighted[:, :, 1:], 0, 1)
        if layout.by_period
        else np.zeros((*by_column.shape[:2], 0))
    )
    linear = np.einsum("akt,kt->ka", weighted, rows.working)
    return np.concatenate([by_column, by_period, by_effect, linear[:, :, None]], axis=2)


def _shared_moments(
    layout: CellLayout, rows: _PairRows, terms: ndarray, effects: ndarray, prior: ndarray
) -> ndarray:
    """Return G and k, with the precision of the prior of the groups' effects, shape (Q + 1, Q +
    1).
    """
    known = least_squares_moments(layout, rows.weight, rows.working)
    q, size = len(known.shared_linear), terms.shape[2]
    out = np.zeros((size, size))
    out[:, q:-1] = np.tensordot(terms, effects, ((0, 1), (0, 1)))
    out[:q, :q], out[:q, -1] = known.shared, known.shared_linear
    out[q:] = out[:, q:].T
    place = q + np.arange(len(prior))
    out[place, place] += prior
    return out


def _shock_variance(scores: ndarray, precision: ndarray, pairs: ProductPairs, lost: int) -> ndarray:
    """Return the variance of the error that shared shocks give to what all cells say of a pair of
    products, shape (P, R).

    One ratio of variances for all pairs (`shared_shocks`), over the precision of each.

    Args:
        scores: Shape (K, n, T).
        precision: The precision of each slope, shape (K, n).
        pairs: The pairs of products.
        lost: Degrees of freedom of a pair's periods that the fit has taken.
    """
    there = pairs.place >= 0
    out = np.zeros((int(pairs.product.max()) + 1, pairs.slopes.shape[2]))
    if not there.any():
        return out
    first = np.broadcast_to(pairs.product[:, None], there.shape)[there]
    codes, code = np.unique(first * out.shape[1] + pairs.place[there], return_inverse=True)
    ratio = shared_shocks(scores[there], code, lost)
    out.flat[codes] = np.minimum(
        (ratio - 1) / np.maximum(np.bincount(code, precision[there]), 1e-9), VAGUE_VARIANCE
    )
    return out


# The marginal likelihood and the posterior of the slopes of substitutes' prices, given what
# families, pairs and cells may add.
# A slope is what its cell adds, normal and independent, plus the effect of its pair of
# products, which all channels share. Given the effects of pairs, cells are independent: all
# work is in matrices of one cell's slopes and of one product's pairs (Woodbury).


@dataclass(frozen=True, eq=False)
class PairSystem:
    """The posterior of moments, by the standard deviations of what families, pairs of products and
    cells add.

    Attributes:
        moments: What the rows say.
        within: The moments given each standard deviation of what cells add.
    """

    moments: PairMoments
    within: dict[float, _PairEffects]

    @classmethod
    def of(cls, moments: PairMoments, cells: ndarray) -> PairSystem:
        """Return the system of moments, for some standard deviations of what pairs of cells add."""
        return cls(moments, {cell: _PairEffects.of(moments, cell) for cell in cells.tolist()})

    def log_likelihoods(self, families: ndarray, product: float, cell: float) -> ndarray:
        """Return the marginal log-likelihoods of standard deviations of families, given those of
        pairs and cells.
        """
        within, variance = self.within[cell], product**2 + self.moments.noise
        left = within.left(self.moments, variance)
        matrices, linear = self._precisions(left, families), left[:-1, -1]
        gains = [float(linear @ np.linalg.solve(matrix, linear)) for matrix in matrices]
        fixed = -left[-1, -1] - within.log_determinant(variance)
        logs = 0.5 * (fixed + np.array(gains) - np.linalg.slogdet(matrices)[1])
        return logs - self.moments.families * np.log(families)

    def _precisions(self, left: ndarray, families: ndarray) -> ndarray:
        """Return the precision of s by the standard deviation of families, shape (families, Q,
        Q).
        """
        out = np.repeat(left[None, :-1, :-1], len(families), axis=0)
        place = np.arange(out.shape[1] - self.moments.families, out.shape[1])
        out[:, place, place] += 1 / families[:, None] ** 2
        return out

    def slopes(
        self, families: ndarray, product: float, cell: float, common: int
    ) -> tuple[ndarray, ndarray]:
        """Return means and variances of the slopes of substitutes, means less that of the mean
        price, shape (families, K, n).

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
        means = [
            answers[:, :, -1] - moments.common_slope[common] + load @ (each @ left[:-1, -1])
            for each in covariances
        ]
        variances = [own + _row_products(load @ each, load) for each in covariances]
        return np.array(means), np.maximum(variances, 0.0)


@dataclass(frozen=True, eq=False)
class _PairEffects:
    """What the moments say of the effects of pairs and of s, with what cells add integrated out.

    With D the prior variances of what a cell adds, X the terms and Z which slopes are of which
    pair:

    Attributes:
        prior: D, shape (1 + n,).
        square: E = A (I + D A)^-1, shape (K, 1 + n, 1 + n).
        rest: (I + A D)^-1 X, shape (K, 1 + n, Q + 1).
        taken: The sum of X'(D^-1 + A)^-1 X over cells, shape (Q + 1, Q + 1).
        logs: The sum of log |I + D A| over cells.
        precision: Z'EZ, of the effects of pairs, shape (P, R, R).
        terms: Z' (I + A D)^-1 X, shape (P, R, Q + 1).
    """

    prior: ndarray
    square: ndarray
    rest: ndarray
    taken: ndarray
    logs: float
    precision: ndarray
    terms: ndarray

    @classmethod
    def of(cls, moments: PairMoments, cell: float) -> _PairEffects:
        """Return them for a standard deviation of what a cell adds to a slope of a substitute."""
        prior = np.full(moments.square.shape[1], cell**2)
        prior[0] = moments.own
        factor = np.eye(len(prior)) + moments.square * prior
        square, rest = (np.linalg.solve(factor, each) for each in (moments.square, moments.terms))
        taken = _cross_products(moments.terms, prior[:, None] * rest)
        precision = moments.pairs.summed(square @ moments.pairs.slopes)
        logs = float(np.linalg.slogdet(factor)[1].sum())
        return cls(prior, square, rest, taken, logs, precision, moments.pairs.summed(rest))

    def _factor(self, variance: ndarray) -> ndarray:
        """Return I + S Z'EZ of the prior variances S of pairs' effects, shape (P, R, R)."""
        return np.eye(variance.shape[1]) + variance[:, :, None] * self.precision

    def _covariance(self, variance: ndarray) -> ndarray:
        """Return the posterior covariance of pairs' effects given s, shape (P, R, R)."""
        return np.linalg.solve(
            self._factor(variance), variance[:, :, None] * np.eye(variance.shape[1])
        )

    def log_determinant(self, variance: ndarray) -> float:
        """Return log |I + V A| of the prior covariance V of all slopes, with pairs' prior
        variances, shape (P, R).
        """
        return self.logs + float(np.linalg.slogdet(self._factor(variance))[1].sum())

    def left(self, moments: PairMoments, variance: ndarray) -> ndarray:
        """Return the shared moments with all slopes integrated out, shape (Q + 1, Q + 1)."""
        return (
            moments.shared
            - self.taken
            - _cross_products(self.terms, self._covariance(variance) @ self.terms)
        )

    def answers(self, moments: PairMoments, effect: float) -> tuple[ndarray, ndarray]:
        """Return the answers of substitutes' slopes to the terms, shape (K, n, Q + 1), and
        variances given s, shape (K, n).

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
        inside = np.diagonal(self.square, axis1=1, axis2=2) - _row_products(
            loads @ covariance[pairs.product], loads
        )
        between = _row_products(loads @ beside[pairs.product], pairs.slopes)
        precision = np.diagonal(self.precision @ beside, axis1=1, axis2=2)[:, :, None]
        known = (
            self.prior**2 * inside
            + 2 * self.prior * effect * between
            + effect**2 * pairs.spread(precision)[:, :, 0]
        )
        prior = self.prior + effect * pairs.slopes.sum(axis=2)
        return mean[:, 1:], (prior - known)[:, 1:]


def _cross_products(left: ndarray, right: ndarray) -> ndarray:
    """Return the sum of left'right over all rows of stacks, shape (m, m)."""
    return left.reshape(-1, left.shape[2]).T @ right.reshape(-1, right.shape[2])


def _row_products(left: ndarray, right: ndarray) -> ndarray:
    """Return the products of matching rows, shape (K, 1 + n)."""
    return np.einsum("kar,kar->ka", left, right)


# Cross elasticities of pairs of substitutes, shrunk to the mean of their family, beside slopes
# that were fitted before.

FAMILY_GRID = np.array([0.02, 0.1, 0.3, 0.8])
PRODUCT_GRID = np.array([0.02, 0.1, 0.2, 0.35, 0.6, 0.9, 1.4])
CELL_GRID = np.array([0.02, 0.1, 0.2, 0.35, 0.6, 0.9])
"""The standard deviations of what families, products and cells add that are weighed."""

PRIOR_SCALES = np.array([0.5, 1.0, 0.5])
"""The scales of the half-normal prior on each."""

AWAY_FROM_ZERO = np.array([0.0, 1.0, 0.0])
"""The power of each standard deviation that its prior is multiplied by (Chung et al. 2013).

A product's few substitutes differ in how near they are, and data that say little must not make them
equal.
"""

UNLIKELY_WEIGHT = 1e-3
"""The posterior weight under which standard deviations are not counted."""


@dataclass(frozen=True, eq=False)
class PairSlopes:
    """The slopes of the prices of each cell's substitutes.

    A slope is the elasticity to one substitute's price times the number of substitutes, so that it
    compares with the one slope of their mean price; 0 where there is no such substitute.

    Attributes:
        deviation: Of each slope from that of the mean price, which all cells share, shape (K, n).
        stderr: The standard error of the whole slope, shape (K, n).
        deviations: Standard deviations of what families, pairs of products and pairs of cells add,
            posterior means, shape (3,).
    """

    deviation: ndarray
    stderr: ndarray
    deviations: ndarray


def pair_slopes(moments: PairMoments, prices: ndarray, common: int) -> PairSlopes:
    """Return the slopes of the prices of substitutes: that of their mean, plus what a family, a
    pair and a cell add.

    All are normal around 0: a pair of which prices say little has the mean of its family, not 0
    (Smith and Griffin 2023, Shrinkage priors for high-dimensional demand estimation). A product
    answers to another alike in all channels, but for what each cell adds. Shocks that a product's
    cells share give what they say of a pair an error in common, which is no part of the answer.
    What is unknown of the standard deviations, which single pairs hardly tell, is averaged over a
    grid. The likelihood is the quadratic approximation at the fit without pairs; all other slopes
    move along.

    Args:
        moments: What the rows say.
        prices: Log price of each cell's substitutes over the number on sale, 0 where there is none,
            shape (n, K, T).
        common: The place of the slope of the mean price among the shared ones.
    """
    system = PairSystem.of(moments, CELL_GRID)
    families = FAMILY_GRID if moments.families > 1 else FAMILY_GRID[:1]
    others = list(every(PRODUCT_GRID.tolist(), CELL_GRID.tolist()))
    tried = np.array([(added, *each) for each in others for added in families])
    logs = np.concatenate([system.log_likelihoods(families, *each) for each in others])
    logs = logs + np.log(tried) @ AWAY_FROM_ZERO - 0.5 * np.sum((tried / PRIOR_SCALES) ** 2, axis=1)
    weights = np.exp(logs - logs.max()) * _grid_widths(tried)
    weights = np.where(weights >= UNLIKELY_WEIGHT * weights.sum(), weights, 0.0)
    weights = weights / weights.sum()
    likely = weights > 0
    kept = zip(others, likely.reshape(-1, len(families)), strict=True)
    parts = [system.slopes(families[which], *each, common) for each, which in kept if which.any()]
    means, variances = (np.concatenate(each) for each in zip(*parts, strict=True))
    mean = np.tensordot(weights[likely], means, 1)
    square = np.tensordot(weights[likely], variances + (means - mean) ** 2, 1)
    there = (np.abs(prices) > 0).any(axis=2).T
    return PairSlopes(
        np.where(there, mean, 0.0), np.where(there, np.sqrt(square), 0.0), weights @ tried
    )


def _grid_widths(tried: ndarray) -> ndarray:
    """Return how much of the space each set of standard deviations stands for, shape (tried,)."""
    grids = (FAMILY_GRID, PRODUCT_GRID, CELL_GRID)
    places = [np.searchsorted(grid, column) for grid, column in zip(grids, tried.T, strict=True)]
    return np.prod(
        [np.gradient(grid)[place] for grid, place in zip(grids, places, strict=True)], axis=0
    )


# Estimates with a cross elasticity for each pair of substitutes, added to those with one slope
# for all.


def add_pair_slopes(
    design: DemandDesign, layout: CellLayout, fit: FittedSlopes, estimates: Estimates
) -> Estimates:
    """Return estimates in which each cell answers to each of its substitutes' prices by itself.

    Args:
        design: The rows, with the mean price of substitutes as a column.
        layout: The rows, laid out.
        fit: The fit of the slopes that all cells share.
        estimates: Made of it.
    """
    place, product = design.columns.index(CROSS), design.codes("sku")
    places = substitute_places(design.groups)
    rivals = np.where(places >= 0, product[places], -1)
    prices, groups = design.lay_out_substitutes(), fit.groups or design.crossed
    moments = PairMoments.of(layout, fit, groups, prices, design.codes("family"), product, rivals)
    found = pair_slopes(moments, prices, place)
    spreads = named_notes("sd_cross_", ("family", "product", "pair"), found.deviations)
    slots, own_theta = found.deviation.shape[1], estimates.own_theta
    if own_theta is None:
        own_theta = np.zeros((len(design), design.x.shape[1]))
    own_theta = np.concatenate([own_theta, found.deviation], axis=1)
    theta, none = np.concatenate([estimates.theta, np.zeros(slots)]), np.zeros(slots)
    wide = design.with_pairs()
    return replace(
        estimates,
        level=demand_levels(wide, estimates.slopes, theta, own_theta),
        theta=theta,
        theta_stderr=np.concatenate([estimates.theta_stderr, none]),
        theta_covariance=_pad_matrix(estimates.theta_covariance, slots, slots),
        shared_covariance=_pad_matrix(estimates.shared_covariance, 0, slots),
        own_theta=own_theta,
        pairs=_cross_pairs(design, found, *shared_slope(design, estimates, CROSS)),
        notes=estimates.notes | spreads,
    )


def _pad_matrix(matrix: ndarray | None, rows: int, columns: int) -> ndarray | None:
    return None if matrix is None else np.pad(matrix, ((0, rows), (0, columns)))


def _cross_pairs(
    design: DemandDesign, found: PairSlopes, common: float, error: float
) -> CrossPairs:
    """Return the cross elasticities: slopes over the number of a cell's substitutes."""
    places = substitute_places(design.groups)
    rows, slots = np.nonzero(places >= 0)
    count = (places >= 0).sum(axis=1)[rows]
    stderr = found.stderr[rows, slots]
    own = np.sqrt(np.maximum(stderr**2 - error**2, 0.0))
    value = common + found.deviation[rows, slots]
    return CrossPairs(rows, places[rows, slots], value / count, stderr / count, own / count)
