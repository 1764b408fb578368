"""Slopes of all cells at once: a quasi-likelihood of counts with cell and period effects, and a crossed prior on slopes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.core.errors import DataError
from hwds.elasticity.estimation.crossed import (
    Groups,
    SlopePosterior,
    best_deviations,
    best_second,
    posterior,
)
from hwds.elasticity.estimation.integrated import integrated
from hwds.elasticity.estimation.layout import Layout, LikelihoodExpansion, moments

MOST_STEPS = 80
"""Newton steps at most."""

SETTLED = 1e-6
"""The change of slopes, relative to their size, at which the iteration ends."""

STRIDE = 4.0
"""The largest change of a log mean in one step."""

NO_PRIOR = 1e3
"""The standard deviation of slopes that stands for no prior."""

MOST_SERIAL, CHANCE = 0.9, 3.0
"""The largest correlation of one period's scores with the next, and the standard errors beyond which it counts."""

SHRUNK_BY = 30.0
"""Degrees of freedom of the dispersion of all cells, to which a cell's own is shrunk."""


@dataclass(frozen=True, eq=False)
class Slopes:
    """The slopes of all cells.

    Attributes:
        posterior: Slopes, shared parameters and their covariances.
        own: Deviations of the second slope by cell, shape (K,); 0 where there is none.
        own_deviation: Their standard deviation; 0 where there is none.
        level: Of each cell the log mean at log price 0, without shared effects; shape (K,), -inf where nothing was sold.
        mean: Fitted means, shape (K, T).
        overdispersion: a, with the variance phi (mean + a mean^2).
        dispersion: phi, by cell, shape (K,).
        serial: The part of phi that dependence between a cell's periods makes, at least 1.
        together: By what shocks that a product's cells share in a period raise the variance of its slope, at least 1.
        moments: Of the last step.
        groups: Of the prior, with the errors that shared shocks make; None for no prior.
        steps: Of the iteration.
    """

    posterior: SlopePosterior
    own: np.ndarray
    own_deviation: float
    level: np.ndarray
    mean: np.ndarray
    overdispersion: float
    dispersion: np.ndarray
    serial: float
    together: float
    moments: LikelihoodExpansion
    groups: Groups | None
    steps: int


def fit_slopes(layout: Layout, groups: Groups | None, products: np.ndarray | None = None, *, poisson: bool = False) -> Slopes:
    """Fit log E[units] = cell effect + period effect + slope x log price + x beta, slopes shrunk to crossed groups.

    The quasi-likelihood has the variance phi (mean + a mean^2), with a by Pearson's statistic (Breslow 1984): the mean is
    estimated consistently whatever the law. Slopes have the prior of `crossed`; its standard deviations maximise the marginal
    likelihood of the quadratic approximation at the posterior mode, anew at every step (penalised quasi-likelihood, Breslow
    and Clayton 1993). An expansion at the mode, not at a cell's own estimate, is what makes it hold for ten rows. At the end
    the standard deviations are integrated over, for they are hardly known (`integrated`). Where the errors of a cell depend
    on those of the period before, as where its level wanders, its rows tell less: phi is larger by `serial_dependence`.
    Shocks that a product's cells share give what they say of its slope an error in common, which more cells do not make
    smaller: it is no part of the answer (`Groups.noise`), and its variance is that of `shared_shocks`.

    Args:
        layout: The rows.
        groups: Of the prior; None for no prior, each cell by itself.
        products: The product of each cell, whose cells may share shocks, shape (K,); None for no such shocks.
        poisson: Take a as 0 (Poisson pseudo-likelihood).

    Raises:
        DataError: Nothing was sold, or there are no more rows than parameters.
    """
    sold = (layout.units * layout.seen).sum(axis=1) > 0
    used = layout.seen & sold[:, None]
    _refuse_few(layout, used, own_slopes=groups is None)
    eta = _first(layout, used)
    deviations = np.full(len(groups.names) + 1, 0.3) if groups is not None else np.array([NO_PRIOR])
    over, phi, serial, together = 0.0 if poisson else 0.2, np.ones(layout.cells), 1.0, 1.0
    current: SlopePosterior | None = None
    known: LikelihoodExpansion | None = None
    second, own, steps = (0.0 if layout.own is None or groups is None else 0.5), np.zeros(layout.cells), 0
    for steps in range(1, MOST_STEPS + 1):
        full = _expansion(layout, used, eta, over, phi)
        if groups is not None and steps < 25:  # a variance that goes on moving must not keep the iteration from ending
            second = best_second(full, groups, deviations) if second else 0.0
            deviations = best_deviations(full.integrated(second), groups, deviations if steps > 1 else None)
        known = full.integrated(second) if second else full
        before, current = current, posterior(known, groups or Groups((), ()), deviations)
        own = full.second.deviations(second, current.slopes, current.theta) if full.second and second else own
        part = _part(layout, current, own)
        new = part + _levels(layout, used, part, over)[:, None]
        eta = np.where(used, eta + np.clip(new - eta, -STRIDE, STRIDE), 0.0)
        over, phi = _dispersions(layout, used, eta, over, current, poisson=poisson)
        if groups is not None and steps < 25:
            scores = _scores(layout, used, eta, over)
            serial = serial_dependence(scores, used)
            together = 1.0 if products is None else shared_shocks(scores, products, lost=2 + len(layout.x))
            groups = groups if products is None else groups.with_noise(products, known.precision, together)
        phi = phi * serial
        if before is not None and steps > 3 and _moved(before, current) < SETTLED:
            break
    assert current is not None
    assert known is not None
    if groups is not None:
        current = integrated(known, groups, current)
        own = full.second.deviations(second, current.slopes, current.theta) if full.second and second else own
    level, mean = _fitted(layout, used, _part(layout, current, own), over)
    together = together if groups is not None and groups.noisy else 1.0
    return Slopes(current, own, second, level, mean, over, phi, serial, together, known, groups, steps)


