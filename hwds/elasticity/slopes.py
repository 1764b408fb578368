"""Slopes of all cells at once, their priors integrated over, and errors that depend on each
other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray

from hwds.core.errors import DataError
from hwds.elasticity.crossed import (
    LARGEST_DEVIATION,
    PRIOR_SCALE,
    SMALLEST_DEVIATION,
    CellLayout,
    CrossedGroups,
    LikelihoodExpansion,
    SlopePosterior,
    best_deviations,
    best_second,
    centred,
    least_squares_moments,
    log_likelihood,
    slope_posterior,
)
from hwds.elasticity.design import DemandDesign
from hwds.elasticity.sweeping import (
    Sweeper,
    covariance_root,
    free_effects,
    number_groups,
    robust_variance,
)

# The posterior of slopes with the standard deviations of the prior integrated over, for they
# are hardly known.

DEVIATION_SETS = 32
"""The sets of standard deviations that stand for their posterior."""

LINE_VALUES, DENSITY_VALUES = 12, 400
"""The values of one standard deviation that are tried to place the nodes, and those of the density
between them.
"""

FURTHEST_MULTIPLE, LEAST_END = 3.0, 0.6
"""Where that line ends: so many times the value of greatest density, or there where that is more.
"""

FLATTENING_POWER = 0.8
"""The power of the density that nodes are placed by, so that none of the posterior's tails goes
without.
"""

AWAY_FROM_ZERO = 0.5
"""The power of a standard deviation that the half-normal prior is multiplied by.

