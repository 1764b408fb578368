"""From a contract and its surroundings to the verdict: which tiers hold, which one to offer, when to walk away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np
import polars as pl

from hwds.pricing.contract.simulate import (
    ContractOutcome,
    ContractRisks,
    ContractWorld,
    outcome,
    pocket_margins,
    tornado,
    without_contract,
)
from hwds.pricing.contract.terms import SLACK, dumping_zone
from hwds.pricing.contract.tiers import TierSchedule, break_even_uplift, needed_elasticity
from hwds.pricing.contract.verdict import ATTAINED, TIERS, TORNADO, WATERFALL
from hwds.pricing.optimum.guardrails import floor_price

PRICES_TRIED = 41
"""Prices between the floor and the list price among which the one to walk away at is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRules:
    """The conditions that a tier must meet to be offered.

    Attributes:
        floor: The least pocket margin, at each of `ATTAINED`.
        most_risk: The most probability of a margin below the floor.
        most_shortfall: The most probability that less is taken than committed.
        confidence: The least probability of earning more than without a contract.
        level: Of the intervals.
    """

    floor: float
    most_risk: float
    most_shortfall: float
    confidence: float
    level: float


@dataclass(frozen=True, eq=False)
class ContractDecision:
    """The decision that follows from the outcomes.

    Attributes:
        tiers, tornado, waterfall: See `hwds.pricing.contract.verdict`.
        offered: The tier to offer; None on hold.
        floor_price: The price below which the pocket margin is below the floor.
        walk_away: The price below which no contract is better; None where it is so at all up to the list price.
    """

    tiers: pl.DataFrame
    tornado: pl.DataFrame
    waterfall: pl.DataFrame
    offered: int | None
    floor_price: float
    walk_away: float | None


def decide_contract(world: ContractWorld, risks: ContractRisks, rules: OfferRules) -> ContractDecision:
    """Return the tier with the largest expected net margin of those that hold, and the price below which to walk away.

    Args:
        world: The contract and its surroundings.
        risks: Draws of what is uncertain.
        rules: What a tier must hold.
    """
    cost, alone = float(risks.cost.mean()), without_contract(world, risks)
    outcomes = [outcome(world, tier, risks) for tier in range(len(world.schedule))]
    tiers = pl.DataFrame([_row(world, tier, each, risks, rules, alone) for tier, each in enumerate(outcomes)], schema=TIERS)
    possible = tiers.filter((pl.col("verdict") == "possible") & (pl.col("tier") > 0)).sort("net", descending=True)
    offered = int(possible["tier"][0]) if len(possible) else None
    best = int(tiers[1:].sort("net", descending=True)["tier"][0]) if offered is None else offered
    swings = pl.DataFrame(
        [(name, low, high, middle, abs(high - low)) for name, low, high, middle in tornado(world, best, risks)],
        schema=TORNADO,
        orient="row",
    )
    floor = floor_price(cost, rules.floor, world.terms.most_given_back)
    least = _indifferent(world, best, risks, floor, float(alone.mean()), offered=offered is not None)
    return ContractDecision(
        tiers=tiers.with_columns(_offered(offered)),
        tornado=swings.sort("swing", descending=True, maintain_order=True),
        waterfall=_waterfall(world, outcomes[best], risks),
        offered=offered,
        floor_price=floor,
        walk_away=None if least is None else max(floor, least),
    )