def _expansion(layout: Layout, used: np.ndarray, eta: np.ndarray, over: float, phi: np.ndarray) -> LikelihoodExpansion:
    """Return the quadratic approximation of the quasi-likelihood at log means `eta`."""
    mean = np.exp(eta)
    weight = np.where(used, mean / (1 + over * mean), 0.0) / phi[:, None]
    return moments(layout, weight, np.where(used, eta + (layout.units - mean) / mean, 0.0))


def _fitted(layout: Layout, used: np.ndarray, part: np.ndarray, over: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the levels of cells, -inf where nothing was sold, and the fitted means, given log means without levels."""
    sold = used.any(axis=1)
    level = np.where(sold, _levels(layout, used, part, over), -np.inf)
    return level, np.where(layout.seen, np.exp(np.where(used, part + np.where(sold, level, 0.0)[:, None], -np.inf)), 0.0)


def _scores(layout: Layout, used: np.ndarray, eta: np.ndarray, over: float) -> np.ndarray:
    """Return what each row says of its cell's slope, at log means `eta` and a variance mean + over mean^2, shape (K, T)."""
    mean = np.exp(eta)
    share = np.where(used, 1 / (1 + over * mean), 0.0)
    weight = mean * share
    price = layout.log_price - (weight * layout.log_price).sum(axis=1, keepdims=True) / _positive(
        weight.sum(axis=1, keepdims=True)
    )
    if layout.by_period:
        price = price - (weight * price).sum(axis=0) / _positive(weight.sum(axis=0))
    return np.asarray(price * (layout.units - mean) * share)


def serial_dependence(scores: np.ndarray, used: np.ndarray) -> float:
    """Return by what the variance of a cell's slope is larger than with independent periods, at least 1.

    With c the correlation of what one period and the next say of the slope (their scores), that of a first-order
    autoregression: (1 + c) / (1 - c) (Bartlett 1935). One c for all cells; 1 where it is not beyond chance.

    Args:
        scores: Shape (K, T).
        used: The rows that are fitted to, shape (K, T).
    """
    both = used[:, 1:] & used[:, :-1]
    first, second = (np.where(both, part, 0.0) for part in (scores[:, :-1], scores[:, 1:]))
    size = float(np.sqrt(np.sum(first**2) * np.sum(second**2)))
    correlation = float(np.sum(first * second)) / size if size > 0 else 0.0
    if correlation < CHANCE * float(np.sqrt(np.sum((first * second) ** 2))) / max(size, 1e-300):
        return 1.0
    correlation = min(correlation, MOST_SERIAL)
    return (1 + correlation) / (1 - correlation)


def shared_shocks(scores: np.ndarray, products: np.ndarray, lost: int) -> float:
    """Return by what the variance of a product's slope is larger than with independent cells, at least 1.

    The squares of the sums of scores by product and period over those of single rows (Liang and Zeger 1986, Longitudinal data
    analysis using generalized linear models); one ratio for all products.

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


def _positive(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, 1.0)


def _refuse_few(layout: Layout, used: np.ndarray, *, own_slopes: bool) -> None:
    """Refuse rows that are no more than the effects and slopes to be fitted to them."""
    if not used.any():
        raise DataError("dataset: nothing was sold in any cell.")
    cells, periods = int(used.any(axis=1).sum()), int(used.any(axis=0).sum())
    effects = cells + len(layout.x) + (periods - 1 if layout.by_period else 0)
    fitted, rows = effects + (cells if own_slopes else 1), int(used.sum())
    if rows <= fitted:
        raise DataError(f"dataset: {rows} rows for {fitted} parameters: effects of cells and periods, and slopes.")


def _part(layout: Layout, current: SlopePosterior, own: np.ndarray) -> np.ndarray:
    """Return the log means without cell effects, shape (K, T)."""
    part = current.slopes[:, None] * layout.log_price + layout.shared_effect(current.theta)
    return part if layout.own is None else part + own[:, None] * layout.x[layout.own]


def _first(layout: Layout, used: np.ndarray) -> np.ndarray:
    """Return where to begin: logs halfway between units and their cell's mean."""
    count = np.maximum(used.sum(axis=1, keepdims=True), 1)
    mean = (layout.units * used).sum(axis=1, keepdims=True) / count
    return np.where(used, np.log(np.maximum((layout.units + mean) / 2, 1e-12)), 0.0)


def _moved(before: SlopePosterior, after: SlopePosterior) -> float:
    return float(np.max(np.abs(after.slopes - before.slopes) / (1 + np.abs(after.slopes))))


def _levels(layout: Layout, used: np.ndarray, part: np.ndarray, over: float) -> np.ndarray:
    """Return the cell effects that set each cell's weighted residuals to 0, by Newton's method, shape (K,)."""
    top = np.where(used, layout.units, 0.0).sum(axis=1)
    shift = part.max(axis=1, initial=0.0, where=used)
    scaled = np.where(used, np.exp(part - shift[:, None]), 0.0)
    bottom = scaled.sum(axis=1)
    level = np.log(np.where(top > 0, top, 1.0) / np.where(bottom > 0, bottom, 1.0)) - shift
    if over == 0:
        return np.asarray(level)
    for _ in range(30):
        mean = np.where(used, np.exp(part + level[:, None]), 0.0)
        share = 1 / (1 + over * mean)
        score = np.where(used, (layout.units - mean) * share, 0.0).sum(axis=1)
        slope = np.where(used, mean * (1 + over * layout.units) * share**2, 0.0).sum(axis=1)
        step = np.clip(score / np.maximum(slope, 1e-300), -1.0, 1.0)
        level = level + np.where(top > 0, step, 0.0)
        if np.max(np.abs(step[top > 0]), initial=0.0) < 1e-10:
            break
    return np.asarray(level)


def _dispersions(
    layout: Layout, used: np.ndarray, eta: np.ndarray, over: float, current: SlopePosterior, *, poisson: bool
) -> tuple[float, np.ndarray]:
    """Return a by Pearson's statistic, and phi by cell: its own shrunk to that of all, of a Poisson likelihood one for all."""
    mean = np.exp(eta)
    rows = used.sum(axis=1)
    lost = 1 + current.own_weight + len(current.theta) * rows / max(int(rows.sum()), 1)
    free = np.maximum(rows - lost, 0.0)
    squares = np.where(used, (layout.units - mean) ** 2, 0.0)

    def pearson(a: float) -> float:
        return float(np.sum(squares / (mean + a * mean**2), where=used))

    if not poisson:
        over = _root(pearson, max(float(free.sum()), 1.0))
    ratio = np.sum(squares / (mean + over * mean**2), axis=1, where=used)
    whole = float(ratio.sum() / max(free.sum(), 1.0))
    phi = np.full(len(rows), whole) if poisson else (SHRUNK_BY * whole + ratio) / (SHRUNK_BY + free)
    return over, np.maximum(phi, 1e-6)


def _root(pearson: object, goal: float) -> float:
    """Return a with Pearson's statistic at its degrees of freedom, 0 where the units vary less than Poisson."""
    from scipy.optimize import brentq

    call = pearson
    assert callable(call)
    if call(0.0) <= goal:
        return 0.0
    high = 1.0
    while call(high) > goal and high < 1e6:
        high *= 4
    if call(high) > goal:
        return high
    return float(brentq(lambda a: call(a) - goal, 0.0, high, xtol=1e-6, rtol=1e-6))