Under the half-normal prior alone intervals hold 93.0 % of the truth of 40 worlds of `price_sales`
(seeds 100 to 139), with this power 94.8 %, at a smaller error: the quadratic approximation of
counts takes something off the standard deviations of cells. On 60 worlds that had no part in the
choice (seeds 700 to 759) it is 92.9 and 94.7 %, at errors of .4992 and .4977.
"""


def log_prior(deviations: ndarray) -> float:
    """Return the log density of the standard deviations before the data, but for a constant."""
    return float(
        np.sum(AWAY_FROM_ZERO * np.log(deviations) - 0.5 * (deviations / PRIOR_SCALE) ** 2)
    )


def integrate_deviations(
    known: LikelihoodExpansion, groups: CrossedGroups, best: SlopePosterior
) -> SlopePosterior:
    """Return the posterior averaged over that of the standard deviations.

    Their posterior means are its `deviations`.

    A mean over their values shrinks more than one at the best of them: where they may be small, a
    slope that is far from its group may be noise. The values are those of a Kronecker sequence,
    which fills space evenly, mapped to each standard deviation's own density given the best others
    and weighted by the joint density (importance sampling).

    Args:
        known: The likelihood.
        groups: The groups of the prior.
        best: The posterior given the standard deviations of greatest density.
    """
    nodes, weights = _deviation_nodes(known, groups, best.deviations)
    mean, shared = np.zeros_like(best.slopes), np.zeros_like(best.theta)
    square, both, beside = (
        np.zeros_like(each)
        for each in (best.covariance, best.theta_covariance, best.shared_covariance)
    )
    centre, error, own = 0.0, 0.0, np.zeros_like(mean)
    for node, weight in zip(nodes, weights, strict=True):
        part = slope_posterior(known, groups, node)
        slope, theta = part.slopes - best.slopes, part.theta - best.theta
        middle = part.mean[0] - best.mean[0]
        mean += weight * slope
        shared += weight * theta
        centre += weight * middle
        square += weight * (part.covariance + np.outer(slope, slope))
        both += weight * (part.theta_covariance + np.outer(theta, theta))
        beside += weight * (part.shared_covariance + np.outer(slope, theta))
        error += weight * (part.mean[1] ** 2 + middle**2)
        own += weight * part.own_weight
    return replace(
        best,
        slopes=best.slopes + mean,
        covariance=square - np.outer(mean, mean),
        theta=best.theta + shared,
        theta_covariance=both - np.outer(shared, shared),
        shared_covariance=beside - np.outer(mean, shared),
        own_weight=own,
        mean=(float(best.mean[0] + centre), float(np.sqrt(error - centre**2))),
        deviations=weights @ nodes,
    )


def _deviation_nodes(
    known: LikelihoodExpansion, groups: CrossedGroups, best: ndarray
) -> tuple[ndarray, ndarray]:
    """Return values of the standard deviations, shape (N, groupings + 1), and their weights, shape
    (N,).
    """

    def log_density(deviations: ndarray) -> float:
        return log_likelihood(known, groups, deviations, gradient=False)[0] + log_prior(deviations)

    spread = _even_points(len(best))
    nodes, placed = np.empty_like(spread), np.zeros(DEVIATION_SETS)
    for place, value in enumerate(best):
        end = min(max(FURTHEST_MULTIPLE * value, LEAST_END), LARGEST_DEVIATION)
        steps = np.linspace(0, 1, LINE_VALUES) ** 1.5
        line = SMALLEST_DEVIATION + (end - SMALLEST_DEVIATION) * steps
        logs = np.array(
            [log_density(np.where(np.arange(len(best)) == place, each, best)) for each in line]
        )
        fine = np.linspace(line[0], line[-1], DENSITY_VALUES)
        density = np.exp(np.interp(fine, line, FLATTENING_POWER * (logs - logs.max()))) + 1e-3
        below = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
        nodes[:, place] = np.interp(spread[:, place], below / below[-1], fine)
        placed += np.log(np.interp(nodes[:, place], fine, density))
    logs = np.array([log_density(node) for node in nodes]) - placed
    weights = np.exp(logs - logs.max())
    return nodes, weights / weights.sum()


def _even_points(dimensions: int) -> ndarray:
    """Return evenly spread points of the unit cube: Kronecker's sequence of the powers of the root
    of x^(d + 1) = x + 1.
    """
    root = 2.0
    for _ in range(40):
        root = (1 + root) ** (1 / (dimensions + 1))
    return (0.5 + np.arange(DEVIATION_SETS)[:, None] * root ** -np.arange(1, dimensions + 1)) % 1


# Slopes of all cells at once: a quasi-likelihood of counts with cell and period effects, and a
# crossed prior on slopes.

MOST_STEPS = 80
"""Newton steps at most."""

CONVERGED_CHANGE = 1e-6
"""The change of slopes, relative to their size, at which the iteration ends."""

LARGEST_STEP = 4.0
"""The largest change of a log mean in one step."""

NO_PRIOR = 1e3
"""The standard deviation of slopes that stands for no prior."""

MOST_SERIAL, SERIAL_ERRORS = 0.9, 3.0
"""The largest correlation of one period's scores with the next, and the standard errors beyond
which it counts.
"""

DISPERSION_DEGREES = 30.0
"""Degrees of freedom of the dispersion of all cells, to which a cell's own is shrunk."""


@dataclass(frozen=True, eq=False)
class FittedSlopes:
    """The slopes of all cells.

    Attributes:
        posterior: Slopes, shared parameters and their covariances.
        own: Deviations of the second slope by cell, shape (K,); 0 where there is none.
        own_deviation: Their standard deviation; 0 where there is none.
        level: Of each cell the log mean at log price 0, without shared effects; shape (K,), -inf
            where nothing was sold.
        mean: Fitted means, shape (K, T).
        overdispersion: a, with the variance phi (mean + a mean^2).
        dispersion: phi, by cell, shape (K,).
        serial: The part of phi that dependence between a cell's periods makes, at least 1.
        together: By what shocks that a product's cells share in a period raise the variance of its
            slope, at least 1.
        moments: The moments of the last step.
        groups: The groups of the prior, with the errors that shared shocks make; None for no prior.
        steps: The number of steps of the iteration.
    """

    posterior: SlopePosterior
    own: ndarray
    own_deviation: float
    level: ndarray
    mean: ndarray
    overdispersion: float
    dispersion: ndarray
    serial: float
    together: float
    moments: LikelihoodExpansion
    groups: CrossedGroups | None
    steps: int


