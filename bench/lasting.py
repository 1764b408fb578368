"""The coverage of intervals of lasting elasticities, own + lag, on worlds of known demand: `python
-m bench.lasting [25]`.

A price that stays moves demand by the sum of its elasticities to today's price and to that of the
week before. The two are told apart by the same price changes, so that their errors go against each
other: drawn independently, their sum seems too unsure.
"""

from __future__ import annotations

import sys

import numpy as np

from hwds.core.seeds import stream
from hwds.datasets.simulated.price_sales import PriceSales
from hwds.elasticity.fitted import ElasticityContext
from hwds.elasticity.models.pooled import Pooled
from hwds.elasticity.rows import cell_rows, demand_estimates_of

DRAWS = 2000


def main(seeds: int) -> int:
    """Print the mean width of 95 % intervals of cells and of their mean, and how often they hold
    the truth.
    """
    found: dict[str, list[np.ndarray]] = {"drawn jointly": [], "drawn independently": []}
    for seed in range(seeds):
        dataset = PriceSales(seed=seed)
        panel = dataset.load()
        fit = Pooled().learn(panel, ElasticityContext(0))
        rows = cell_rows(fit, panel, DRAWS, stream(0, "lasting"))
        evidence = demand_estimates_of(
            rows.with_columns(model=np.array(["pooled"] * len(rows))), panel, "pooled"
        )
        assert evidence is not None
        known = rows.join(
            dataset.parameters(), "series_id", "left", maintain_order="left", suffix="_true"
        )
        truth = (known["elasticity_true"] + known["pull_forward"]).to_numpy()
        joint = evidence.sample(DRAWS, stream(1, "lasting"))
        apart = evidence.column("lag") + evidence.column("lag_stderr") * stream(
            2, "lasting"
        ).standard_normal((DRAWS, 1))
        for name, lag in (("drawn jointly", joint.lag), ("drawn independently", apart)):
            drawn = joint.own + lag
            whole = np.quantile(drawn.mean(1), [0.025, 0.975])
            low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
            inside, wide = (low <= truth) & (truth <= high), high - low
            held = whole[0] <= truth.mean() <= whole[1]
            found[name].append(np.array([inside.mean(), wide.mean(), held, whole[1] - whole[0]]))
    sys.stdout.write(f"lasting elasticities of 160 cells, {seeds} worlds: 95 % intervals\n")
    sys.stdout.write(f"{'':<22}{'cells held':>12}{'width':>8}{'means held':>12}{'width':>8}\n")
    for name, parts in found.items():
        cells, width, means, narrow = np.mean(parts, axis=0)
        sys.stdout.write(
            f"{name:<22}{100 * cells:>10.1f} %{width:>8.2f}{100 * means:>10.0f} %{narrow:>8.2f}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 25))
