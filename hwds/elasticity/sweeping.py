"""Fixed effects swept out by compiled loops; clustered variances and Poisson likelihood on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy import ndarray

from hwds.core.compiling import compiled, helper
from hwds.core.errors import DataError

# The compiled loops that sweep cell and period effects out of a column.


@helper
def period_sums(
    weight: ndarray,
    starts: ndarray,
    period: ndarray,
    values: ndarray,
    means: ndarray,
    out: ndarray,
) -> None:
    """Write D_p g - W' D_c^-1 W g into `out`: the normal equations of period effects g once cell
    effects are eliminated.

    Args:
        weight: The weight of each row, rows of one cell side by side, shape (n,).
        starts: The first row of each cell and the end, shape (cells + 1,).
        period: The period of each row, shape (n,).
        values: g, shape (periods,).
        means: Work space, shape (cells,).
        out: Shape (periods,).
    """
    out[:] = 0.0
    for cell in range(len(starts) - 1):
        total = 0.0
        top = 0.0
        for row in range(starts[cell], starts[cell + 1]):
            total += weight[row]
            top += weight[row] * values[period[row]]
        mean = top / total if total > 0 else 0.0
        means[cell] = mean
        for row in range(starts[cell], starts[cell + 1]):
            out[period[row]] += weight[row] * (values[period[row]] - mean)


@helper
def cell_means(
    weight: ndarray,
    starts: ndarray,
    period: ndarray,
    column: ndarray,
    effects: ndarray,
    means: ndarray,
) -> None:
    """Write the weighted mean of a column less the period effects of each cell into `means`."""
    for cell in range(len(starts) - 1):
        total = 0.0
        top = 0.0
        for row in range(starts[cell], starts[cell + 1]):
            total += weight[row]
            top += weight[row] * (column[row] - effects[period[row]])
        means[cell] = top / total if total > 0 else 0.0


@helper
def weighted_squares(rest: ndarray, diagonal: ndarray) -> float:
    """Return the sum of squares over the diagonal."""
    total = 0.0
    for t in range(len(rest)):
        total += rest[t] * rest[t] / diagonal[t] if diagonal[t] > 0 else 0.0
    return total


@helper
def right_side(
    weight: ndarray,
    starts: ndarray,
    period: ndarray,
    column: ndarray,
    means: ndarray,
    out: ndarray,
) -> None:
    """Write the sums by period of a column less its cells' means into `out`."""
    out[:] = 0.0
    cell_means(weight, starts, period, column, out, means)
    for cell in range(len(starts) - 1):
        for row in range(starts[cell], starts[cell + 1]):
            out[period[row]] += weight[row] * (column[row] - means[cell])


@helper
def subtract(
    weight: ndarray,
    starts: ndarray,
    period: ndarray,
    effects: ndarray,
    means: ndarray,
    column: ndarray,
) -> None:
    """Take period effects, and the cell effects that go with them, out of a column."""
    cell_means(weight, starts, period, column, effects, means)
    for cell in range(len(starts) - 1):
        for row in range(starts[cell], starts[cell + 1]):
            column[row] -= means[cell] + effects[period[row]]


def sweep_effects(
    weight: ndarray,
    starts: ndarray,
    period: ndarray,
    diagonal: ndarray,
    column: ndarray,
    effects: ndarray,
    means: ndarray,
    work: ndarray,
    tolerance: float,
    most: int,
) -> int:
    """Take the weighted least-squares fit of cell and period effects out of a column, in place.

    Return the steps taken.

    Conjugate gradients on the equations of the period effects, preconditioned by their diagonal.
    They are singular where cells and periods are connected (a constant may move between the two),
    which conjugate gradients bear.

    Args:
        weight: The weight of each row, shape (n,).
        starts: The first row of each cell and the end, shape (cells + 1,).
        period: The period of each row, shape (n,).
        diagonal: The sum of the weights of each period, shape (periods,).
        column: Shape (n,); holds the residuals afterwards.
        effects: Where to begin, shape (periods,); holds the period effects afterwards.
        means: Work space, shape (cells,).
        work: Work space, shape (3, periods).
        tolerance: The tolerance of the residual, relative to the right side.
        most: Steps at most.
    """
    rest, direction, image = work[0], work[1], work[2]
    right_side(weight, starts, period, column, means, rest)
    goal = tolerance * tolerance * weighted_squares(rest, diagonal)
    period_sums(weight, starts, period, effects, means, image)
    direction[:] = 0.0
    rest -= image
    size, ratio, steps = weighted_squares(rest, diagonal), 0.0, 0
    while steps < most and size > goal and size > 1e-280:
        for t in range(len(rest)):
            direction[t] = (rest[t] / diagonal[t] if diagonal[t] > 0 else 0.0) + ratio * direction[
                t
            ]
        period_sums(weight, starts, period, direction, means, image)
        curve = 0.0
        for t in range(len(rest)):
            curve += direction[t] * image[t]
        if curve <= 0.0:
            break
        for t in range(len(rest)):
            effects[t] += size / curve * direction[t]
            rest[t] -= size / curve * image[t]
        new = weighted_squares(rest, diagonal)
        ratio = new / size
        size = new
        steps += 1
    subtract(weight, starts, period, effects, means, column)
    return steps