def fit_slopes(
    layout: CellLayout,
    groups: CrossedGroups | None,
    products: ndarray | None = None,
    *,
    poisson: bool = False,
) -> FittedSlopes:
    """Fit log E[units] = cell effect + period effect + slope x log price + x beta, slopes shrunk to
    crossed groups.

    The quasi-likelihood has the variance phi (mean + a mean^2), with a by Pearson's statistic
    (Breslow 1984): the mean is estimated consistently whatever the law. Slopes have the prior of
    `crossed`; its standard deviations maximise the marginal likelihood of the quadratic
    approximation at the posterior mode, anew at every step (penalised quasi-likelihood, Breslow and
    Clayton 1993). An expansion at the mode, not at a cell's own estimate, is what makes it hold for
    ten rows. At the end the standard deviations are integrated over, for they are hardly known
    (`integrated`). Where the errors of a cell depend on those of the period before, as where its
    level wanders, its rows tell less: phi is larger by `serial_dependence`. Shocks that a product's
    cells share give what they say of its slope an error in common, which more cells do not make
    smaller: it is no part of the answer (`Groups.noise`), and its variance is that of
    `shared_shocks`.

    Args:
        layout: The rows.
        groups: The groups of the prior; None for no prior, each cell by itself.
        products: The product of each cell, whose cells may share shocks, shape (K,); None for no
            such shocks.
        poisson: Take a as 0 (Poisson pseudo-likelihood).

    Raises:
        DataError: Nothing was sold, or there are no more rows than parameters.
    """
    sold = (layout.units * layout.seen).sum(axis=1) > 0
    used = layout.seen & sold[:, None]
    _refuse_few(layout, used, own_slopes=groups is None)
    eta = _first_log_means(layout, used)
    deviations = np.full(len(groups.names) + 1, 0.3) if groups is not None else np.array([NO_PRIOR])
    over, phi, serial, together = 0.0 if poisson else 0.2, np.ones(layout.cells), 1.0, 1.0
    current: SlopePosterior | None = None
    known: LikelihoodExpansion | None = None
    second = 0.0 if layout.own is None or groups is None else 0.5
    own, steps = np.zeros(layout.cells), 0
    for steps in range(1, MOST_STEPS + 1):
        full = _expansion(layout, used, eta, over, phi)
        if (
            groups is not None and steps < 25
        ):  # a variance that goes on moving must not keep the iteration from ending
            second = best_second(full, groups, deviations) if second else 0.0
            deviations = best_deviations(
                full.integrated(second), groups, deviations if steps > 1 else None
            )
        known = full.integrated(second) if second else full
        before = current
        current = slope_posterior(known, groups or CrossedGroups((), ()), deviations)
        if full.second and second:
            own = full.second.deviations(second, current.slopes, current.theta)
        part = _log_means(layout, current, own)
        new = part + _levels(layout, used, part, over)[:, None]
        eta = np.where(used, eta + np.clip(new - eta, -LARGEST_STEP, LARGEST_STEP), 0.0)
        over, phi = _dispersions(layout, used, eta, over, current, poisson=poisson)
        if groups is not None and steps < 25:
            scores = _scores(layout, used, eta, over)
            serial = serial_dependence(scores, used)
            if products is not None:
                together = shared_shocks(scores, products, lost=2 + len(layout.x))
                groups = groups.with_noise(products, known.precision, together)
        phi = phi * serial
        if before is not None and steps > 3:
            change = np.abs(current.slopes - before.slopes) / (1 + np.abs(current.slopes))
            if float(np.max(change)) < CONVERGED_CHANGE:
                break
    assert current is not None
    assert known is not None
    if groups is not None:
        current = integrate_deviations(known, groups, current)
        if full.second and second:
            own = full.second.deviations(second, current.slopes, current.theta)
    level, mean = _fitted_means(layout, used, _log_means(layout, current, own), over)
    together = together if groups is not None and groups.noisy else 1.0
    return FittedSlopes(
        current, own, second, level, mean, over, phi, serial, together, known, groups, steps
    )


def _expansion(
    layout: CellLayout, used: ndarray, eta: ndarray, over: float, phi: ndarray
) -> LikelihoodExpansion:
    """Return the quadratic approximation of the quasi-likelihood at log means `eta`."""
    mean = np.exp(eta)
    weight = np.where(used, mean / (1 + over * mean), 0.0) / phi[:, None]
    return least_squares_moments(
        layout, weight, np.where(used, eta + (layout.units - mean) / mean, 0.0)
    )


