"""Cross elasticities of pairs against known worlds, one slope for all beside: `python -m
bench.cross_prices [5 [0]]`.

The second number is the seed of the first world.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

from hwds.datasets.simulated.price_sales import PriceSales
from hwds.elasticity.design import CROSS
from hwds.elasticity.fitted import ElasticityContext
from hwds.elasticity.models.pooled import Pooled

NEAR = PriceSales(nearness=1.5, cannibalisation=0.8, shortest=100)
WORLDS = {
    "equal parts, 6 units a week": PriceSales(),
    "equal parts, 60 units": PriceSales(shortest=100, units=60, dispersion=30, cannibalisation=0.8),
    "near generations, 6 units": NEAR,
    "near generations, 60 units": replace(NEAR, units=60, dispersion=30),
    "60 units, shared_noise .6": replace(NEAR, units=60, dispersion=30, shared_noise=0.6),
    "near generations, 600 units": replace(NEAR, units=600, dispersion=1000, shared_noise=0.02),
}


def main(seeds: int, first: int = 0) -> int:
    """Print for each world the error of pairs and of one slope, how often intervals hold the truth,
    and who is below 0.
    """
    form = "{:<30}{:>12}{:>11}{:>11}{:>10}{:>9}\n"
    sys.stdout.write(f"640 pairs of substitutes in 160 cells, {seeds} worlds\n")
    sys.stdout.write(form.format("", "RMSE, pairs", "one slope", "coverage", "width", "below 0"))
    for name, dataset in WORLDS.items():
        pairs, common, inside, width, below = np.mean(
            [_of(replace(dataset, seed=seed)) for seed in range(first, first + seeds)], axis=0
        )
        numbers = (
            f"{pairs:.3f}",
            f"{common:.3f}",
            f"{100 * inside:.1f} %",
            f"{width:.2f}",
            f"{100 * below:.1f} %",
        )
        sys.stdout.write(form.format(name, *numbers))
        sys.stdout.flush()
    return 0


def _of(dataset: PriceSales) -> tuple[float, ...]:
    fit = Pooled(cross="pairs").learn(dataset.load(), ElasticityContext(0))
    pairs = fit.estimates.pairs
    assert pairs is not None
    names = dataset.cells().table["series_id"].to_list()
    place = np.array([names.index(name) for name in fit.table["series_id"]])
    true = dataset.cross()[place[pairs.rows], place[pairs.columns]]
    common = (
        fit.estimates.theta[fit.design.columns.index(CROSS)] / np.bincount(pairs.rows)[pairs.rows]
    )
    error = pairs.value - true
    errors = [float(np.sqrt(np.mean(each**2))) for each in (error, common - true)]
    inside = np.mean(np.abs(error) <= 1.96 * pairs.stderr)
    return (
        *errors,
        float(inside),
        float(2 * 1.96 * pairs.stderr.mean()),
        float(np.mean(pairs.value < 0)),
    )


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3] or ["5"])))
