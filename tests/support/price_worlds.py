"""Random worlds of demand with known truth, for decisions on prices."""

import numpy as np
import polars as pl

from hwds.pricing.demand_evidence import DemandEstimates, TrueDemand


def price_world(
    rng, products=3, channels=3, stderr=(0.1, 0.6), statuses=(0.6, 0.3, 0.1), apart=0.03, cross=0.2
):
    """Estimates of a world whose cells differ in elasticity, cost, volume and observed range.

    Products replace each other.
    """
    count = products * channels
    price = np.repeat(np.exp(rng.normal(4, 0.5, products)), channels) * np.exp(
        rng.normal(0, apart, count)
    )
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
    truth = TrueDemand(cells["units"].to_numpy(), substitutes + np.diag(own), np.zeros(count))
    return DemandEstimates(
        cells, "EUR", "week", cross=substitutes, cross_stderr=0.1 * paired, truth=truth
    )


def nested_shares(utility: np.ndarray, nest: np.ndarray, nesting: float) -> np.ndarray:
    """Return the shares of products in one market, no purchase being a nest of its own with utility
    0 (Cardell 1997).

    s_j = exp(u_j / (1 - n)) / D ** n / (1 + sum of D ** (1 - n) over nests), with D the sum of
    exp(u / (1 - n)) of j's nest.

    Args:
        utility: Mean utilities, shape (J,).
        nest: Of each product from 0, shape (J,).
        nesting: n, at least 0 and below 1; 0 is plain logit.
    """
    top = np.full(int(nest.max()) + 1, -np.inf)
    np.maximum.at(top, nest, utility / (1 - nesting))
    within = np.exp(utility / (1 - nesting) - top[nest])
    total = np.bincount(nest, within)
    value = (1 - nesting) * (np.log(total) + top)
    largest = max(float(value.max()), 0.0)
    whole = np.exp(-largest) + np.exp(value - largest).sum()
    return np.asarray(within / total[nest] * np.exp(value - largest)[nest] / whole)