def _fitted_means(
    layout: CellLayout, used: ndarray, part: ndarray, over: float
) -> tuple[ndarray, ndarray]:
    """Return the levels of cells, -inf where nothing was sold, and the fitted means, given log
    means without levels.
    """
    sold = used.any(axis=1)
    level = np.where(sold, _levels(layout, used, part, over), -np.inf)
    return level, np.where(
        layout.seen,
        np.exp(np.where(used, part + np.where(sold, level, 0.0)[:, None], -np.inf)),
        0.0,
    )


def _scores(layout: CellLayout, used: ndarray, eta: ndarray, over: float) -> ndarray:
    """Return what each row says of its cell's slope, at log means `eta` and a variance mean + over
    mean^2, shape (K, T).
    """
    mean = np.exp(eta)
    share = np.where(used, 1 / (1 + over * mean), 0.0)
    weight = mean * share
    price = centred(layout.log_price, weight)
    if layout.by_period:
        price = centred(price, weight, -2)
    return price * (layout.units - mean) * share


def serial_dependence(scores: ndarray, used: ndarray) -> float:
    """Return by what the variance of a cell's slope is larger than with independent periods, at
    least 1.

    With c the correlation of what one period and the next say of the slope (their scores), that of
    a first-order autoregression: (1 + c) / (1 - c) (Bartlett 1935). One c for all cells; 1 where it
    is not beyond chance.

    Args:
        scores: Shape (K, T).
        used: The rows that are fitted to, shape (K, T).
    """
    both = used[:, 1:] & used[:, :-1]
    first, second = (np.where(both, part, 0.0) for part in (scores[:, :-1], scores[:, 1:]))
    size = float(np.sqrt(np.sum(first**2) * np.sum(second**2)))
    correlation = float(np.sum(first * second)) / size if size > 0 else 0.0
    if correlation < SERIAL_ERRORS * float(np.sqrt(np.sum((first * second) ** 2))) / max(
        size, 1e-300
    ):
        return 1.0
    correlation = min(correlation, MOST_SERIAL)
    return (1 + correlation) / (1 - correlation)


def shared_shocks(scores: ndarray, products: ndarray, lost: int) -> float:
    """Return by what the variance of a product's slope is larger than with independent cells, at
    least 1.

    The squares of the sums of scores by product and period over those of single rows (Liang and
    Zeger 1986, Longitudinal data analysis using generalized linear models); one ratio for all
    products.

    Args:
        scores: Shape (K, T).
        products: The product of each cell, shape (K,).
        lost: Degrees of freedom of a product's periods that the fit has taken.
    """
    sums = np.zeros((int(products.max()) + 1, scores.shape[1]))
    np.add.at(sums, products, scores)
    periods = (sums != 0).sum(axis=1)
    squares = np.sum(sums**2, axis=1) * periods / np.maximum(periods - lost, 1)
    return max(float(squares.sum()) / max(float(np.sum(scores**2)), 1e-300), 1.0)


def _refuse_few(layout: CellLayout, used: ndarray, *, own_slopes: bool) -> None:
    """Refuse rows that are no more than the effects and slopes to be fitted to them."""
    if not used.any():
        raise DataError("dataset: nothing was sold in any cell.")
    cells, periods = int(used.any(axis=1).sum()), int(used.any(axis=0).sum())
    effects = cells + len(layout.x) + (periods - 1 if layout.by_period else 0)
    fitted, rows = effects + (cells if own_slopes else 1), int(used.sum())
    if rows <= fitted:
        raise DataError(
            f"dataset: {rows} rows for {fitted} parameters: effects of cells and periods, and "
            f"slopes."
        )


def _log_means(layout: CellLayout, current: SlopePosterior, own: ndarray) -> ndarray:
    """Return the log means without cell effects, shape (K, T)."""
    part = current.slopes[:, None] * layout.log_price + layout.shared_effect(current.theta)
    return part if layout.own is None else part + own[:, None] * layout.x[layout.own]