# Sweeping cell and period effects out of columns by weighted least squares, without a dummy for
# any of them.

MOST_SWEEPS = 5_000
"""Steps of conjugate gradients at most; panels of sales need ten or so."""


@dataclass(frozen=True, eq=False)
class Sweeper:
    """Rows sorted by cell, with their periods.

    Attributes:
        starts: The first row of each cell and the end, shape (cells + 1,).
        period: The period of each row from 0, shape (n,).
        periods: How many there are; 1 where no period effects are swept.
    """

    starts: ndarray
    period: ndarray
    periods: int
    _effects: dict[int, ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, cell: ndarray, period: ndarray | None) -> Sweeper:
        """Return the sweeper of rows that are sorted by cell.

        No `period` sweeps cell effects alone.
        """
        cells = int(cell[-1]) + 1
        starts = np.searchsorted(cell, np.arange(cells + 1)).astype(np.int64)
        if period is None:
            return cls(starts, np.zeros(len(cell), np.int64), 1)
        return cls(starts, period.astype(np.int64), int(period.max()) + 1)

    @property
    def effects(self) -> tuple[ndarray, ...]:
        """The cell of each row, and its period where period effects are swept.

        Each of shape (n,).
        """
        cell = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        return (cell,) if self.periods == 1 else (cell, self.period)

    @property
    def lost(self) -> int:
        """The free effects: cells, and periods less one."""
        return len(self.starts) - 1 + self.periods - 1

    def residuals(self, columns: ndarray, weight: ndarray, tolerance: float = 1e-9) -> ndarray:
        """Return the columns less their weighted fit by cell and period effects, shape (n, k).

        Where the same columns come again with other weights, the effects of the last time are where
        it begins.

        Args:
            columns: Shape (n, k).
            weight: At least 0, shape (n,).
            tolerance: The tolerance of the normal equations.
        """
        out = np.array(columns.T, order="C", dtype=float)
        kernel = compiled(sweep_effects)
        diagonal = np.bincount(self.period, weight, self.periods)
        means, work = np.empty(len(self.starts) - 1), np.empty((3, self.periods))
        for place, column in enumerate(out):
            effects = self._effects.setdefault(place, np.zeros(self.periods))
            kernel(
                weight,
                self.starts,
                self.period,
                diagonal,
                column,
                effects,
                means,
                work,
                tolerance,
                MOST_SWEEPS,
            )
        return out.T


# Cluster-robust variances: one- and two-way, and the score bootstrap for few clusters.

FEW_CLUSTERS = 40
"""The number of clusters under which intervals come from the wild cluster bootstrap."""

LEAST_CLUSTERS = 4
"""Clusters at least: fewer cannot tell how they vary."""

LEAST_EFFECTIVE_CLUSTERS = 2.5
"""Clusters of equal weight that a coefficient must move in: in fewer, its scores are near 0
whatever its error is.
"""

DENSE_NUMBERS = 8
"""Whole numbers up to so many times the rows are numbered by a table, which is faster than sorting.
"""

LARGEST_REACH = 64.0
"""Standard errors beyond which a bootstrap interval is not followed."""

