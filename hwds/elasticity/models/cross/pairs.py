"""Estimates with a cross elasticity for each pair of substitutes, added to those with one slope for all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwds.elasticity.design.columns import CROSS, substitute_places
from hwds.elasticity.design.rows import Design
from hwds.elasticity.estimation.cross_prices import PairSlopes, pair_slopes
from hwds.elasticity.estimation.layout import Layout
from hwds.elasticity.estimation.pair_moments import PairMoments
from hwds.elasticity.estimation.slopes import Slopes
from hwds.elasticity.fitted import CrossPairs, Estimates
from hwds.elasticity.models.base import levels


def with_pairs(design: Design, layout: Layout, fit: Slopes, estimates: Estimates) -> Estimates:
    """Return estimates in which each cell answers to each of its substitutes' prices by itself.

    Args:
        design: The rows, with the mean price of substitutes as a column.
        layout: The rows, laid out.
        fit: Of the slopes that all cells share.
        estimates: Made of it.
    """
    place, product, places = design.columns.index(CROSS), design.codes("sku"), substitute_places(design.groups)
    rivals = np.where(places >= 0, product[places], -1)
    prices, groups = design.substitutes_laid(), fit.groups or design.crossed
    moments = PairMoments.of(layout, fit, groups, prices, design.codes("family"), product, rivals)
    found = pair_slopes(moments, prices, place)
    spreads = zip(("family", "product", "pair"), found.deviations.tolist(), strict=True)
    slots = found.deviation.shape[1]
    own_theta = np.concatenate([_or_zero(estimates.own_theta, design), found.deviation], axis=1)
    theta, none = np.concatenate([estimates.theta, np.zeros(slots)]), np.zeros(slots)
    wide = design.with_pairs()
    return replace(
        estimates,
        level=levels(wide, estimates.slopes, theta, own_theta),
        theta=theta,
        theta_stderr=np.concatenate([estimates.theta_stderr, none]),
        theta_covariance=_padded(estimates.theta_covariance, slots, slots),
        shared_covariance=_padded(estimates.shared_covariance, 0, slots),
        own_theta=own_theta,
        pairs=_pairs(design, found, float(estimates.theta[place]), float(estimates.theta_stderr[place])),
        notes=estimates.notes | {f"sd_cross_{name}": value for name, value in spreads},
    )


def _or_zero(own_theta: np.ndarray | None, design: Design) -> np.ndarray:
    return np.zeros((len(design), design.x.shape[1])) if own_theta is None else own_theta


def _padded(matrix: np.ndarray | None, rows: int, columns: int) -> np.ndarray | None:
    return None if matrix is None else np.pad(matrix, ((0, rows), (0, columns)))


def _pairs(design: Design, found: PairSlopes, common: float, error: float) -> CrossPairs:
    """Return the cross elasticities: slopes over the number of a cell's substitutes."""
    places = substitute_places(design.groups)
    rows, slots = np.nonzero(places >= 0)
    count = (places >= 0).sum(axis=1)[rows]
    stderr = found.stderr[rows, slots]
    own = np.sqrt(np.maximum(stderr**2 - error**2, 0.0))
    value = common + found.deviation[rows, slots]
    return CrossPairs(rows, places[rows, slots], value / count, stderr / count, own / count)