def _first_log_means(layout: CellLayout, used: ndarray) -> ndarray:
    """Return where to begin: logs halfway between units and their cell's mean."""
    count = np.maximum(used.sum(axis=1, keepdims=True), 1)
    mean = (layout.units * used).sum(axis=1, keepdims=True) / count
    return np.where(used, np.log(np.maximum((layout.units + mean) / 2, 1e-12)), 0.0)


def _levels(layout: CellLayout, used: ndarray, part: ndarray, over: float) -> ndarray:
    """Return the cell effects that set each cell's weighted residuals to 0, by Newton's method,
    shape (K,).
    """
    top = np.where(used, layout.units, 0.0).sum(axis=1)
    shift = part.max(axis=1, initial=0.0, where=used)
    scaled = np.where(used, np.exp(part - shift[:, None]), 0.0)
    bottom = scaled.sum(axis=1)
    level = np.log(np.where(top > 0, top, 1.0) / np.where(bottom > 0, bottom, 1.0)) - shift
    if over == 0:
        return level
    for _ in range(30):
        mean = np.where(used, np.exp(part + level[:, None]), 0.0)
        share = 1 / (1 + over * mean)
        score = np.where(used, (layout.units - mean) * share, 0.0).sum(axis=1)
        slope = np.where(used, mean * (1 + over * layout.units) * share**2, 0.0).sum(axis=1)
        step = np.clip(score / np.maximum(slope, 1e-300), -1.0, 1.0)
        level = level + np.where(top > 0, step, 0.0)
        if np.max(np.abs(step[top > 0]), initial=0.0) < 1e-10:
            break
    return level


def _dispersions(
    layout: CellLayout,
    used: ndarray,
    eta: ndarray,
    over: float,
    current: SlopePosterior,
    *,
    poisson: bool,
) -> tuple[float, ndarray]:
    """Return a by Pearson's statistic, and phi by cell: its own shrunk to that of all, of a Poisson
    likelihood one for all.
    """
    mean = np.exp(eta)
    rows = used.sum(axis=1)
    lost = 1 + current.own_weight + len(current.theta) * rows / max(int(rows.sum()), 1)
    free = np.maximum(rows - lost, 0.0)
    squares = np.where(used, (layout.units - mean) ** 2, 0.0)

    def pearson(a: float) -> float:
        return float(np.sum(squares / (mean + a * mean**2), where=used))

    if not poisson:
        over = _dispersion_root(pearson, max(float(free.sum()), 1.0))
    ratio = np.sum(squares / (mean + over * mean**2), axis=1, where=used)
    whole = float(ratio.sum() / max(free.sum(), 1.0))
    phi = (
        np.full(len(rows), whole)
        if poisson
        else (DISPERSION_DEGREES * whole + ratio) / (DISPERSION_DEGREES + free)
    )
    return over, np.maximum(phi, 1e-6)


def _dispersion_root(pearson: Callable[[float], float], goal: float) -> float:
    """Return a with Pearson's statistic at its degrees of freedom, 0 where the units vary less than
    Poisson.
    """
    from scipy.optimize import brentq

    if pearson(0.0) <= goal:
        return 0.0
    high = 1.0
    while pearson(high) > goal and high < 1e6:
        high *= 4
    if pearson(high) > goal:
        return high
    return float(brentq(lambda a: pearson(a) - goal, 0.0, high, xtol=1e-6, rtol=1e-6))


# The part of dependence between errors in the uncertainty of slopes that were fitted as if rows
# were independent.


@dataclass(frozen=True, eq=False)
class SharedError:
    """The variance that dependent errors add.

    Attributes:
        ratio: The clustered variance of the common slope of price over that of independent rows, at
            least 1.
        added: To the covariance of the cells' slopes, shape (K, K).
        theta: What standard errors of the shared slopes are multiplied by, at least 1, shape (m,).
        added_theta: To the covariance of the shared slopes, shape (m, m).
        added_shared: To the covariance of each cell's slope with the shared slopes, the same for
            all cells, shape (m,).
    """

    ratio: float
    added: ndarray
    theta: ndarray
    added_theta: ndarray
    added_shared: ndarray