WEBB = np.array([-np.sqrt(1.5), -1.0, -np.sqrt(0.5), np.sqrt(0.5), 1.0, np.sqrt(1.5)])
"""Webb's six weights, of which few clusters draw enough different samples (Webb 2014, Reworking
wild bootstrap).
"""


@dataclass(frozen=True, eq=False)
class RobustVariance:
    """The variance of estimates under dependence within clusters, and tests of them.

    Attributes:
        beta: The estimates, shape (k,).
        covariance: Shape (k, k).
        clusters: The number of clusters, of two ways the smaller.
        critical: What a standard error is multiplied by below and above an estimate, shape (k, 2).
        p_values: The p-values of no effect, shape (k,).
        method: How intervals and p-values are made.
        even: Clusters of equal weight that each coefficient moves in, shape (k,); all of them where
            rows are not known.
    """

    beta: ndarray
    covariance: ndarray
    clusters: int
    critical: ndarray
    p_values: ndarray
    method: str
    even: ndarray

    @property
    def sure(self) -> ndarray:
        """True for each coefficient that moves in enough clusters for a standard error, shape
        (k,).
        """
        return self.even >= LEAST_EFFECTIVE_CLUSTERS

    @property
    def stderr(self) -> ndarray:
        """The standard errors, shape (k,)."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))


def cluster_sums(scores: ndarray, cluster: ndarray) -> ndarray:
    """Return the sums of scores by cluster, shape (clusters, k).

    Args:
        scores: Shape (n, k).
        cluster: Numbers from 0, shape (n,).
    """
    return np.stack([np.bincount(cluster, column) for column in scores.T], axis=1)


def cluster_meat(scores: ndarray, ways: Sequence[ndarray]) -> ndarray:
    """Return the sum of outer products of cluster sums, with G / (G - 1).

    Of two ways one plus the other less both together.

    A two-way matrix with negative eigenvalues has them set to 0 (Cameron, Gelbach and Miller 2011).
    """
    total = np.zeros((scores.shape[1],) * 2)
    for sign, way in _cluster_ways(ways):
        sums = cluster_sums(scores, way)
        count = len(sums)
        total += sign * count / max(count - 1, 1) * sums.T @ sums
    if len(ways) < 2:
        return total
    values, vectors = np.linalg.eigh((total + total.T) / 2)
    return (vectors * np.maximum(values, 0.0)) @ vectors.T


def _cluster_ways(ways: Sequence[ndarray]) -> list[tuple[int, ndarray]]:
    if len(ways) < 2:
        return [(1, number_groups(ways[0]))]
    first, second = (number_groups(way) for way in ways[:2])
    return [(1, first), (1, second), (-1, number_groups(first * (int(second.max()) + 1) + second))]


def number_groups(values: ndarray) -> ndarray:
    """Return the values numbered from 0 in their order."""
    if (
        values.dtype.kind in "iu"
        and len(values)
        and values.min() >= 0
        and values.max() < DENSE_NUMBERS * len(values)
    ):
        there = np.zeros(int(values.max()) + 1, bool)
        there[values] = True
        return (np.cumsum(there) - 1)[values]
    return np.unique(values, return_inverse=True)[1]


def group_means(values: ndarray, group: ndarray, groups: int) -> ndarray:
    """Return the mean of the values of each group, 0 of one without any, shape (groups,)."""
    count = np.maximum(np.bincount(group, minlength=groups), 1)
    return np.bincount(group, values, groups) / count


def values_before(values: ndarray, group: ndarray, first: float = np.nan) -> ndarray:
    """Return each row's value of the row before in its group, and `first` for the first one.

    Rows are sorted by group.
    """
    before = np.concatenate([[first], values[:-1]])
    before[np.concatenate([[True], np.diff(group) != 0])] = first
    return before


def covariance_root(matrix: ndarray) -> ndarray:
    """Return a root R of a covariance, R R' without its negative eigenvalues."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def is_singular(gram: ndarray) -> bool:
    """Return whether a column of a Gram matrix is a combination of the others."""
    scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    return bool(np.linalg.cond(gram / np.outer(scale, scale)) > 1e12)


