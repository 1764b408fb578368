"""Slopes of cells around crossed groups: layout, likelihood expansion, empirical Bayes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray

from hwds.elasticity.sweeping import number_groups

# Rows of cells laid out as cells by periods, and the weighted moments of a likelihood's
# quadratic approximation.


@dataclass(frozen=True, eq=False)
class CellLayout:
    """Sales by cell and period; what was not observed has weight 0.

    Attributes:
        seen: Whether a row is there, shape (K, T).
        units: Shape (K, T).
        log_price: Shape (K, T).
        x: Columns with a slope that all cells share, shape (m, K, T).
        by_period: Whether periods have effects.
        own: The column of `x` whose slope deviates by cell, too (promotion); None for none.
    """

    seen: ndarray
    units: ndarray
    log_price: ndarray
    x: ndarray
    by_period: bool
    own: int | None = None

    @classmethod
    def of(
        cls,
        units: ndarray,
        log_price: ndarray,
        x: ndarray,
        cell: ndarray,
        period: ndarray,
        shape: tuple[int, int],
        *,
        by_period: bool,
        own: int | None = None,
    ) -> CellLayout:
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
        """The number of shared parameters: slopes of `x`, then the effects of all periods but the
        first.
        """
        return len(self.x) + (self.seen.shape[1] - 1 if self.by_period else 0)

    def shared_effect(self, theta: ndarray) -> ndarray:
        """Return what shared parameters add to the log mean, shape (K, T)."""
        effect = np.tensordot(theta[: len(self.x)], self.x, 1)
        return effect + np.concatenate([[0.0], theta[len(self.x) :]]) if self.by_period else effect


@dataclass(frozen=True, eq=False)
class LikelihoodExpansion:
    """The quadratic approximation of a log-likelihood in slopes e and shared parameters t, cell
    effects profiled out.

    log L = h'e - e'De / 2 - e'Bt + k't - t'Ct / 2, with D diagonal.

    Attributes:
        linear: h, shape (K,).
        precision: D's diagonal, shape (K,).
        cross: B, shape (K, q).
        shared_linear: k, shape (q,).
        shared: C, shape (q, q).
        second: The moments of a second slope that deviates by cell; None for none.
        constant: What is added to the log-likelihood.
    """

    linear: ndarray
    precision: ndarray
    cross: ndarray
    shared_linear: ndarray
    shared: ndarray
    second: SecondSlope | None = None
    constant: float = 0.0

    def integrated(self, deviation: float) -> LikelihoodExpansion:
        """Return the moments once deviations d of the second slope, normal with a standard
        deviation, are integrated out.
        """
        other = self.second
        if other is None:
            return self
        variance = deviation**2
        kept = variance / (1 + variance * other.precision)
        constant = 0.5 * float(
            np.sum(kept * other.linear**2) - np.sum(np.log1p(variance * other.precision))
        )
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
    """The moments of the deviations d of a second slope: l'd - d'Pd / 2 - e'cd - d'Bt, with P and c
    diagonal.

    Attributes:
        linear: l, shape (K,).
        precision: P's diagonal, shape (K,).
        price: c's diagonal: with the slope of price, shape (K,).
        cross: B: with the shared parameters, shape (K, q).
    """

    linear: ndarray
    precision: ndarray
    price: ndarray
    cross: ndarray

    def deviations(self, deviation: float, slopes: ndarray, theta: ndarray) -> ndarray:
        """Return the posterior means of the deviations, given slopes of price and shared
        parameters, shape (K,).
        """
        kept = deviation**2 / (1 + deviation**2 * self.precision)
        return kept * (self.linear - self.price * slopes - self.cross @ theta)


def centred(values: ndarray, weight: ndarray, axis: int = -1) -> ndarray:
    """Return values, shape (..., K, T), less their weighted means of cells, or of periods where
    `axis` is -2.
    """
    total = np.maximum(weight.sum(axis=axis, keepdims=True), 1e-300)
    return values - (weight * values).sum(axis=axis, keepdims=True) / total


def least_squares_moments(
    layout: CellLayout, weight: ndarray, working: ndarray
) -> LikelihoodExpansion:
    """Return the moments of a weighted least squares of a working response on cell effects, slopes
    and shared parameters.

    Args:
        layout: The rows.
        weight: 0 where nothing was observed, shape (K, T).
        working: Shape (K, T).
    """
    z, price, x = (centred(each, weight) for each in (working, layout.log_price, layout.x))
    weighted = weight * price
    xw = x * weight
    linear, precision = (weighted * z).sum(axis=1), (weighted * price).sum(axis=1)
    cross, shared_linear = (xw * price).sum(axis=2).T, (xw * z).sum(axis=(1, 2))
    shared = np.tensordot(xw, x, axes=([1, 2], [1, 2]))
    if layout.by_period:
        share = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
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
    return LikelihoodExpansion(
        linear, precision, cross, shared_linear, shared + ridge * np.eye(len(shared)), second
    )


# Crossed empirical Bayes: slopes of cells around effects of their family, device and channel,
# variances by likelihood.

VAGUE_VARIANCE = 25.0
"""The prior variance of the mean slope: nothing, for a demand curve."""

LARGEST_DEVIATION, SMALLEST_DEVIATION = 3.0, 0.01
"""The standard deviations between which those of effects are sought."""

MOST_GROUPS = 0.75
"""The groups of a grouping per cell at most: with more, nearly each cell is a group of its own."""

LARGEST_SECOND = 10.0
"""The same for the deviations of a second slope: a promotion that doubles sales here may multiply
them by a hundred there.
"""

PRIOR_SCALE = 0.5
"""The scale of the half-normal prior on each standard deviation, which keeps few levels from a
variance of exactly 0.
"""


LikelihoodParts = LikelihoodExpansion | Sequence[LikelihoodExpansion]
"""A likelihood, or those of parts of the rows, of which each has slopes of its own with the same
standard deviations.
"""


@dataclass(frozen=True, eq=False)
class CrossedGroups:
    """The crossed groups of cells.

    Attributes:
        names: The names of the groupings (`family`, `sku`, `channel`).
        codes: The group of each cell by each grouping, shape (K,).
        noise: Of each group of all groupings in turn the variance of an error that what its cells'
            data say has in common; None for no such errors.
    """

    names: tuple[str, ...]
    codes: tuple[ndarray, ...]
    noise: ndarray | None = None

    @classmethod
    def of(cls, codes: Sequence[tuple[str, ndarray]]) -> CrossedGroups:
        """Return the groupings that tell cells apart but do not name nearly each, and of equal ones
        the first.
        """
        kept: list[tuple[str, ndarray]] = []
        for name, code in codes:
            count = len(np.unique(code))
            same = any(
                len(np.unique(code * (int(other.max()) + 1) + other)) == count == other.max() + 1
                for _, other in kept
            )
            if 1 < count <= MOST_GROUPS * len(code) and not same:
                kept.append((name, number_groups(code)))
        return cls(tuple(name for name, _ in kept), tuple(code for _, code in kept))

    def design(self, cells: int) -> tuple[ndarray, ndarray]:
        """Return the dummies of the mean and of every group, shape (K, r), and the grouping of each
        column, -1 for the mean.
        """
        columns, which = [np.ones((cells, 1))], [np.full(1, -1)]
        for place, code in enumerate(self.codes):
            count = int(code.max()) + 1
            columns.append((code[:, None] == np.arange(count)).astype(float))
            which.append(np.full(count, place))
        return np.concatenate(columns, axis=1), np.concatenate(which)

    @property
    def noisy(self) -> bool:
        """True where data of a group have an error in common."""
        return self.noise is not None and bool(self.noise.any())

    def with_errors(self) -> Iterator[tuple[str, ndarray, ndarray]]:
        """Yield the name of each grouping, the group of each cell, and the standard deviation of
        each group's common error.
        """
        start = 0
        for name, code in zip(self.names, self.codes, strict=True):
            end = start + int(code.max()) + 1
            yield (
                name,
                code,
                np.zeros(end - start) if self.noise is None else np.sqrt(self.noise[start:end]),
            )
            start = end

    def with_noise(self, code: ndarray, precision: ndarray, ratio: float) -> CrossedGroups:
        """Return the groups, with the error of those that are equal to other ones.

        None where no grouping is.

        Args:
            code: The set of each cell, within which data have an error in common, shape (K,).
            precision: The precision of what each cell's data say, shape (K,).
            ratio: The variance of what a set's data say over that without a common error.
        """
        noise = []
        for own in self.codes:
            same = (
                len(np.unique(own))
                == len(np.unique(code))
                == len(np.unique(own * (int(code.max()) + 1) + code))
            )
            whole = np.bincount(own, precision)
            noise.append(
                np.minimum((ratio - 1) / np.maximum(whole, 1e-9), VAGUE_VARIANCE)
                if same
                else np.zeros(len(whole))
            )
        return replace(self, noise=np.concatenate([[], *noise]))

    def priors(self, deviations: ndarray) -> tuple[ndarray, ndarray]:
        """Return the variance of what data say of the mean and of each group, and the share of it
        that is their own.

        Args:
            deviations: Standard deviations, shape (groupings + 1,).
        """
        counts = [int(code.max()) + 1 for code in self.codes]
        own = np.concatenate([[VAGUE_VARIANCE], np.repeat(deviations[:-1] ** 2, counts)])
        whole = own if self.noise is None else own + np.concatenate([[0.0], self.noise])
        return whole, own / whole


@dataclass(frozen=True, eq=False)
class SlopePosterior:
    """The posterior of all slopes and shared parameters, given variances.

    Attributes:
        slopes: Shape (K,).
        covariance: The covariance of the slopes, shape (K, K).
        theta: The shared parameters, shape (q,).
        theta_covariance: Shape (q, q).
        shared_covariance: Of the slopes with the shared parameters, shape (K, q).
        own_weight: The share of a cell's slope that its own data decide, shape (K,).
        mean: The mean slope and its standard error.
        deviations: The standard deviations of each grouping's effects, then of a cell's own, shape
            (groupings + 1,).
    """

    slopes: ndarray
    covariance: ndarray
    theta: ndarray
    theta_covariance: ndarray
    shared_covariance: ndarray
    own_weight: ndarray
    mean: tuple[float, float]
    deviations: ndarray


def _system(
    known: LikelihoodExpansion, dummies: ndarray, variances: ndarray, deviations: ndarray
) -> tuple[ndarray, ndarray, ndarray, float]:
    """Return precision and linear term of (t, u) with the cells' own deviations integrated out, k,
    and the constant.

    For one cell the integral over e ~ N(m, s) is (1 + s D)^-1/2 exp((l m - D m^2 / 2 + s l^2 / 2) /
    (1 + s D)), with l = h - B t and m = Z u. A group's noise is a part of u: the likelihood knows
    their sum alone.
    """
    own = deviations[-1] ** 2
    k = 1 / (1 + own * known.precision)
    q = len(known.shared_linear)
    prior = 1 / variances
    scaled = dummies * k[:, None]
    matrix = np.empty((q + len(prior),) * 2)
    matrix[:q, :q] = known.shared - own * (known.cross * k[:, None]).T @ known.cross
    matrix[q:, q:] = (scaled * known.precision[:, None]).T @ dummies + np.diag(prior)
    matrix[q:, :q] = scaled.T @ known.cross
    matrix[:q, q:] = matrix[q:, :q].T
    linear = np.concatenate(
        [known.shared_linear - own * known.cross.T @ (k * known.linear), scaled.T @ known.linear]
    )
    constant = (
        known.constant
        + 0.5 * own * float(np.sum(k * known.linear**2))
        + 0.5 * float(np.sum(np.log(k)) + np.sum(np.log(prior)))
    )
    return matrix, linear, k, constant


def log_likelihood(
    known: LikelihoodExpansion,
    groups: CrossedGroups,
    deviations: ndarray,
    *,
    gradient: bool = True,
) -> tuple[float, ndarray]:
    """Return the marginal log-likelihood of the standard deviations, shared parameters integrated
    out under flat priors.

    Its gradient by their logs is, by Fisher's identity, that of the complete likelihood in
    expectation: for a grouping E[u'u] / sd^2 less the number of its groups, each times the share of
    its variance that is no noise.

    Returns:
        The value and, where it is wanted, its gradient, shape (groupings + 1,).
    """
    dummies, which = groups.design(len(known.linear))
    variances, share = groups.priors(deviations)
    matrix, linear, k, constant = _system(known, dummies, variances, deviations)
    factor = np.linalg.cholesky(matrix)
    if not gradient:
        half = np.linalg.solve(factor, linear)
        return constant + 0.5 * float(half @ half) - float(
            np.sum(np.log(np.diag(factor)))
        ), np.zeros(0)
    inverse = np.linalg.inv(matrix)
    solution = inverse @ linear
    value = constant + 0.5 * float(linear @ solution) - float(np.sum(np.log(np.diag(factor))))
    q, own = len(known.shared_linear), deviations[-1] ** 2
    squares = solution[q:] ** 2 + np.diag(inverse)[q:]
    gain = (
        np.concatenate([known.cross, dummies * known.precision[:, None]], axis=1)
        * (own * k)[:, None]
    )
    centre = own * k * known.linear - gain @ solution
    spread = own * k + np.einsum("ij,ij->i", gain @ inverse, gain)
    beyond = share * (squares / variances - 1)
    by_group = [np.sum(beyond[which == g]) for g in range(len(deviations) - 1)]
    return value, np.array([*by_group, float(np.sum(centre**2 + spread)) / own - len(k)])


def _minus_log_posterior(
    parts: LikelihoodParts, groups: CrossedGroups, logs: ndarray
) -> tuple[float, ndarray]:
    """Return minus the log posterior density of the logs of standard deviations, half-normal
    before, and its gradient.
    """
    deviations = np.exp(logs)
    squares = (deviations / PRIOR_SCALE) ** 2
    several = [parts] if isinstance(parts, LikelihoodExpansion) else parts
    each = [log_likelihood(part, groups, deviations) for part in several]
    value, gradient = sum(one for one, _ in each), np.sum([slope for _, slope in each], axis=0)
    return -value - float(np.sum(logs - 0.5 * squares)), -gradient - 1 + squares


def best_second(known: LikelihoodExpansion, groups: CrossedGroups, deviations: ndarray) -> float:
    """Return the standard deviation of the second slope's deviations with the greatest marginal
    posterior, given the others.
    """
    from scipy.optimize import minimize_scalar

    def loss(log: float) -> float:
        value, _ = log_likelihood(
            known.integrated(float(np.exp(log))), groups, deviations, gradient=False
        )
        return -value - log + 0.5 * (float(np.exp(log)) / PRIOR_SCALE) ** 2

    bounds = (float(np.log(SMALLEST_DEVIATION)), float(np.log(LARGEST_SECOND)))
    return float(
        np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 0.02}).x)
    )


def slope_posterior(
    known: LikelihoodExpansion, groups: CrossedGroups, deviations: ndarray
) -> SlopePosterior:
    """Return the posterior given the standard deviations; see `SlopePosterior`."""
    dummies, _ = groups.design(len(known.linear))
    variances, share = groups.priors(deviations)
    matrix, linear, k, _ = _system(known, dummies, variances, deviations)
    inverse = np.linalg.inv(matrix)
    inverse = (inverse + inverse.T) / 2
    q, own = len(known.shared_linear), deviations[-1] ** 2
    solution = inverse @ linear
    gain = np.concatenate(
        [-own * known.cross * k[:, None], dummies * (k[:, None] - 1 + share)], axis=1
    )
    slopes = own * k * known.linear + gain @ solution
    moved = gain @ inverse
    covariance = moved @ gain.T
    if groups.noisy:
        covariance += (dummies * (variances * share * (1 - share))) @ dummies.T
    covariance[np.diag_indices_from(covariance)] += own * k
    return SlopePosterior(
        slopes,
        covariance,
        solution[:q],
        inverse[:q, :q],
        moved[:, :q],
        1 - k,
        (float(solution[q]), float(np.sqrt(inverse[q, q]))),
        deviations,
    )


def best_deviations(
    known: LikelihoodParts, groups: CrossedGroups, start: ndarray | None = None
) -> ndarray:
    """Return the standard deviations with the greatest marginal posterior, shape (groupings + 1,).

    Each has a half-normal prior with scale `PRIOR_SCALE`: of a grouping with few groups the
    likelihood alone is often greatest at 0, which would say that its effects are known to be equal
    (Chung et al. 2013, A nondegenerate penalized likelihood estimator).
    """
    from scipy.optimize import minimize

    begin = (
        np.full(len(groups.names) + 1, 0.3)
        if start is None
        else np.clip(start, 2 * SMALLEST_DEVIATION, LARGEST_DEVIATION / 2)
    )

    def loss(logs: ndarray) -> tuple[float, ndarray]:
        return _minus_log_posterior(known, groups, logs)

    bounds = [(float(np.log(SMALLEST_DEVIATION)), float(np.log(LARGEST_DEVIATION)))] * len(begin)
    options = {"maxiter": 60, "ftol": 1e-9, "gtol": 1e-3}
    return np.exp(
        minimize(loss, np.log(begin), jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    )