def shared_error(
    design: DemandDesign, fit: FittedSlopes, cluster: str, *, by_period: bool
) -> SharedError:
    """Return what clustered errors add to the slopes.

    A shock that all channels of a product share in a week does not average out over channels: the
    mean slope of a product is less certain than its rows would have it, although each cell's own is
    not. The ratio of the clustered to the independent variance of the common slope says how much;
    the mean slopes of all cells and of each product are given that more, but for what the fit knows
    of shocks that a product's cells share (`Slopes.together`).

    Args:
        design: The rows.
        fit: Slopes fitted to them under independence.
        cluster: Within which errors may depend on each other.
        by_period: Whether period effects were taken out.
    """
    cell, period = np.nonzero(fit.mean > 0)
    rows = _rows_of(design, cell, period)
    mean = fit.mean[cell, period]
    weight = mean / (1 + fit.overdispersion * mean) / fit.dispersion[cell]
    columns = np.column_stack([design.log_price[rows], design.x[rows]])
    sweeper = Sweeper.of(number_groups(cell), number_groups(period) if by_period else None)
    swept = sweeper.residuals(columns, weight)
    gram = (swept * weight[:, None]).T @ swept
    bread = np.linalg.pinv(gram, hermitian=True)
    scores = swept * (weight * (design.units[rows] - mean) / mean)[:, None]
    ways = [design.clusters(cluster)[rows]]
    lost = (
        columns.shape[1]
        + free_effects(cell, ways)
        + (free_effects(period, ways) if by_period else 0)
    )
    clustered = robust_variance(np.zeros(len(bread)), bread, scores, ways, lost=lost).covariance
    ratios = np.maximum(np.diag(clustered) / np.maximum(np.diag(bread), 1e-300), 1.0)
    added = max(ratios[0] - fit.together, 0.0) * _common_variance(design, fit)
    precision = float(fit.moments.precision.sum())
    variances = np.diag(fit.posterior.theta_covariance)[: len(ratios) - 1]
    errors = np.sqrt(
        (ratios - 1) * np.concatenate([[1 / precision if precision > 0 else 0.0], variances])
    )
    joint = _correlations(clustered - bread) * np.outer(errors, errors)
    return SharedError(float(ratios[0]), added, np.sqrt(ratios[1:]), joint[1:, 1:], joint[0, 1:])


def _correlations(matrix: ndarray) -> ndarray:
    """Return the correlations of a matrix whose negative eigenvalues are set to 0.

    1 on the diagonal.
    """
    root = covariance_root(matrix)
    size = np.sqrt(np.sum(root**2, axis=1, keepdims=True))
    unit = np.where(size > 0, root / np.where(size > 0, size, 1.0), 0.0)
    out = unit @ unit.T
    np.fill_diagonal(out, 1.0)
    return out


def _common_variance(design: DemandDesign, fit: FittedSlopes) -> ndarray:
    """Return the variance, under independence, of the mean slope of all cells and of each product,
    laid on pairs of cells.
    """
    precision, cells = fit.moments.precision, len(design)
    whole = float(precision.sum())
    out = np.full((cells, cells), 1 / whole if whole > 0 else 0.0)
    code = design.codes("sku")
    sums = np.bincount(code, precision)
    if (
        len(sums) == cells or len(sums) == 1 or fit.together > 1
    ):  # the fit's own covariance has that of products
        return out
    spread = float(np.sum(fit.posterior.deviations**2))
    with np.errstate(divide="ignore"):
        variance = np.where(sums > 0, 1 / sums, np.inf)
    kept = np.where(np.isfinite(variance), spread / (spread + variance), 0.0) ** 2 * np.where(
        sums > 0, variance, 0.0
    )
    same = code[:, None] == code
    return out + np.where(same, kept[code][:, None], 0.0)


def _rows_of(design: DemandDesign, cell: ndarray, period: ndarray) -> ndarray:
    """Return the row of the panel of each cell and period."""
    place = np.full((len(design), design.periods), -1)
    place[design.cell, design.period] = np.arange(len(design.cell))
    return place[cell, period]
