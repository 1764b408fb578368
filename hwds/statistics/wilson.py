"""Wilson's interval of a share of units that come in clusters."""

from __future__ import annotations

import numpy as np

from hwds.statistics.aggregate import Z95


def wilson(share: float, n: int, clusters: int, stderr: float | None) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share, of as many independent deals as the clustered standard error implies.

    The deals are divided by the design effect, the clustered variance over that of independent deals (Kish, Survey Sampling,
    8.2), at least 1; where all or none are below it is not known, and each cluster counts as one. A shock that all deals of one
    cutoff share does not show in it: with few cutoffs the interval is too narrow.

    Args:
        share: Of deals.
        n: Deals.
        clusters: Names of deals.
        stderr: Clustered by name; None for a single one.
    """
    alone = share * (1 - share) / n
    independent = float(clusters) if stderr is None or alone == 0 else n / max(stderr**2 / alone, 1.0)
    squared = Z95**2 / independent
    centre = (share + squared / 2) / (1 + squared)
    half_width = Z95 * np.sqrt(share * (1 - share) / independent + squared / (4 * independent)) / (1 + squared)
    return max(float(centre - half_width), 0.0), min(float(centre + half_width), 1.0)
