"""Random worlds of demand with known truth, for decisions on prices."""

import numpy as np
import polars as pl

from hwds.pricing.demand_evidence import DemandEstimates, DemandTruth


def price_world(rng, products=3, channels=3, stderr=(0.1, 0.6), statuses=(0.6, 0.3, 0.1), apart=0.03, cross=0.2):
    """Estimates of a world whose cells differ in elasticity, cost, volume and observed range; products replace each other."""
    count = products * channels
    price = np.repeat(np.exp(rng.normal(4, 0.5, products)), channels) * np.exp(rng.normal(0, apart, count))
    own, errors = rng.normal(-2.5, 0.8, count), rng.uniform(*stderr, count)
    spread = rng.uniform(0, 0.2, (2, count))
    cells = pl.DataFrame(
        {
            "cell": [f"p{place // channels}/c{place % channels}" for place in range(count)],
            "product": [f"p{place // channels}" for place in range(count)],
            "channel": [f"c{place % channels}" for place in range(count)],
            "price": price,
            "cost": price * rng.uniform(0.4, 0.75, count),
            "units": rng.uniform(1, 100, count),
            "low": price * (1 - spread[0]),
            "high": price * (1 + spread[1]),
            "elasticity": own + errors * rng.standard_normal(count),
            "stderr": errors,
            "status": rng.choice(["identified", "weak", "no_variation"], count, p=statuses),
        }
    )
    paired = (rng.random((count, count)) < cross) & ~np.eye(count, dtype=bool)
    substitutes = np.where(paired, rng.uniform(0, 0.5, (count, count)), 0.0)
    truth = DemandTruth(cells["units"].to_numpy(), substitutes + np.diag(own), np.zeros(count))
    return DemandEstimates(cells, "EUR", "week", cross=substitutes, cross_stderr=0.1 * paired, truth=truth)
