"""Checks of cross elasticities: their signs, their symmetry, and whether own prices outweigh substitutes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.statistics.reference_distribution import Z95

ROUNDING = 1e-9
"""The share of the size of numbers that is taken as 0."""


@dataclass(frozen=True, slots=True)
class CrossChecks:
    """Counts and shares of cross elasticities that have the right sign and symmetry, of some cells.

    Without income effects the matrix of d units_i / d price_j is symmetric and has no positive eigenvalue (Slutsky). In
    elasticities, e_ij r_i = e_ji r_j with r the revenue of a cell. The buyers of a channel need not follow it: it is checked,
    not imposed.

    Attributes:
        pairs: Pairs of cells, each way one.
        negative: Those below 0: complements, or chance.
        surely_negative: Those whose 95 % interval lies below 0.
        two_way: Pairs of cells with both ways estimated.
        asymmetric: Those whose two ways differ by more than chance, at 5 %.
        markets: Groups of cells that are connected by cross elasticities.
        outweighed: Those in which some common change of prices would raise what is sold: a positive eigenvalue.
    """

    pairs: int
    negative: int
    surely_negative: int
    two_way: int
    asymmetric: int
    markets: int
    outweighed: int


def cross_checks(own: np.ndarray, cross: np.ndarray, stderr: np.ndarray, revenue: np.ndarray) -> CrossChecks:
    """Return the checks of a matrix of cross elasticities.

    Args:
        own: Own elasticities, NaN where unknown, shape (K,).
        cross: Of a row's units to a column's price, 0 where there is none, shape (K, K).
        stderr: Of `cross`, shape (K, K).
        revenue: Of each cell at today's prices, shape (K,).
    """
    there = cross != 0
    both = np.triu(there & there.T)
    apart = cross * revenue[:, None] - (cross * revenue[:, None]).T
    size = np.abs(cross * revenue[:, None])
    error = ROUNDING * (size + size.T) + np.hypot(stderr * revenue[:, None], (stderr * revenue[:, None]).T)
    groups = _connected(there | there.T)
    return CrossChecks(
        int(there.sum()),
        int((cross < 0).sum()),
        int((cross + Z95 * stderr < 0).sum()),
        int(both.sum()),
        int((both & (np.abs(apart) > Z95 * error)).sum()),
        len(groups),
        sum(_outweighed(own[cells], cross[np.ix_(cells, cells)], revenue[cells]) for cells in groups),
    )


def _connected(there: np.ndarray) -> list[np.ndarray]:
    """Return the groups of two cells or more that pairs connect."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    _, label = connected_components(csr_matrix(there), directed=False)
    groups = [np.flatnonzero(label == number) for number in range(int(label.max(initial=-1)) + 1)]
    return [cells for cells in groups if len(cells) > 1]


def _outweighed(own: np.ndarray, cross: np.ndarray, revenue: np.ndarray) -> bool:
    """Return whether the symmetric part of d units / d price, in units of revenue, has a positive eigenvalue."""
    known = np.isfinite(own) & (revenue > 0)
    matrix = (np.diag(np.nan_to_num(own)) + cross)[np.ix_(known, known)] * revenue[known][:, None]
    values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    return bool(len(values) and values[-1] > ROUNDING * np.abs(values).max())