def free_effects(effect: ndarray, ways: Sequence[ndarray]) -> int:
    """Return the number of effects that take degrees of freedom: one less than there are, none
    where nested in a cluster.

    Args:
        effect: The effect of each row, shape (n,).
        ways: Clusterings, each of shape (n,).
    """
    codes = number_groups(effect)
    count = int(codes.max()) + 1
    for way in ways:
        known = number_groups(way)
        if int(number_groups(codes * (int(known.max()) + 1) + known).max()) + 1 == count:
            return 0
    return count - 1


def robust_variance(
    beta: ndarray,
    bread: ndarray,
    scores: ndarray,
    ways: Sequence[ndarray],
    *,
    lost: int = 0,
    level: float = 0.95,
    rows: ndarray | None = None,
    rng: np.random.Generator | None = None,
    draws: int = 999,
) -> RobustVariance:
    """Return the sandwich variance of an estimator with these scores, and the critical values of
    its intervals.

    The critical value is that of Student's t with G - 1 degrees of freedom; of fewer than
    `FEW_CLUSTERS` clusters, where `rows` and a generator are given, the interval holds what the
    wild cluster bootstrap with the null imposed does not reject.

    Args:
        beta: The estimates, shape (k,).
        bread: The inverse of the information, shape (k, k).
        scores: The scores of each row, shape (n, k).
        ways: One or two clusterings, each of shape (n,).
        lost: Parameters that were fitted, effects nested in clusters apart: the variance is times
            (n - 1) / (n - lost).
        level: The level of the intervals.
        rows: The columns times the roots of the weights, so that rows'rows is the information;
            shape (n, k).
        rng: Draws the weights of clusters.
        draws: The number of draws of the bootstrap.

    Raises:
        DataError: There are fewer than `LEAST_CLUSTERS` clusters.
    """
    from scipy.special import stdtr, stdtrit

    few = min((number_groups(way) for way in ways), key=lambda way: int(way.max()))
    count = int(few.max()) + 1
    if count < LEAST_CLUSTERS:
        raise DataError(
            f"model.cluster: must make at least {LEAST_CLUSTERS} clusters of rows, got {count}: "
            f"fewer tell no error."
        )
    covariance = (
        bread @ cluster_meat(scores, ways) @ bread * (len(scores) - 1) / max(len(scores) - lost, 1)
    )
    free = count - 1
    even = (
        np.full(len(beta), float(count)) if rows is None else _effective_clusters(bread, rows, few)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        p_values = 2 * stdtr(free, -np.abs(beta) / np.sqrt(np.maximum(np.diag(covariance), 0.0)))
    critical = np.full((len(beta), 2), float(stdtrit(free, (1 + level) / 2)))
    method = f"t, {count} clusters"
    if rng is not None and rows is not None and count < FEW_CLUSTERS:
        method = f"wild cluster bootstrap, {count} clusters"
        weights = rng.choice(WEBB, (draws, count))
        for place in range(len(beta)):
            null = _NullScores.of(place, bread, scores, rows, few)
            stderr = float(np.sqrt(covariance[place, place]))
            critical[place] = [null.reach(weights, level, stderr, side) for side in (-1, 1)]
            p_values[place] = null.p_value(weights, float(beta[place]))
    return RobustVariance(beta, covariance, count, critical, p_values, method, even)


def _effective_clusters(bread: ndarray, rows: ndarray, cluster: ndarray) -> ndarray:
    """Return the clusters of equal weight that each coefficient's information comes from (Kish's
    number), shape (k,).
    """
    parts = (rows @ (bread / np.maximum(np.diag(bread), 1e-300))) ** 2
    information = cluster_sums(parts, cluster) if len(bread) else np.zeros((1, 0))
    return information.sum(axis=0) ** 2 / np.maximum((information**2).sum(axis=0), 1e-300)


@dataclass(frozen=True, eq=False)
class _NullScores:
    """One coefficient by cluster, other columns partialled out: what its scores are under another
    value.

    Attributes:
        scores: At the estimate, shape (clusters,).
        curvature: Its information by cluster, shape (clusters,).
    """

    scores: ndarray
    curvature: ndarray

    @classmethod
    def of(
        cls,
        place: int,
        bread: ndarray,
        scores: ndarray,
        rows: ndarray,
        cluster: ndarray,
    ) -> _NullScores:
        """Partial the other columns out."""
        part = bread[:, place] / bread[place, place]
        return cls(np.bincount(cluster, scores @ part), np.bincount(cluster, (rows @ part) ** 2))

    def p_value(self, weights: ndarray, distance: float) -> float:
        """Return the p-value of the value that lies so far below the estimate (Cameron, Gelbach and
        Miller 2008).

        Scores under the null are multiplied by a weight a cluster; the statistic of each draw is
        studentised by the scores at its own estimate.
        """
        whole = float(self.curvature.sum())
        under = self.scores + self.curvature * distance
        moved = weights @ under
        own = weights * under - self.curvature * (moved / whole)[:, None]
        drawn = np.abs(moved) / np.maximum(np.sqrt(np.sum(own**2, axis=1)), 1e-300)
        seen = abs(whole * distance) / max(float(np.sqrt(np.sum(self.scores**2))), 1e-300)
        return float((1 + np.sum(drawn >= seen)) / (1 + len(drawn)))

    def reach(self, weights: ndarray, level: float, stderr: float, side: int) -> float:
        """Return how many standard errors from the estimate, on one side, values are not
        rejected.
        """
        low, high = 0.0, 4.0
        while self.p_value(weights, -side * high * stderr) > 1 - level and high < LARGEST_REACH:
            low, high = high, 2 * high
        for _ in range(20):
            middle = (low + high) / 2
            rejected = self.p_value(weights, -side * middle * stderr) <= 1 - level
            low, high = (low, middle) if rejected else (middle, high)
        return high


# Poisson pseudo-maximum likelihood with cell and period effects swept out.

MOST_STEPS = 60
"""Steps of iteratively reweighted least squares at most."""

ROUGH_STEPS, ROUGH_TOLERANCE, SWEEP_TOLERANCE = 2, 1e-4, 1e-9
"""The first steps, far from the end, and the tolerance of sweeping in them and in the others."""

LEAST_SHARE_LEFT = 1e-10
"""The share of a column's sum of squares within cells that sweeping must leave."""

ABSORBED = (
    "dataset: a column of the model is a combination of others and of cell and period effects."
)
"""The refusal of columns of which effects and other columns leave nothing."""

LARGEST_EXPONENT = 30.0
"""The largest absolute log mean, relative to the mean of all."""


@dataclass(frozen=True, eq=False)
class PoissonFit:
    """A fit by Poisson pseudo-maximum likelihood.

    Attributes:
        beta: Slopes, shape (k,).
        bread: The inverse of the information, shape (k, k).
        scores: The scores of each row that was used, shape (n, k).
        mean: Fitted means of the rows that were used, shape (n,).
        used: Which rows were used: cells and periods without a sale tell nothing of a slope; shape
            of the rows given.
        steps: The number of steps of the iteration.
        units: What was sold in the rows that were used, shape (n,).
        effects: The cell, and the period where it has effects, of the rows that were used.
        rows: The swept columns times the roots of the weights, shape (n, k).
    """

    beta: ndarray
    bread: ndarray
    scores: ndarray
    mean: ndarray
    used: ndarray
    steps: int
    units: ndarray
    effects: tuple[ndarray, ...]
    rows: ndarray

    def variance(
        self,
        ways: Sequence[ndarray],
        rng: np.random.Generator | None = None,
        level: float = 0.95,
    ) -> RobustVariance:
        """Return the cluster-robust variance; `ways` are clusterings of all rows given."""
        known = [way[self.used] for way in ways]
        lost = len(self.beta) + sum(free_effects(effect, known) for effect in self.effects)
        return robust_variance(
            self.beta,
            self.bread,
            self.scores,
            known,
            lost=lost,
            rows=self.rows,
            rng=rng,
            level=level,
        )


def fit_ppml(
    units: ndarray,
    x: ndarray,
    cell: ndarray,
    period: ndarray | None,
    *,
    offset: ndarray | None = None,
    weight: ndarray | None = None,
    tolerance: float = 1e-10,
) -> PoissonFit:
    """Fit log E[units] = offset + cell effect + period effect + x beta.

    Iteratively reweighted least squares, each step a regression of columns from which both effects
    are swept (Correia, Guimaraes and Zylkin 2020, Fast Poisson estimation with high-dimensional
    fixed effects). Consistent whatever the law of the units, zeros included, as long as their mean
    is right (Santos Silva and Tenreyro 2006).

    Args:
        units: At least 0, shape (n,).
        x: Columns that vary within cells, shape (n, k).
        cell: Numbers of cells, rows sorted by them, shape (n,).
        period: Numbers of periods, shape (n,); None for no period effects.
        offset: Added to the log mean, shape (n,); None for 0.
        weight: The weight of each row, at least 0, shape (n,); None for 1.
        tolerance: The tolerance of the relative change of the deviance.

    Raises:
        DataError: Nothing was sold, or a column is a combination of others and the effects.
    """
    weights = np.ones(len(units)) if weight is None else weight
    used = rows_with_sales(units * weights, cell, period) & (weights > 0)
    if not used.any():
        raise DataError("dataset: nothing was sold in any cell.")
    y, columns, w = units[used], np.ascontiguousarray(x[used], float), weights[used]
    known = np.zeros(len(y)) if offset is None else offset[used]
    codes = number_groups(cell[used])
    sweeper = Sweeper.of(codes, None if period is None else number_groups(period[used]))
    mean = (y + np.bincount(codes, y)[codes] / np.diff(sweeper.starts)[codes]) / 2
    bounds = np.log(np.mean(y)) + np.array([-LARGEST_EXPONENT, LARGEST_EXPONENT])
    eta, deviance, steps = np.log(mean), np.inf, 0
    swept, beta, gram = columns, np.zeros(columns.shape[1]), np.eye(columns.shape[1])
    for step in range(1, MOST_STEPS + 1):
        steps = step
        working = eta - known + (y - mean) / mean
        exact = step > ROUGH_STEPS
        both = sweeper.residuals(
            np.column_stack([working, columns]),
            w * mean,
            SWEEP_TOLERANCE if exact else ROUGH_TOLERANCE,
        )
        target, swept = both[:, 0], both[:, 1:]
        _refuse_absorbed(columns, swept, w * mean, codes)
        weighted = swept * (w * mean)[:, None]
        gram = weighted.T @ swept
        beta = _solve_gram(gram, weighted.T @ target, columns.shape[1])
        eta = np.clip(known + working - target + swept @ beta, *bounds)
        mean = np.exp(eta)
        before, deviance = deviance, poisson_deviance(y, mean, w)
        if exact and abs(before - deviance) <= tolerance * max(deviance, 0.1):
            break
    scores, effects = (
        swept * (w * (y - mean))[:, None],
        (cell[used],) if period is None else (cell[used], period[used]),
    )
    bread = np.linalg.inv(gram) if len(gram) else gram
    return PoissonFit(
        beta, bread, scores, mean, used, steps, y, effects, swept * np.sqrt(w * mean)[:, None]
    )


def _refuse_absorbed(columns: ndarray, swept: ndarray, weight: ndarray, cell: ndarray) -> None:
    """Refuse columns of which period effects leave nothing."""
    total = np.bincount(cell, weight)
    for column, rest in zip(columns.T, swept.T, strict=True):
        mean = np.bincount(cell, weight * column) / np.where(total > 0, total, 1.0)
        if float(weight @ rest**2) <= LEAST_SHARE_LEFT * float(weight @ (column - mean[cell]) ** 2):
            raise DataError(ABSORBED)


def rows_with_sales(units: ndarray, cell: ndarray, period: ndarray | None) -> ndarray:
    """Return which rows are in cells and periods in which anything was sold, shape (n,)."""
    used = np.ones(len(units), bool)
    while True:
        keep = np.bincount(cell, units * used)[cell] > 0
        if period is not None:
            keep &= np.bincount(period, units * used)[period] > 0
        if (used <= keep).all():
            return used
        used &= keep


def poisson_deviance(units: ndarray, mean: ndarray, weight: ndarray) -> float:
    """Return twice the log-likelihood that is lacking to a perfect fit."""
    logs = np.where(units > 0, units * np.log(np.maximum(units, 1e-300) / mean), 0.0)
    return float(2 * np.sum(weight * (logs - (units - mean))))


def _solve_gram(gram: ndarray, right: ndarray, count: int) -> ndarray:
    if not count:
        return np.zeros(0)
    if is_singular(gram):
        raise DataError(ABSORBED)
    return np.linalg.solve(gram, right)
