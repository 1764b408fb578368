"""Wilson's interval of a share, of independent units and of units that come in clusters."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from hwds.statistics.reference_distribution import Z95

Numbers = TypeVar("Numbers", float, np.ndarray)


def wilson(share: Numbers, n: Numbers, z: float | np.ndarray = Z95) -> tuple[Numbers, Numbers]:
    """Return the score interval of a share of n independent units (Wilson 1927), which is never of no width.

    Args:
        share: Of units.
        n: Units.
        z: The critical value of the normal law.
    """
    centre: Any = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half_width = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    low = np.maximum(centre - half_width, 0.0) * (share > 0)  # 0 of n has 0 itself, without the last bit of two roots
    return low, np.minimum(centre + half_width, 1.0)


def clustered_wilson(share: float, n: int, clusters: int, stderr: float | None) -> tuple[float, float]:
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
    low, high = wilson(share, independent)
    return float(low), float(high)
