"""A volume contract decided: which tier to offer, when to walk away, its report and its pack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from hwds.report.grid import declared_grid
from hwds.report.hooks import DecisionPack, TableReport
from hwds.report.page_parts import Definitions, GridTable, Listing, Page, Picture, Section, Text
from hwds.report.pictures import (
    ALARM_COLOUR,
    FLOOR_COLOUR,
    GREY,
    INK,
    LIGHT,
    NAIVE_COLOUR,
    OWN_COLOUR,
    headline,
    name_rows,
    new_figure,
    thousands,
    tidy,
)
from hwds.report.words import say
from hwds.results.tables import Column, Declared, Verdict, row_of, with_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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


# The margin of a contract: what moves it most, and what becomes of the list price.


def tornado_figure(verdict: OemVerdict) -> Figure:
    """Return the figure."""
    rows = verdict.tornado
    figure = new_figure(7.5, 1.6 + 0.45 * len(rows))
    axes = figure.subplots()
    middle = rows["middle"][0]
    for end, colour, level in (("low", NAIVE_COLOUR, 10), ("high", OWN_COLOUR, 90)):
        axes.barh(
            np.arange(len(rows)),
            rows[end].to_numpy() - middle,
            left=middle,
            color=colour,
            height=0.6,
            label=f"at its {level} % quantile",
        )
    axes.axvline(middle, color=INK, linewidth=1.2)
    name_rows(axes, range(len(rows)), rows["driver"])
    axes.invert_yaxis()
    thousands(axes.xaxis)
    axes.legend(fontsize=8.5, frameon=False, loc="lower right")
    headline(figure, f"What moves the margin of {_drawn_tier(verdict)}")
    tidy(axes, "x", x=f"net margin{verdict.in_unit}, others at their medians")
    return figure


def waterfall_figure(verdict: OemVerdict) -> Figure:
    """Return the figure: steps of amount, in their order, then what remains."""
    rows = [
        row
        for row in verdict.waterfall.to_dicts()
        if abs(row["amount"]) > 5e-4 * abs(verdict.waterfall["amount"][0])
    ]
    figure = new_figure(9.5, 4.2)
    axes = figure.subplots()
    before = 0.0
    for place, row in enumerate(rows):
        colour = OWN_COLOUR if not place else FLOOR_COLOUR if row["amount"] > 0 else ALARM_COLOUR
        axes.bar(place, row["amount"], bottom=before, color=colour, width=0.65)
        axes.annotate(
            f"{100 * row['amount'] / rows[0]['amount']:+.1f} %" if place else "100 %",
            (place, max(before, row["total"])),
            ha="center",
            va="bottom",
            fontsize=8.5,
            color=INK,
        )
        before = row["total"]
    axes.bar(len(rows), before, color=OWN_COLOUR, width=0.65)
    axes.annotate(
        f"{100 * before / rows[0]['amount']:.1f} %",
        (len(rows), max(before, 0.0)),
        ha="center",
        va="bottom",
        fontsize=8.5,
    )
    names = [row["step"].replace(" ", "\n", 1) for row in rows]
    axes.set_xticks(range(len(rows) + 1), [*names, "net\nmargin"], fontsize=8.5)
    thousands(axes.yaxis)
    axes.set_ylim(top=1.08 * axes.get_ylim()[1])
    over = f"expected, over {verdict.world.periods} {verdict.period}s{verdict.in_unit}"
    headline(figure, f"From the list price to the margin of {_drawn_tier(verdict)}")
    tidy(axes, title=f"{over}; shares of the list price")
    return figure


def _drawn_tier(verdict: OemVerdict) -> str:
    """Return the tier that is drawn: the one offered, or else the one that earns most."""
    rows = verdict.tiers.filter(verdict.tiers["tier"] > 0)
    row = (
        rows.filter(rows["verdict"] == "offer")
        if verdict.offer
        else rows.sort("net", descending=True)
    )
    return f"{100 * row['discount'][0]:g} % from {row['from_units'][0]:,.0f} units"


TORNADO_REPORT = TableReport(
    figure=tornado_figure,
    caption="The net margin with each driver at its 10 % and its 90 % quantile, the largest swing "
    "first",
)
WATERFALL_REPORT = TableReport(
    figure=waterfall_figure,
    caption="What becomes of the list price: discount, what is given back, cost, and what other "
    "channels lose",
)


# The picture of bills with dumping zones and of margins at each attainment.


def tier_figure(verdict: OemVerdict) -> Figure:
    """Return the figure: bills on the left, margins on the right."""
    figure = new_figure(11.5, 4.6)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    _draw_bills(left, verdict)
    _draw_margins(right, verdict)
    title = say(
        "{{ action }} {{ cell }}: {% if offer %}{{ offer.price | money(unit) }} for "
        "{{ offer.from_units | units }} units{% else %}no tier holds all rules{% endif %}; walk "
        "away{% if walk_away is not none %} below {{ walk_away | money(unit) }}{% endif %}",
        verdict,
    )
    headline(figure, title)
    return figure


def _draw_bills(axes: Axes, verdict: OemVerdict) -> None:
    tiers, law, schedule = verdict.tiers, verdict.world.law, verdict.world.schedule
    listed_price, quantities = schedule.list_price, tuple(tiers["from_units"])
    smooth = TierSchedule(
        listed_price, quantities, tuple(tiers["marginal_discount"]), "incremental"
    )
    most = max(law.upside, 1.25 * quantities[-1])
    units = np.unique(
        np.concatenate(
            [
                np.linspace(0.5 * quantities[1], most, 400),
                *(np.array([q - 1e-9 * q, q]) for q in quantities[1:]),
            ]
        )
    )
    listed = listed_price * units
    axes.plot(
        units,
        100 * (1 - schedule.bill(units) / listed),
        color=OWN_COLOUR,
        linewidth=1.8,
        label=schedule.kind.replace("_", " "),
    )
    if schedule.kind == "all_units":
        axes.plot(
            units,
            100 * (1 - smooth.bill(units) / listed),
            color=FLOOR_COLOUR,
            linestyle="--",
            label="incremental, same bill at the end of a tier",
        )
    for row in tiers.to_dicts():
        if row["zone_low"] is not None:
            label = "dumping zone: the next tier costs less" if row["tier"] == 1 else "_"
            axes.axvspan(
                row["zone_low"],
                row["zone_high"],
                color=ALARM_COLOUR,
                alpha=0.25,
                linewidth=0,
                label=label,
            )
    axes.axvspan(
        law.committed,
        law.upside,
        ymax=0.04,
        color=GREY,
        alpha=0.5,
        linewidth=0,
        label="volume, P10 to P90",
    )
    axes.plot(law.base, 0.02, "|", transform=axes.get_xaxis_transform(), color=INK, markersize=9)
    thousands(axes.xaxis)
    axes.legend(fontsize=8.5, facecolor="white", edgecolor="none", framealpha=0.9, loc="upper left")
    axes.set_ylim(top=axes.get_ylim()[1] * 1.35)
    tidy(axes, title="discount on the whole bill, %", x="units")


def _draw_margins(axes: Axes, verdict: OemVerdict) -> None:
    tiers = verdict.tiers
    place = np.arange(len(tiers))
    for shift, (name, colour) in zip(
        (-0.22, 0.0, 0.22),
        zip(ATTAINED_LEVELS, (LIGHT, OWN_COLOUR, NAIVE_COLOUR), strict=True),
        strict=True,
    ):
        axes.bar(
            place + shift,
            100 * tiers[f"margin_{name}"].to_numpy(),
            width=0.2,
            color=colour,
            label=name.upper(),
        )
    axes.axhline(100 * verdict.rules.floor, color=ALARM_COLOUR, linewidth=1.4, label="floor")
    names = [
        f"{100 * row['discount']:g} %\nfrom {row['from_units']:,.0f}" for row in tiers.to_dicts()
    ]
    axes.set_xticks(place, ["list price", *names[1:]], fontsize=8.5)
    axes.set_ylim(top=axes.get_ylim()[1] * 1.25)
    axes.legend(fontsize=8.5, frameon=False, ncols=4, loc="upper left")
    tidy(axes, title="pocket margin by attained volume, %")


TIERS_REPORT = TableReport(
    columns=TIERS,
    order="from_units verdict discount price margins zone_low marginal_discount break_even_uplift "
    "needed_elasticity net gain probability_gain probability_below_floor probability_shortfall "
    "cannibalised leaked",
    names=2,
    own="{{ offer.from_units | units if offer }}",
    title="Tiers for {{ cell }}, {{ world.schedule.kind }}:",
    figure=tier_figure,
    caption="The bill by units with dumping zones and incremental tiers without one, and the "
    "pocket "
    "margin at each attainment",
)


# The pack of a volume contract for those who decide: a page and a workbook, the recommendation
# and the walk-away first.


ATTAINMENT = "from_units price margin_p10 margin_p50 margin_p90 floor_holds clawback fee retro"
"""The columns of the tiers that say the margin at each attainment."""

OFFER_TERMS = {
    "action": "{{ action }}",
    "price to offer": "{% if offer %}{{ offer.price | money(unit) }}, {{ offer.discount | "
    "percent }}"
    " off {{ world.schedule.list_price | money(unit) }}{% endif %}",
    "commitment": "{% if offer %}{{ offer.from_units | units }} units over {{ world.periods }} "
    "{{ period }}s{% endif %}",
    "expected margin": "{% if offer %}{{ offer.net | money(unit) }}, {{ offer.gain | money(unit) "
    "}} "
    "more than without a contract{% endif %}",
    "margin below the floor": "{{ offer.probability_below_floor | chance if offer }}",
    "fewer units than committed": "{{ offer.probability_shortfall | chance if offer }}",
    "walk away below": "{% if walk_away is none %}any price up to the list price{% else %}"
    "{{ walk_away | money(unit) }}, {{ (1 - walk_away / world.schedule.list_price) | percent }} "
    "off "
    "list{% endif %}",
    "floor price": "{{ floor_price | money(unit) }}, at which the pocket margin is "
    "{{ rules.floor | percent }}",
}
"""The terms of the offer with their values, the action first; what is empty is left out."""

VOLUMES_AT = (
    "{% for _, volume in law.volumes %}{{ volume | units }}{{ ' / ' if not loop.last }}{% endfor %}"
)

LEVELS_AT = (
    "{% for level in world.law.levels %}P{{ (100 * level) | written('.3g') }}"
    "{{ ' / ' if not loop.last }}{% endfor %}"
)

ASSUMPTIONS = {
    "today's price": "{{ today | money(unit) }}",
    f"volume at today's price, {LEVELS_AT}": "{% set law = world.law %}"
    f"{VOLUMES_AT} ({{{{ law.source }}}})",
    f"volume that can be delivered, {LEVELS_AT}": "{% set law = world.law.most %}"
    f"{{% if law %}}{VOLUMES_AT}{{% endif %}}",
    "volume without a contract": "{{ world.kept | percent }} of it",
    "units sold on where it pays": "{{ leak | percent }} ({{ leak_source }})",
    "least pocket margin": "{{ rules.floor | percent }}",
    "not offered": "{% for why, names in refused.items() %}{{ names | join(', ') }}: {{ why }}"
    "{{ '; ' if not loop.last }}{% else %}no tier was refused{% endfor %}",
}
"""What was assumed, with its values; what is empty is left out."""

ZONE = """Who needs between {{ zone_low | units }} and {{ zone_high | units }} units pays less for
{{ zone_high | units }}: up to {{ most_leak | units }} units are sold on. Expected here:
{{ leaked | units }} units, a loss of {{ leak_loss | money(unit) }}."""

NO_ZONES = """Incremental tiers with the same bill at the end of each tier have none, a rebate or a
fee aside:
{% for row in zones %}{{ row.marginal_discount | share }} % from {{ row.from_units | units }}
{%- if not loop.last %}, {% endif %}{% endfor %}, on the units beyond each."""


def contract_page(verdict: OemVerdict) -> Page:
    """Return the page: what to offer and when to walk away, the tiers, the margin, the risks, what
    was assumed.
    """
    tiers, waterfall, tornado = (
        Picture.of_figure(report.figure(verdict), report.caption, f"{name}.svg")  # type: ignore[misc,arg-type]
        for name, report in (
            ("tiers", TIERS_REPORT),
            ("waterfall", WATERFALL_REPORT),
            ("tornado", TORNADO_REPORT),
        )
    )
    grid = TIERS_REPORT.grid_of(verdict, verdict.tiers)
    assert grid is not None
    attained = declared_grid(TIERS, verdict.tiers, verdict, columns=ATTAINMENT)
    sections = (
        Section("What to do", (Definitions(_filled(OFFER_TERMS, verdict)),)),
        Section("Tiers", (GridTable(grid), tiers)),
        Section("Dumping zones", tuple(_zones_part(verdict))),
        Section("Margin at each attainment", (GridTable(attained),)),
        Section("From list price to margin", (waterfall,)),
        Section("What moves the margin", (tornado,)),
        Section("What was assumed", (Definitions(_filled(ASSUMPTIONS, verdict)),)),
    )
    title = f"OEM commitment: {verdict.product} for {verdict.channel}"
    below = say(
        "{{ cell }}, {{ world.periods }} {{ period }}s, {{ world.schedule.kind | word }} tiers; "
        "decision {{ decision }}.",
        verdict,
    )
    return Page(title, verdict.sentence, below, sections)


def _filled(rows: Mapping[str, str], verdict: OemVerdict) -> tuple[tuple[str, str], ...]:
    said = ((say(name, verdict), say(value, verdict)) for name, value in rows.items())
    return tuple((name, value) for name, value in said if value)


def _zones_part(verdict: OemVerdict) -> list[Any]:
    if not verdict.zones:
        return [Text("No tier has a dumping zone: by the terms more units always cost more.")]
    lines = tuple(say(ZONE, row, unit=verdict.unit) for row in verdict.zones)
    return [Listing(lines), Text(say(NO_ZONES, verdict))]


def contract_sheets(verdict: OemVerdict) -> Mapping[str, DataFrame]:
    """Return the sheets: the offer, the tiers, the tornado, the waterfall, what was assumed, and
    every value.
    """
    values = [
        (name, ", ".join(map(str, value)) if isinstance(value, tuple) else str(value))
        for name, value in verdict.as_dict().items()
        if not isinstance(value, dict)
    ]
    return {
        "offer": _two_column_sheet(_filled(OFFER_TERMS, verdict)),
        "tiers": verdict.tiers,
        "tornado": verdict.tornado,
        "waterfall": verdict.waterfall,
        "assumptions": _two_column_sheet(_filled(ASSUMPTIONS, verdict)),
        "values": _two_column_sheet(values),
    }


def _two_column_sheet(rows: Sequence[tuple[str, str]]) -> DataFrame:
    return DataFrame(rows, schema={"name": pl.String, "value": pl.String}, orient="row")


CONTRACT_PACK = DecisionPack(page=contract_page, sheets=contract_sheets)
