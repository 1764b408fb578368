"""The part of dependence between errors in the uncertainty of slopes that were fitted as if rows were independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.elasticity.design.rows import Design
from hwds.elasticity.estimation.clusters import free_effects, robust_variance
from hwds.elasticity.estimation.slopes import Slopes
from hwds.elasticity.estimation.sweeping import Sweeper


@dataclass(frozen=True, eq=False)
class SharedError:
    """The variance that dependent errors add.

    Attributes:
        ratio: The clustered variance of the common slope of price over that of independent rows, at least 1.
        added: To the covariance of the cells' slopes, shape (K, K).
        theta: What standard errors of the shared slopes are multiplied by, at least 1, shape (m,).
        added_theta: To the covariance of the shared slopes, shape (m, m).
        added_shared: To the covariance of each cell's slope with the shared slopes, the same for all cells, shape (m,).
    """

    ratio: float
    added: np.ndarray
    theta: np.ndarray
    added_theta: np.ndarray
    added_shared: np.ndarray


def shared_error(design: Design, fit: Slopes, cluster: str, *, by_period: bool) -> SharedError:
    """Return what clustered errors add to the slopes.

    A shock that all channels of a product share in a week does not average out over channels: the mean slope of a product is
    less certain than its rows would have it, although each cell's own is not. The ratio of the clustered to the independent
    variance of the common slope says how much; the mean slopes of all cells and of each product are given that more, but for
    what the fit knows of shocks that a product's cells share (`Slopes.together`).

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
    sweeper = Sweeper.of(np.unique(cell, return_inverse=True)[1], _codes(period) if by_period else None)
    swept = sweeper.residuals(columns, weight)
    gram = (swept * weight[:, None]).T @ swept
    bread = np.linalg.pinv(gram, hermitian=True)
    scores = swept * (weight * (design.units[rows] - mean) / mean)[:, None]
    ways = [design.clusters(cluster)[rows]]
    lost = columns.shape[1] + free_effects(cell, ways) + (free_effects(period, ways) if by_period else 0)
    clustered = robust_variance(np.zeros(len(bread)), bread, scores, ways, lost=lost).covariance
    ratios = np.maximum(np.diag(clustered) / np.maximum(np.diag(bread), 1e-300), 1.0)
    added = max(ratios[0] - fit.together, 0.0) * _common(design, fit)
    precision = float(fit.moments.precision.sum())
    variances = np.diag(fit.posterior.theta_covariance)[: len(ratios) - 1]
    errors = np.sqrt((ratios - 1) * np.concatenate([[1 / precision if precision > 0 else 0.0], variances]))
    joint = _correlations(clustered - bread) * np.outer(errors, errors)
    return SharedError(float(ratios[0]), added, np.sqrt(ratios[1:]), joint[1:, 1:], joint[0, 1:])


def _correlations(matrix: np.ndarray) -> np.ndarray:
    """Return the correlations of a matrix whose negative eigenvalues are set to 0; 1 on the diagonal."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    size = np.sqrt(np.sum(root**2, axis=1, keepdims=True))
    unit = np.where(size > 0, root / np.where(size > 0, size, 1.0), 0.0)
    out = np.asarray(unit @ unit.T)
    np.fill_diagonal(out, 1.0)
    return out


def _common(design: Design, fit: Slopes) -> np.ndarray:
    """Return the variance, under independence, of the mean slope of all cells and of each product, laid on pairs of cells."""
    precision, cells = fit.moments.precision, len(design)
    whole = float(precision.sum())
    out = np.full((cells, cells), 1 / whole if whole > 0 else 0.0)
    code = design.codes("sku")
    sums = np.bincount(code, precision)
    if len(sums) == cells or len(sums) == 1 or fit.together > 1:  # the fit's own covariance has that of products
        return out
    spread = float(np.sum(fit.posterior.deviations**2))
    with np.errstate(divide="ignore"):
        variance = np.where(sums > 0, 1 / sums, np.inf)
    kept = np.where(np.isfinite(variance), spread / (spread + variance), 0.0) ** 2 * np.where(sums > 0, variance, 0.0)
    same = code[:, None] == code
    return out + np.where(same, kept[code][:, None], 0.0)


def _rows_of(design: Design, cell: np.ndarray, period: np.ndarray) -> np.ndarray:
    """Return the row of the panel of each cell and period."""
    place = np.full((len(design), design.periods), -1)
    place[design.cell, design.period] = np.arange(len(design.cell))
    return place[cell, period]


def _codes(values: np.ndarray) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1]
