"""Instruments: the first stage, two-stage least squares, the control function, and intervals that
weak instruments bear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from hwds.core.errors import DataError
from hwds.elasticity.sweeping import (
    RobustVariance,
    Sweeper,
    fit_ppml,
    free_effects,
    is_singular,
    number_groups,
    robust_variance,
)

WEAK_F = 10.0
"""The first-stage F under which instruments are weak (Staiger and Stock 1997)."""

ELASTICITY_GRID = np.arange(-12.0, 6.01, 0.25)
"""The elasticities at which the Anderson-Rubin test is computed."""

LAG_STEP, MOST_LAG = 0.1, 2.0
"""The step of the slope of a lagged price by which the test finds the best one, and the largest
change of it from one elasticity to the next.
"""


@dataclass(frozen=True, eq=False)
class FirstStage:
    """The regression of the price on instruments.

    Attributes:
        residual: The residual of the price, shape (n,).
        f: The F statistic of the instruments, clustered.
        coefficients: The coefficients of the instruments, shape (z,).
    """

    residual: ndarray
    f: float
    coefficients: ndarray


def first_stage(
    price: ndarray,
    instruments: ndarray,
    x: ndarray,
    sweeper: Sweeper,
    ways: Sequence[ndarray],
    weight: ndarray | None = None,
) -> FirstStage:
    """Regress the price on instruments and the other columns, with effects swept out.

    Args:
        price: Shape (n,).
        instruments: Shape (n, z).
        x: Shape (n, m).
        sweeper: The sweeper of the effects.
        ways: Clusterings of the rows.
        weight: The weight of each row; None for 1.

    Raises:
        DataError: The instruments do not vary beside the effects and the other columns.
    """
    weights = np.ones(len(price)) if weight is None else weight
    swept = sweeper.residuals(np.column_stack([price, instruments, x]), weights)
    target, columns = swept[:, 0], swept[:, 1:]
    gram = (columns * weights[:, None]).T @ columns
    if is_singular(gram):
        raise DataError(
            "dataset: an instrument is a combination of the model's other columns and effects."
        )
    bread = np.linalg.inv(gram)
    beta = bread @ ((columns * weights[:, None]).T @ target)
    residual, z = target - columns @ beta, instruments.shape[1]
    known = robust_variance(
        beta,
        bread,
        columns * (weights * residual)[:, None],
        ways,
        lost=columns.shape[1] + _effect_count(sweeper, ways),
    )
    wald = float(beta[:z] @ np.linalg.pinv(known.covariance[:z, :z], hermitian=True) @ beta[:z])
    return FirstStage(residual, wald / z, beta[:z])


@dataclass(frozen=True, eq=False)
class TwoStage:
    """Two-stage least squares.

    Attributes:
        beta: The coefficients of the endogenous columns, then of the others, shape (e + m,).
        variance: Clustered.
        f: The first stage's of each endogenous column, given the others; inf where it is its own
            instrument; shape (e,).
    """

    beta: ndarray
    variance: RobustVariance
    f: ndarray


def two_stage(
    y: ndarray,
    endogenous: ndarray,
    instruments: ndarray,
    x: ndarray,
    sweeper: Sweeper,
    ways: Sequence[ndarray],
    *,
    efficient: bool = False,
) -> TwoStage:
    """Return two-stage least squares of y on endogenous columns and others, effects swept out.

    Args:
        y: Shape (n,).
        endogenous: Shape (n, e).
        instruments: Shape (n, z); none gives least squares. A column that is given to be its own
            instrument is not endogenous.
        x: Shape (n, m).
        sweeper: The sweeper of the effects.
        ways: Clusterings of the rows.
        efficient: Weigh the moments of the instruments anew by their variance at the first estimate
            (Hansen 1982, two-step generalised method of moments).
    """
    ones, count = np.ones(len(y)), endogenous.shape[1]
    swept = sweeper.residuals(np.column_stack([y, endogenous, x, instruments]), ones)
    target, columns = swept[:, 0], swept[:, 1 : 1 + count + x.shape[1]]
    first = instruments.shape[1] > 0
    moments = (
        np.column_stack([swept[:, 1 + count + x.shape[1] :], columns[:, count:]])
        if first
        else columns
    )
    weight = np.linalg.inv(moments.T @ moments)
    beta = _from_moments(target, columns, moments, weight)
    if efficient and first:
        parts = moments * (target - columns @ beta)[:, None]
        weight = np.linalg.inv(parts.T @ parts)
        beta = _from_moments(target, columns, moments, weight)
    slope = moments.T @ columns
    bread = np.linalg.inv(slope.T @ weight @ slope)
    scores = moments @ weight @ slope * (target - columns @ beta)[:, None]
    variance = robust_variance(
        beta, bread, scores, ways, lost=columns.shape[1] + _effect_count(sweeper, ways)
    )
    f = [
        _strength(place, endogenous, instruments, x, sweeper, ways) if first else np.inf
        for place in range(count)
    ]
    return TwoStage(beta, variance, np.array(f))


def _strength(
    place: int,
    endogenous: ndarray,
    instruments: ndarray,
    x: ndarray,
    sweeper: Sweeper,
    ways: Sequence[ndarray],
) -> float:
    """Return the first stage's F of one endogenous column, given the others (Sanderson and
    Windmeijer 2016).

    What instruments say of the others is taken out first, for it cannot be said again of this one.
    """
    own, others = endogenous[:, place], np.delete(endogenous, place, axis=1)
    if any(np.array_equal(own, column) for column in instruments.T):
        return float(np.inf)
    if others.shape[1]:
        swept = sweeper.residuals(np.column_stack([own, others, x, instruments]), np.ones(len(own)))
        count, m = others.shape[1], x.shape[1]
        columns, moments = swept[:, 1 : 1 + count + m], swept[:, 1 + count :]
        beta = _from_moments(swept[:, 0], columns, moments, np.linalg.inv(moments.T @ moments))
        own = own - others @ beta[:count]
    z = instruments.shape[1]
    return first_stage(own, instruments, x, sweeper, ways).f * z / max(z - others.shape[1], 1)


def _effect_count(sweeper: Sweeper, ways: Sequence[ndarray]) -> int:
    """Return the degrees of freedom that swept effects take."""
    return sum(free_effects(effect, ways) for effect in sweeper.effects)


def _from_moments(target: ndarray, columns: ndarray, moments: ndarray, weight: ndarray) -> ndarray:
    """Return the coefficients at which the weighted moments of the residuals are smallest."""
    slope = moments.T @ columns
    return np.linalg.solve(slope.T @ weight @ slope, slope.T @ weight @ (moments.T @ target))


@dataclass(frozen=True, eq=False)
class DemandRows:
    """The rows of a model of demand with an endogenous price.

    Attributes:
        units: Shape (n,).
        endogenous: Log price, and that of the period before if the model has it, shape (n, e).
        instruments: Shape (n, z).
        x: Other columns, shape (n, m).
        cell, period: Shape (n,); `period` None for no period effects.
        ways: Clusterings of the rows, one or two.
    """

    units: ndarray
    endogenous: ndarray
    instruments: ndarray
    x: ndarray
    cell: ndarray
    period: ndarray | None
    ways: tuple[ndarray, ...]

    def sweeper(self) -> Sweeper:
        """Return the sweeper of the effects."""
        return Sweeper.of(
            number_groups(self.cell), None if self.period is None else number_groups(self.period)
        )

    def residuals(self) -> ndarray:
        """Return the residuals of the first stages, shape (n, e)."""
        sweeper = self.sweeper()
        stages = (
            first_stage(column, self.instruments, self.x, sweeper, self.ways).residual
            for column in self.endogenous.T
        )
        return np.column_stack(list(stages))

    def strengths(self) -> ndarray:
        """Return the F of each first stage, given the other endogenous column, shape (e,)."""
        known = (self.endogenous, self.instruments, self.x, self.sweeper(), self.ways)
        return np.array([_strength(place, *known) for place in range(self.endogenous.shape[1])])

    def control_function(self, residuals: ndarray) -> tuple[RobustVariance, ndarray]:
        """Return the slopes of the endogenous columns, their residuals and the others, by
        pseudo-likelihood, with clustered errors; and their covariance by the first clustering
        alone, as if residuals were known.

        The errors contain that of the first stages, whose estimates move the scores of the second
        (Murphy and Topel 1985; Newey 1984).
        """
        count = self.endogenous.shape[1]
        fit = fit_ppml(
            self.units,
            np.column_stack([self.endogenous, residuals, self.x]),
            self.cell,
            self.period,
        )
        sweeper, used = self.sweeper(), fit.used
        ones = np.ones(len(used))
        first = sweeper.residuals(np.column_stack([self.instruments, self.x]), ones)
        moved = (fit.rows * np.sqrt(fit.mean)[:, None]).T @ first[used]
        errors = residuals @ fit.beta[count : 2 * count]
        scores = (first * errors[:, None]) @ (moved @ np.linalg.inv(first.T @ first)).T
        scores[used] += fit.scores
        lost = len(fit.beta) + _effect_count(sweeper, self.ways)
        known = robust_variance(fit.beta, fit.bread, scores, self.ways, lost=lost)
        return known, fit.variance(self.ways[:1]).covariance

    def reduced_form(self, slopes: Sequence[float]) -> tuple[ndarray, ndarray]:
        """Return the coefficients of the instruments, with the slopes of the endogenous columns
        given, and the inverse of their covariance.
        """
        columns, z = np.column_stack([self.instruments, self.x]), self.instruments.shape[1]
        offset = self.endogenous @ np.asarray(slopes)
        fit = fit_ppml(self.units, columns, self.cell, self.period, offset=offset)
        covariance = fit.variance(self.ways).covariance[:z, :z]
        return fit.beta[:z], np.linalg.pinv(covariance, hermitian=True)


def anderson_rubin(rows: DemandRows, level: float) -> tuple[float, float]:
    """Return the ends of the set of elasticities that the Anderson-Rubin test does not reject, -inf
    or inf where it has none.

    With the elasticity taken as e, demand less e x log price must not depend on the instruments;
    the test is as good whether they are weak or strong (Anderson and Rubin 1949). A lagged price
    has the slope at which they matter least, and takes a degree of freedom (Guggenberger et al.
    2012). NaN where all are rejected: the model is wrong.
    """
    from scipy.stats import chi2

    free = rows.instruments.shape[1] - (rows.endogenous.shape[1] - 1)
    goal, lag = float(chi2.ppf(level, free)), 0.0
    statistic = []
    for slope in ELASTICITY_GRID:
        least, lag = _least_statistic(rows, float(slope), lag)
        statistic.append(least - goal)
    inside = np.flatnonzero(np.array(statistic) <= 0)
    if not len(inside):
        return float("nan"), float("nan")
    first, last = int(inside[0]), int(inside[-1])
    low = -np.inf if first == 0 else _zero_crossing(statistic, first - 1)
    high = np.inf if last == len(ELASTICITY_GRID) - 1 else _zero_crossing(statistic, last)
    return low, high


def _least_statistic(rows: DemandRows, slope: float, lag: float) -> tuple[float, float]:
    """Return the statistic of an elasticity at the best slope of the lagged price, and that slope.

    The search begins at `lag`; without a lagged price the slope stays.
    """
    if rows.endogenous.shape[1] == 1:
        beta, precision = rows.reduced_form([slope])
        return float(beta @ precision @ beta), lag
    beta, precision = rows.reduced_form([slope, lag])
    change = (rows.reduced_form([slope, lag + LAG_STEP])[0] - beta) / LAG_STEP
    best = lag - float(change @ precision @ beta) / float(change @ precision @ change)
    best = float(np.clip(best, lag - MOST_LAG, lag + MOST_LAG))
    beta, precision = rows.reduced_form([slope, best])
    return float(beta @ precision @ beta), best


def _zero_crossing(statistic: Sequence[float], place: int) -> float:
    """Return where the line between two grid points is 0."""
    here, there = statistic[place], statistic[place + 1]
    return float(
        ELASTICITY_GRID[place]
        + (ELASTICITY_GRID[place + 1] - ELASTICITY_GRID[place]) * here / (here - there)
    )
