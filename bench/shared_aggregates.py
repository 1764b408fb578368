"""How often intervals of a median and of a pooled ratio miss where series share shocks: `python -m
bench.shared_aggregates`.

The laws of `bench.shared_shocks`; of each a median over series and a ratio of sums whose truth is
0. Beside the interval stands the one that takes series as independent. Three minutes of one core;
the table is in `bench/shared_aggregates.txt`.
"""

from __future__ import annotations

import sys
from math import inf

import numpy as np

from bench.shared_shocks import WINDOW, YEAR, Law, common, factor, seasonal_factor
from hwds.core.seeds import stream
from hwds.stats.estimates import Estimate, pooled_ratio, unit_median
from hwds.stats.periods import Cells, median_estimate, ratio_estimate

TRIALS = 1000
"""The standard error of a rate of 5 % is .7 % then."""

LAWS: tuple[tuple[Law, float], ...] = (
    (common, 0.0),
    (common, 0.1),
    (common, 0.3),
    (factor, 0.3),
    (seasonal_factor, 0.3),
)
SERIES, ORIGINS = (20, 100, 1000), (3, 6, 12, 40)
LINE = "{:<16} {:>5} {:>6} {:>7}   {:>6} {:>5}   {:>6} {:>5}\n"


def rates(law: Law, share: float, series: int, origins: int) -> np.ndarray:
    """Return the shares of wrong intervals of the median and the ratio, with origins and by series
    alone, shape (2, 2).
    """
    rng = stream(0, "shared_aggregates", law.__name__, str(share), str(series), str(origins))
    unit, period = np.repeat(np.arange(series), origins), np.tile(np.arange(origins), series)
    cells = Cells(
        unit, period, season_seen=origins * WINDOW / YEAR if law is seasonal_factor else inf
    )
    wrong = np.zeros((2, 2))
    for _ in range(TRIALS):
        own = rng.normal(size=(1, series, 1)) + rng.normal(size=(1, series, origins))
        values = (((1 - share) / 2) ** 0.5 * own + share**0.5 * law(rng, 1, series, origins))[0]
        size = rng.lognormal(0, 0.5, (series, 1)) * np.ones(origins)
        by_series = (size * values).sum(axis=1), size.sum(axis=1)
        wrong[0] += (
            misses(median_estimate(values.ravel(), cells)),
            misses(unit_median(values.mean(axis=1))),
        )
        wrong[1] += (
            misses(ratio_estimate((size * values).ravel(), size.ravel(), cells)),
            misses(pooled_ratio(*by_series)),
        )
    return wrong / TRIALS


def misses(estimate: Estimate) -> bool:
    """Return whether there is an interval, and it leaves out 0."""
    return (
        estimate.low is not None
        and estimate.high is not None
        and not estimate.low <= 0 <= estimate.high
    )


def main() -> int:
    """Print the table; 1 where more than six of 100 intervals miss."""
    sys.stdout.write(
        LINE.format("shared", "share", "series", "origins", "median", "alone", "pooled", "alone")
    )
    held = True
    for law, share in LAWS:
        for series in SERIES:
            for origins in ORIGINS:
                found = rates(law, share, series, origins)
                held &= bool(found[:, 0].max() <= 0.06 + 2 * (0.05 * 0.95 / TRIALS) ** 0.5)
                numbers = (f"{100 * each:.1f}" for each in found.ravel())
                sys.stdout.write(LINE.format(law.__name__, f"{share:g}", series, origins, *numbers))
                sys.stdout.flush()
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
