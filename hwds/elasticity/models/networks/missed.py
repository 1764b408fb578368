"""The error of a network's elasticities, judged on rows that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hwds.elasticity.design.rows import Design
from hwds.elasticity.estimation.crossed import best_deviations
from hwds.elasticity.estimation.layout import LikelihoodExpansion
from hwds.elasticity.estimation.sweeping import Sweeper
from hwds.elasticity.models.networks.shape import Answer


class Unseen(NamedTuple):
    """Predictions of networks for rows that they had not seen.

    Attributes:
        said: Of the rows to learn from, columns of shape (n,).
        fold: In which each was held out, shape (n,).
    """

    said: Answer
    fold: np.ndarray


@dataclass(frozen=True, eq=False)
class Missed:
    """The errors of a network's elasticities.

    Attributes:
        names: Of the groupings, then `cell`.
        deviations: The standard deviation of what is missed of each group and of each cell, shape (groupings + 1,).
        covariance: Of what is missed of all cells, shape (K, K).
    """

    names: tuple[str, ...]
    deviations: np.ndarray
    covariance: np.ndarray


def missed(design: Design, unseen: Unseen, overdispersion: float, common: float, *, by_period: bool) -> Missed:
    """Return what remains of an answer of price in rows that were held out, cell by cell and of their groups.

    Of the true elasticities less the network's the likelihood of the held-out units is expanded at the network's answer; the
    standard deviations are those of greatest marginal posterior (see `crossed.best_deviations`). Each fold has a likelihood of
    its own: a network of one fold has learned from the noise of the others, so that sums over folds would vary too little.
    They hold all that is wrong with the network: rows that are few, weights that begin elsewhere, what it cannot tell apart,
    its pull to the mean. Of an error that all cells share, as of prices that answer demand, held-out rows say nothing;
    `common` is its usual variance.

    Args:
        design: The rows of the panel.
        unseen: The networks' predictions of rows that they had not seen.
        overdispersion: a of the variance mean + a mean^2.
        common: The variance of the elasticity of all cells together.
        by_period: Whether there are effects of periods.
    """
    rows = np.flatnonzero(design.used)
    units, mean = design.units[rows], np.exp(np.clip(unseen.said.log_mean, -30, 30))
    dispersion = max(float(np.mean((units - mean) ** 2 / (mean + overdispersion * mean**2))), 1e-6)
    weight = mean / (1 + overdispersion * mean) / dispersion
    cell = design.cell[rows]
    period = np.unique(design.period[rows], return_inverse=True)[1] if by_period else None
    sweeper = Sweeper.of(np.unique(cell, return_inverse=True)[1], period)
    price = sweeper.residuals(design.log_price[rows, None], weight)[:, 0]
    score, information = weight * price * (units - mean) / mean, weight * price**2
    none = np.zeros((len(design), 0))
    known = []
    for fold in np.unique(unseen.fold):
        inside = unseen.fold == fold
        linear, precision = (np.bincount(cell[inside], part[inside], len(design)) for part in (score, information))
        known.append(LikelihoodExpansion(linear, precision, none, np.zeros(0), np.zeros((0, 0))))
    crossed = design.crossed
    deviations = best_deviations(known, crossed)
    covariance = np.full((len(design),) * 2, common) + deviations[-1] ** 2 * np.eye(len(design))
    for code, deviation in zip(crossed.codes, deviations, strict=False):
        covariance += deviation**2 * (code[:, None] == code)
    return Missed((*crossed.names, "cell"), deviations, covariance)