def _row(
    world: ContractWorld, tier: int, made: ContractOutcome, risks: ContractRisks, rules: OfferRules, alone: np.ndarray
) -> dict[str, Any]:
    schedule, cost = world.schedule, float(risks.cost.mean())
    discount = schedule.discounts[tier]
    margin = 1 - cost / (schedule.list_price * (1 - world.terms.deductions))
    margins = pocket_margins(world, tier, float(risks.elasticity.mean()), cost, tuple(ATTAINED.values()))
    zone, paid = dumping_zone(schedule, tier, world.terms), made.settlement
    low, high = np.quantile(made.net, [(1 - rules.level) / 2, (1 + rules.level) / 2])
    short = np.maximum(schedule.quantities[tier] - paid.units, 0.0)
    uplift, needed = break_even_uplift(margin, discount), needed_elasticity(margin, discount)
    row = {
        "tier": tier, "from_units": schedule.quantities[tier], "discount": discount, "price": schedule.prices[tier],
        **{f"margin_{name}": margins[level] for name, level in ATTAINED.items()},
        "floor_holds": bool(min(margins.values()) >= rules.floor - 1e-9),
        "zone_low": zone and zone.low, "zone_high": zone and zone.high, "most_leak": zone and zone.most_leak,
        "marginal_discount": marginal_discounts(world, floor_price(cost, rules.floor, world.terms.most_given_back))[tier],
        "break_even_uplift": uplift if isfinite(uplift) else None, "needed_elasticity": needed if isfinite(needed) else None,
        "units": paid.units.mean(), "net": made.net.mean(), "net_low": low, "net_high": high,
        "gain": (made.net - alone).mean(), "probability_gain": (made.net - alone > SLACK * np.abs(alone)).mean(),
        "probability_below_floor": (made.share < rules.floor).mean(), "probability_shortfall": (short > 0).mean(),
        "shortfall_units": short.mean(), "clawback": paid.clawback.mean(), "fee": paid.fee.mean(), "retro": paid.retro.mean(),
        "cannibalised": made.cannibalised.mean(), "leaked": made.leaked.mean(), "leak_loss": made.leak_loss.mean(),
    }  # fmt: skip
    return {**row, "verdict": _verdict(row, rules)}


def _offered(tier: int | None) -> pl.Expr:
    is_offered = pl.lit(False) if tier is None else pl.col("tier") == tier
    return pl.when(is_offered).then(pl.lit("offer")).otherwise(pl.col("verdict")).alias("verdict")


def _verdict(row: Mapping[str, Any], rules: OfferRules) -> str:
    if not row["floor_holds"]:
        return "margin_floor"
    if row["probability_below_floor"] > rules.most_risk:
        return "risk"
    if row["probability_shortfall"] > rules.most_shortfall:
        return "shortfall"
    gains = row["gain"] > 0 and row["probability_gain"] >= rules.confidence
    return "possible" if gains else "no_gain"


def marginal_discounts(world: ContractWorld, floor: float) -> tuple[float, ...]:
    """Return the discounts of incremental tiers with the bill of these at the end of each, no unit below the floor price."""
    schedule = world.schedule
    if schedule.kind == "incremental":
        return schedule.discounts
    last = max(world.law.upside, 1.25 * schedule.quantities[-1])
    return schedule.without_zones(last, 1 - floor / schedule.list_price).discounts


def _indifferent(
    world: ContractWorld, tier: int, risks: ContractRisks, floor: float, alone: float, *, offered: bool
) -> float | None:
    """Return the lowest price, of a contract for the same commitment, down to which it earns as much as none does.

    The search goes down from the price of a tier that is offered, which earns more, or else from the list price; None where no
    price down to the floor earns as much.
    """
    schedule = world.schedule
    highest = schedule.prices[tier] if offered else schedule.list_price
    if floor >= schedule.list_price:
        return schedule.list_price
    lowest = highest if offered else None
    for price in np.linspace(highest, np.clip(floor, 1e-3 * highest, highest), PRICES_TRIED):
        discount = max(1 - float(price) / schedule.list_price, SLACK)
        single = TierSchedule.of(schedule.list_price, (schedule.quantities[tier],), (discount,), schedule.kind)
        net = float(outcome(replace(world, schedule=single), 1, risks).net.mean())
        if net >= alone - 10 * SLACK * abs(alone):
            lowest = float(price)
        elif lowest is not None:
            break
    return lowest


def _waterfall(world: ContractWorld, made: ContractOutcome, risks: ContractRisks) -> pl.DataFrame:
    paid = made.settlement
    listed = world.schedule.list_price * paid.units
    currency = paid.pocket * (risks.currency - 1)
    steps = {
        "at list price": listed.mean(),
        "tier discount": (paid.bill - listed).mean(),
        "clawback": paid.clawback.mean(),
        "shortfall fee": paid.fee.mean(),
        "deductions": -paid.deductions.mean(),
        "retro rebate": -paid.retro.mean(),
        "currency": currency.mean(),
        "cost": -(risks.cost * paid.units).mean(),
        "other channels": -made.cannibalised.mean(),
        "units sold on": -made.leak_loss.mean(),
    }
    amounts = pl.Series("amount", list(steps.values()), pl.Float64)
    return pl.DataFrame({"step": list(steps), "amount": amounts, "total": amounts.cum_sum()}, schema=WATERFALL)
