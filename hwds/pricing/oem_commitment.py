"""A volume contract decided: which tier to offer, when to walk away, its report and its pack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl
from polars import DataFrame, Series, col

from hwds.pricing.contract import (
    CONTRACT_SLACK,
    ContractOutcome,
    ContractRisks,
    ContractWorld,
    TierSchedule,
    break_even_uplift,
    contract_tornado,
    dumping_zone,
    needed_elasticity,
    pocket_margins,
    tier_outcome,
    without_contract,
)
from hwds.pricing.recommended_prices import floor_price
from hwds.results.tables import Column, Declared, Verdict, row_of, with_interval

if TYPE_CHECKING:
    pass


# The verdict on a volume contract: a table of tiers, a tornado and a waterfall, and its words:
# what to offer and when to walk away come first.

ATTAINED_LEVELS = {"p10": 0.1, "p50": 0.5, "p90": 0.9}
"""The levels of the volume attained for which margins are reported."""

TIER_REFUSALS = {
    "margin_floor": "below the margin floor at some attainment",
    "risk": "too likely below the margin floor",
    "shortfall": "for more than the buyer is likely to take",
    "no_gain": "not sure to earn more than no contract",
}
"""Why a tier is not offered."""

TIERS = Declared.of(
    Column("tier", "count", "The tier, 0 for the list price."),
    Column("from_units", "units", "The units from which it counts.", "from units", "from"),
    Column("discount", "share", "Off the list price.", "discount, %", "off\n%"),
    Column("price", "number", "The invoice price.", "price", "price"),
    Column(
        "verdict",
        "text",
        "`offer`, `possible`, or why it is not offered: `margin_floor`, `risk`, `shortfall`, "
        "`no_gain`.",
        "verdict",
        "verdict",
    ),
    (
        Column(
            f"margin_{name}",
            "share",
            "The pocket margin, after retro rebates, where the volume attained is at this "
            "quantile.",
            f"pocket margin at {name.upper()}, %",
        )
        for name in ATTAINED_LEVELS
    ),
    Column(
        "margins",
        "made",
        "",
        "pocket margin at P10 / P50 / P90, %",
        "margin, %\nP10/P50/P90",
        "{{ margin_p10 | share }} / {{ margin_p50 | share }} / {{ margin_p90 | share }}",
    ),
    Column("floor_holds", "flag", "Whether each is above the floor.", "holds the floor"),
    Column(
        "zone_low",
        "units",
        "The lower end of the dumping zone below the tier; null where there is none.",
        "dumping zone",
        "dumping\nzone",
        to="zone_high",
    ),
    Column("zone_high", "units", "Its upper end."),
    Column("most_leak", "units", "The most units that one buyer in the zone does not need."),
    Column(
        "marginal_discount",
        "share",
        "That of incremental tiers with the same bill at the end of each tier, which have no such "
        "zone (a rebate or a fee aside); no unit is sold below the floor price.",
        "marginal discount without a zone, %",
    ),
    Column(
        "break_even_uplift",
        "share",
        "Against the list price after deductions; null where no uplift suffices.",
        "break-even uplift, %",
    ),
    Column("needed_elasticity", "number", "Likewise.", "needed elasticity"),
    Column("units", "number", "Expected units."),
    with_interval(
        Column(
            "net",
            "number",
            "The margin less what other cells lose to the price and to units sold on.",
            "expected margin",
            "net",
        ),
        ends="",
    ),
    Column(
        "gain",
        "number",
        "What it is more than without a contract, where units leak, too.",
        "against no contract",
        "gain",
    ),
    Column("probability_gain", "share", "", "P(more than without), %", "P(gain)\n%"),
    Column("probability_below_floor", "share", "", "P(below the floor), %", "P(floor)\n%"),
    Column("probability_shortfall", "share", "", "P(shortfall), %", "P(short)\n%"),
    Column("shortfall_units", "number", "Expected units short of the commitment."),
    Column("clawback", "number", "", "clawback, expected"),
    Column("fee", "number", "", "shortfall fee, expected"),
    Column("retro", "number", "", "retro rebate, expected"),
    Column("cannibalised", "number", "Negative where they gain.", "other cells lose"),
    Column("leaked", "number", "Expected units that are sold on.", "units sold on"),
    Column("leak_loss", "number", "What these cost."),
)
"""A row a tier, the list price first; money and units of the whole contract."""

TORNADO = Declared.of(
    Column("driver", "text", "What moves, the others at their medians."),
    Column("low", "number", "Net margin at its 10 % quantile."),
    Column("high", "number", "Net margin at its 90 % quantile."),
    Column("middle", "number", "Net margin at its median."),
    Column("swing", "number", "The distance of the ends."),
)

WATERFALL = Declared.of(
    Column("step", "text", "The step from the list price to the net margin of a tier."),
    Column("amount", "number", "Its expected amount."),
    Column("total", "number", "The running total."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OemVerdict(Verdict):
    """The tier of a volume contract to offer, and when to walk away; money and units of the whole
    contract.

    Attributes:
        action: `OFFER` or `HOLD`.
        cell, product, channel: The buyer's cell.
        unit, period: The unit of money, and what is a period.
        world: The contract and its surroundings.
        rules: What a tier must hold.
        today: What the buyer pays now.
        floor_price: The invoice price at which the pocket margin is the floor after all that is
            given back.
        walk_away: The price below which no contract is better, at least the floor price; None up to
            the list price.
        leak: The share of units that is taken to be sold on where that pays, and where that is
            from.
        leak_source: See `leak`.
        tiers, tornado, waterfall: See `TIERS`, `TORNADO`, `WATERFALL`.
    """

    files: ClassVar = {
        "oem_tiers": "tiers",
        "oem_tornado": "tornado",
        "oem_waterfall": "waterfall",
    }
    stored = (
        "world.periods",
        "world.kept",
        "world.schedule.kind",
        "world.schedule.list_price",
        "world.law.committed",
        "world.law.base",
        "world.law.upside",
        "world.law.levels",
        "world.law.source",
        "rules.floor",
        "rules.level",
    )
    words = """
    {%- macro at_levels(law) -%}
    {% for level, volume in law.volumes %}P{{ (100 * level) | written(".3g") }} {{ volume | units }}
    {%- if not loop.last %}, {% endif %}{% endfor %}
    {%- endmacro %}
    {%- set listed = world.schedule.list_price %}
    {%- if not offer -%}
    HOLD: no tier for {{ cell }} holds all rules.
    {%- else -%}
    OFFER {{ cell }} {{ offer.price | money(unit) }} ({{ offer.discount | percent }} off) for a
    commitment of {{ offer.from_units | units }} units:
    {{ offer.gain | size(offer.gain, offer.gain, unit, sign=true) }} against no contract, a gain
    with a probability of {{ offer.probability_gain | chance }}.
    {%- endif %}

    {% if walk_away is none -%}
    WALK AWAY at any price up to the list price: no contract for so many units earns as much as
    none.
    {%- elif walk_away > listed -%}
    WALK AWAY: even the list price is below {{ walk_away | money(unit) }}.
    {%- else -%}
    WALK AWAY below {{ walk_away | money(unit) }}, {{ (1 - walk_away / listed) | percent }} off list
    ({%- if walk_away <= floor_price * 1.000000001 %}the margin floor
    {%- else %}no contract earns as much there; floor price {{ floor_price | money(unit) }}
    {%- endif %}).
    {%- endif %}

    {% if offer -%}
    The margin is {{ offer.net | size(offer.net_low, offer.net_high, unit) }}
    ({{- (100 * rules.level) | written("g") }} %:
    {{ offer.net | ends(offer.net_low, offer.net_high, unit) }}); the pocket margin is below
    {{ rules.floor | percent }} with a probability of {{ offer.probability_below_floor | chance }}.
    {%- endif %}

    {% if refused -%}
    Not offered: {% for why, names in refused.items() -%}
    {{ names | join(", ") }} {{ why }}{% if not loop.last %}; {% endif %}
    {%- endfor %}.
    {%- endif %}

    {% if zones -%}
    {%- set worst = zones | sort(attribute="most_leak") | last -%}
    A buyer who needs {{ worst.zone_low | span(worst.zone_high) }} units pays less for
    {{ worst.zone_high | units }} and sells on up to {{ worst.most_leak | units }}; incremental
    tiers without a rebate or a fee have no such zone.
    {%- endif %}

    {% if swing -%}
    The {{ swing.driver }} moves it most: {{ [swing.low, swing.high] | min | money(unit) }} to
    {{ [swing.low, swing.high] | max | money(unit) }}.
    {%- endif %}

    Volume at today's price over {{ world.periods }} {{ period }}s: {{ at_levels(world.law) }}
    ({{ world.law.source }});
    {%- if world.law.most %} capped by what can be delivered, {{ at_levels(world.law.most) }};
    {%- endif %} without a contract the buyer is taken to buy {{ world.kept | percent }} of it.

    {{ note }}
    """

    action: Literal["OFFER", "HOLD"]
    cell: str
    product: str
    channel: str
    unit: str
    period: str
    world: ContractWorld
    rules: OfferRules
    today: float
    floor_price: float
    walk_away: float | None
    leak: float
    leak_source: str
    tiers: DataFrame
    tornado: DataFrame
    waterfall: DataFrame

    @property
    def offer(self) -> dict[str, Any]:
        """The tier that is offered; empty on hold."""
        return row_of(self.tiers, verdict="offer") or {}

    @property
    def zones(self) -> list[dict[str, Any]]:
        """The tiers with a dumping zone."""
        return self.tiers.drop_nulls("zone_low").to_dicts()

    @property
    def swing(self) -> dict[str, Any] | None:
        """The driver that moves the margin most."""
        return next(self.tornado.iter_rows(named=True), None)

    @property
    def refused(self) -> dict[str, tuple[str, ...]]:
        """The tiers that are not offered, by the reason in words."""
        return {TIER_REFUSALS[rule]: tiers for rule, tiers in self.excluded.items()}

    @property
    def in_unit(self) -> str:
        """The unit of money behind a title."""
        return f", {self.unit}" if self.unit else ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, with those of the tier that is offered."""
        most = self.world.law.most
        return (
            Verdict.as_dict(self)
            | {name: self.offer.get(name) for name in OFFERED}
            | {
                "commitment": self.offer.get("from_units"),
                "deliverable": most and (most.committed, most.base, most.upside),
            }
        )


