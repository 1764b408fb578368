"""Hierarchical Bayes beside the pooled model, on worlds of known demand: `python -m bench.bayes
[5]`; needs hwds[bayes].
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np

from hwds.datasets.simulated.price_sales import PriceSales
from hwds.elasticity.fitted import ElasticityContext
from hwds.elasticity.models.hierarchical_bayes import HierarchicalBayes
from hwds.elasticity.models.pooled import Pooled

FORM = "{:<32}{:>8}{:>9}{:>11}{:>13}{:>6}\n"


def main(seeds: int) -> int:
    """Print the error, bias, coverage and width of both, how far apart they are, and whether chains
    agree.
    """
    sums: dict[str, list[np.ndarray]] = {
        "elasticity/pooled": [],
        "elasticity/hierarchical_bayes": [],
    }
    apart, rhat, divergences = [], [], 0.0
    for seed in range(seeds):
        world = replace(PriceSales(), seed=seed)
        panel = world.load()
        true = panel.series_ids.to_frame().join(
            world.parameters(), "series_id", "left", maintain_order="left"
        )["elasticity"]
        answers = []
        for name, model in zip(sums, (Pooled(), HierarchicalBayes()), strict=True):
            began = time.process_time()
            fit = model.learn(panel, ElasticityContext(0))
            seconds = time.process_time() - began
            slope, low, high = (
                fit.table[column].to_numpy() for column in ("elasticity", "ci_low", "ci_high")
            )
            inside = (low <= true.to_numpy()) & (true.to_numpy() <= high)
            error = slope - true.to_numpy()
            sums[name].append(
                np.stack([error**2, error, inside, high - low, np.full(len(error), seconds)])
            )
            answers.append(slope)
        apart.append(float(np.sqrt(np.mean((answers[0] - answers[1]) ** 2))))
        rhat.append(fit.estimates.notes["rhat"])
        divergences += fit.estimates.notes["divergences"]
    sys.stdout.write(f"price_sales, 160 cells, {seeds} seeds\n")
    sys.stdout.write(FORM.format("", "RMSE", "bias", "coverage", "mean width", "s"))
    for name, parts in sums.items():
        squares, bias, inside, width, seconds = np.concatenate(parts, axis=1).mean(axis=1)
        numbers = (
            f"{np.sqrt(squares):.3f}",
            f"{bias:+.3f}",
            f"{100 * inside:.1f} %",
            f"{width:.2f}",
            f"{seconds:.0f}",
        )
        sys.stdout.write(FORM.format(name, *numbers))
    sys.stdout.write(
        f"RMSE of the difference {np.mean(apart):.3f}; R-hat at most {max(rhat):.3f}; "
        f"{divergences:.0f} divergences\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
