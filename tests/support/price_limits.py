"""The guardrails of prices, written out once more as the plain inequalities that they are."""

import numpy as np

NEAR = 1e-7


def breaches(evidence, rails, prices):
    """Which guardrail each recommended price that differs from today's breaks.

    Empty where none does.
    """
    rows = evidence.cells.with_row_index("place").to_dicts()
    return [f"{row['cell']} {said}" for row in rows for said in _broken(row, rows, rails, prices)]


def _broken(row, rows, rails, prices):
    price, now = prices[row["place"]], row["price"]
    if abs(price / now - 1) <= 1e-9:
        return
    pocket = price * (1 - rails.deductions)
    if (
        rails.objective == "profit"
        and rails.margin_floor is not None
        and (pocket - row["cost"]) / pocket < rails.margin_floor - NEAR
    ):
        yield "margin_floor"
    if abs(price / now - 1) > rails.largest_step + NEAR:
        yield "largest_step"
    low, high = min(row["low"], now) * (1 - rails.band), max(row["high"], now) * (1 + rails.band)
    if not low * (1 - NEAR) <= price <= high * (1 + NEAR):
        yield "observed_range"
    if rails.ladder and not np.isclose(price, rails.ladder, rtol=1e-9).any():
        yield "ladder"
    if (
        rails.rounding
        and abs(
            (price + rails.ending) / rails.rounding - round((price + rails.ending) / rails.rounding)
        )
        > 1e-6
    ):
        yield "rounding"
    if row["status"] not in rails.act_on or row["elasticity"] is None:
        yield "act_on"
    for other in rows:
        if (
            rails.freight is not None
            and other["product"] == row["product"]
            and other["place"] != row["place"]
        ):
            low, high = sorted((price, prices[other["place"]]))
            if high > low * (1 + rails.duty + rails.risk) + rails.freight + NEAR * high:
                yield f"channel_gap to {other['cell']}"


def beyond_capacity(evidence, rails, demand, prices):
    """The products whose prices changed and which are expected to sell more than they may."""
    units, products = demand.units_at(prices).mean(0), evidence.cells["product"].to_numpy()
    moved = np.abs(prices / evidence.column("price") - 1) > 1e-9
    own = {name: products == name for name in rails.capacity}
    return [
        name
        for name, of in own.items()
        if moved[of].any() and units[of].sum() > rails.capacity[name] * (1 + 1e-5)
    ]


def random_limits(rng, evidence):
    """Guardrails of every kind, some of them tight."""
    from hwds.pricing.recommended_prices import PriceGuardrails

    products = evidence.cells["product"].unique(maintain_order=True).to_list()
    rounding = rng.choice([0.0, 0.01, 0.5, 1.0, 5.0])
    ladder = tuple(np.round(np.geomspace(20, 200, 60), 0)) if rng.random() < 0.2 else ()
    return PriceGuardrails(
        objective=str(rng.choice(["profit", "profit", "revenue"])),
        margin_floor=float(rng.uniform(-0.2, 0.5)) if rng.random() < 0.8 else None,
        deductions=float(rng.choice([0.0, 0.1])),
        largest_step=float(rng.choice([0.0, 0.02, 0.1, 0.3, 0.6])),
        band=float(rng.choice([0.0, 0.05, 0.3])),
        ladder=tuple(dict.fromkeys(ladder)),
        rounding=None if ladder or not rounding else float(rounding),
        ending=float(0.01 * (rounding >= 0.5)),
        freight=float(rng.choice([0.0, 2.0, 10.0])) if rng.random() < 0.8 else None,
        duty=float(rng.choice([0.0, 0.05])),
        risk=float(rng.choice([0.0, 0.05])),
        capacity={name: float(rng.uniform(20, 300)) for name in products if rng.random() < 0.3},
        confidence=float(rng.choice([0.1, 0.5, 0.8])),
    )