# From a contract and its surroundings to the verdict: which tiers hold, which one to offer,
# when to walk away.

OFFERED = (
    *("tier", "discount", "price", "units", "net", "net_low", "net_high", "gain"),
    *("probability_gain", "probability_below_floor", "probability_shortfall"),
)
"""What is stored of the tier that is offered."""

PRICES_TRIED = 41
"""Prices between the floor and the list price among which the one to walk away at is looked for."""

WALK_AWAY_ROUNDING = 1e-6
"""The share of a price to which the one to walk away at is then found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRules:
    """The conditions that a tier must meet to be offered.

    Attributes:
        floor: The least pocket margin, at each of `ATTAINED`.
        most_risk: The most probability of a margin below the floor.
        most_shortfall: The most probability that less is taken than committed.
        confidence: The least probability of earning more than without a contract.
        level: The level of the intervals.
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
        tiers, tornado, waterfall: See `hwds.pricing.oem_commitment`.
        offered: The tier to offer; None on hold.
        floor_price: The price below which the pocket margin is below the floor.
        walk_away: The price below which no contract is better; None where it is so at all up to the
            list price.
    """

    tiers: DataFrame
    tornado: DataFrame
    waterfall: DataFrame
    offered: int | None
    floor_price: float
    walk_away: float | None


def decide_contract(
    world: ContractWorld, risks: ContractRisks, rules: OfferRules
) -> ContractDecision:
    """Return the tier with the largest expected net margin of those that hold, and the price below
    which to walk away.

    Args:
        world: The contract and its surroundings.
        risks: Draws of what is uncertain.
        rules: What a tier must hold.
    """
    cost, alone = float(risks.cost.mean()), without_contract(world, risks)
    outcomes = [tier_outcome(world, tier, risks) for tier in range(len(world.schedule))]
    tiers = TIERS.frame(
        [_tier_row(world, tier, each, risks, rules, alone) for tier, each in enumerate(outcomes)]
    )
    possible = tiers.filter(col("tier") > 0, verdict="possible").sort("net", descending=True)
    offered = int(possible["tier"][0]) if len(possible) else None
    best = int(tiers[1:].sort("net", descending=True)["tier"][0]) if offered is None else offered
    swings = TORNADO.frame(
        [
            (name, low, high, middle, abs(high - low))
            for name, low, high, middle in contract_tornado(world, best, risks)
        ]
    )
    floor = floor_price(cost, rules.floor, world.terms.most_given_back)
    least = _indifference_price(
        world, best, risks, floor, float(alone.mean()), offered=offered is not None
    )
    return ContractDecision(
        tiers=tiers.with_columns(_mark_offered(offered)),
        tornado=swings.sort("swing", descending=True, maintain_order=True),
        waterfall=_tier_waterfall(world, outcomes[best], risks),
        offered=offered,
        floor_price=floor,
        walk_away=None if least is None else max(floor, least),
    )


def _tier_row(
    world: ContractWorld,
    tier: int,
    made: ContractOutcome,
    risks: ContractRisks,
    rules: OfferRules,
    alone: np.ndarray,
) -> dict[str, Any]:
    schedule, cost = world.schedule, float(risks.cost.mean())
    discount = schedule.discounts[tier]
    margin = 1 - cost / (schedule.list_price * (1 - world.terms.deductions))
    margins = pocket_margins(
        world, tier, float(risks.elasticity.mean()), cost, tuple(ATTAINED_LEVELS.values())
    )
    zone, paid = dumping_zone(schedule, tier, world.terms), made.settlement
    gained = made.net - alone
    gained = np.where(np.abs(gained) > CONTRACT_SLACK * np.abs(alone), gained, 0.0)
    low, high = np.quantile(made.net, [(1 - rules.level) / 2, (1 + rules.level) / 2])
    short = np.maximum(schedule.quantities[tier] - paid.units, 0.0)
    uplift, needed = break_even_uplift(margin, discount), needed_elasticity(margin, discount)
    row = {
        "tier": tier,
        "from_units": schedule.quantities[tier],
        "discount": discount,
        "price": schedule.prices[tier],
        **{f"margin_{name}": margins[level] for name, level in ATTAINED_LEVELS.items()},
        "floor_holds": bool(min(margins.values()) >= rules.floor - 1e-9),
        "zone_low": zone and zone.low,
        "zone_high": zone and zone.high,
        "most_leak": zone and zone.most_leak,
        "marginal_discount": marginal_discounts(
            world, floor_price(cost, rules.floor, world.terms.most_given_back)
        )[tier],
        "break_even_uplift": uplift if isfinite(uplift) else None,
        "needed_elasticity": needed if isfinite(needed) else None,
        "units": paid.units.mean(),
        "net": made.net.mean(),
        "net_low": low,
        "net_high": high,
        "gain": gained.mean(),
        "probability_gain": (gained > 0).mean(),
        "probability_below_floor": (made.share < rules.floor).mean(),
        "probability_shortfall": (short > 0).mean(),
        "shortfall_units": short.mean(),
        "clawback": paid.clawback.mean(),
        "fee": paid.fee.mean(),
        "retro": paid.retro.mean(),
        "cannibalised": made.cannibalised.mean(),
        "leaked": made.leaked.mean(),
        "leak_loss": made.leak_loss.mean(),
    }
    return {**row, "verdict": _tier_verdict(row, rules)}


def _mark_offered(tier: int | None) -> pl.Expr:
    is_offered = pl.lit(False) if tier is None else col("tier") == tier
    return pl.when(is_offered).then(pl.lit("offer")).otherwise(col("verdict")).alias("verdict")


def _tier_verdict(row: Mapping[str, Any], rules: OfferRules) -> str:
    if not row["floor_holds"]:
        return "margin_floor"
    if row["probability_below_floor"] > rules.most_risk:
        return "risk"
    if row["probability_shortfall"] > rules.most_shortfall:
        return "shortfall"
    gains = row["gain"] > 0 and row["probability_gain"] >= rules.confidence
    return "possible" if gains else "no_gain"


def marginal_discounts(world: ContractWorld, floor: float) -> tuple[float, ...]:
    """Return the discounts of incremental tiers with the bill of these at the end of each, no unit
    below the floor price.
    """
    schedule = world.schedule
    if schedule.kind == "incremental":
        return schedule.discounts
    last = max(world.law.upside, 1.25 * schedule.quantities[-1])
    return schedule.without_zones(last, 1 - floor / schedule.list_price).discounts


def _indifference_price(
    world: ContractWorld,
    tier: int,
    risks: ContractRisks,
    floor: float,
    alone: float,
    *,
    offered: bool,
) -> float | None:
    """Return the lowest price, of a contract for the same commitment, down to which it earns as
    much as none does.

    The search goes down from the price of a tier that is offered, which earns more, or else from
    the list price; None where no price down to the floor earns as much.
    """
    schedule = world.schedule
    highest = schedule.prices[tier] if offered else schedule.list_price
    if floor >= schedule.list_price:
        return schedule.list_price

    def pays(price: float) -> bool:
        discount = max(1 - price / schedule.list_price, CONTRACT_SLACK)
        single = TierSchedule.of(
            schedule.list_price, (schedule.quantities[tier],), (discount,), schedule.kind
        )
        net = float(tier_outcome(replace(world, schedule=single), 1, risks).net.mean())
        return net >= alone - 10 * CONTRACT_SLACK * abs(alone)

    lowest = highest if offered else None
    for price in np.linspace(highest, np.clip(floor, 1e-3 * highest, highest), PRICES_TRIED):
        if pays(float(price)):
            lowest = float(price)
        elif lowest is not None:
            return _halved(pays, float(price), lowest)
    return lowest


def _halved(pays: Callable[[float], bool], low: float, high: float) -> float:
    """Return the lowest price that pays between one that does not and one that does."""
    while high - low > WALK_AWAY_ROUNDING * high:
        middle = (low + high) / 2
        low, high = (low, middle) if pays(middle) else (middle, high)
    return high


def _tier_waterfall(world: ContractWorld, made: ContractOutcome, risks: ContractRisks) -> DataFrame:
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
    amounts = Series("amount", list(steps.values()), pl.Float64)
    return WATERFALL.frame({"step": list(steps), "amount": amounts, "total": amounts.cum_sum()})
