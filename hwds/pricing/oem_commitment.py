"""A volume contract decided: which tier to offer, when to walk away, its report and its pack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from hwds.pricing.contract import (
    CONTRACT_SLACK,
    ContractOutcome,
    ContractRisks,
    ContractWorld,
    TierKind,
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
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import DecisionPack, TableReport
from hwds.report.page_parts import Definitions, GridTable, Listing, Page, Picture, Section, Text
from hwds.report.pictures import (
    FLOOR_COLOUR,
    GREY,
    INK,
    LIGHT,
    NAIVE_COLOUR,
    OWN_COLOUR,
    drawable,
    new_figure,
    save_png,
    tidy,
)
from hwds.results.formatting import brief, column_texts, interval, percent, probability_text
from hwds.results.tables import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The verdict on a volume contract, as plain values, a table of tiers, a tornado and a
# waterfall.

ATTAINED_LEVELS = {"p10": 0.1, "p50": 0.5, "p90": 0.9}
"""The levels of the volume attained for which margins are reported."""

TIER_COLUMNS: dict[str, Any] = {
    "tier": pl.Int64,
    "from_units": pl.Float64,
    "discount": pl.Float64,
    "price": pl.Float64,
    "verdict": pl.String,
    **{f"margin_{name}": pl.Float64 for name in ATTAINED_LEVELS},
    "floor_holds": pl.Boolean,
    "zone_low": pl.Float64,
    "zone_high": pl.Float64,
    "most_leak": pl.Float64,
    "marginal_discount": pl.Float64,
    "break_even_uplift": pl.Float64,
    "needed_elasticity": pl.Float64,
    "units": pl.Float64,
    "net": pl.Float64,
    "net_low": pl.Float64,
    "net_high": pl.Float64,
    "gain": pl.Float64,
    "probability_gain": pl.Float64,
    "probability_below_floor": pl.Float64,
    "probability_shortfall": pl.Float64,
    "shortfall_units": pl.Float64,
    "clawback": pl.Float64,
    "fee": pl.Float64,
    "retro": pl.Float64,
    "cannibalised": pl.Float64,
    "leaked": pl.Float64,
    "leak_loss": pl.Float64,
}
"""Columns of the tiers, a row each, the list price first; money and units of the whole contract.

`verdict` is `offer`, `possible`, or why a tier is not offered: `margin_floor`, `risk`, `shortfall`,
`no_gain`. `margin_p10` to `margin_p90` are pocket margins, after retro rebates, where the volume
attained is at that quantile. The zone is the dumping zone below the tier, `most_leak` the most
units that one buyer in it does not need; both null where there is none. `marginal_discount` is that
of incremental tiers with the same bill at the end of each tier, which have no such zone (a rebate
or a fee aside); no unit is sold below the floor price. `break_even_uplift` and `needed_elasticity`
are those against the list price, both after deductions, null where no uplift suffices. `net` is the
margin less what other cells lose to the price (`cannibalised`, negative where they gain) and to
units sold on (`leak_loss`): mean and equal-tailed interval. `gain` is the mean of it less what is
earned without a contract. `clawback`, `fee`, `retro`, `leaked` are expected.
"""

TORNADO_COLUMNS = {
    "driver": pl.String,
    "low": pl.Float64,
    "high": pl.Float64,
    "middle": pl.Float64,
    "swing": pl.Float64,
}
"""Columns of the tornado: net margin with each driver at its 10 % and its 90 % quantile, others at
their medians.
"""

WATERFALL_COLUMNS = {"step": pl.String, "amount": pl.Float64, "total": pl.Float64}
"""Columns of the waterfall from the list price to the net margin of a tier: expected amounts, and
their running total.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OemVerdict(Verdict):
    """The tier of a volume contract to offer, and when to walk away; money and units of the whole
    contract.

    Attributes:
        action: `OFFER` or `HOLD`.
        cell, product, channel: The buyer's cell.
        unit, period, periods: Of money, and how long the contract is.
        kind: Of the tiers.
        list_price, today: Without a discount, and what the buyer pays now.
        tier, commitment, discount, price: What is offered; None on hold.
        units, net, net_low, net_high: What it is expected to sell and to earn.
        gain, probability_gain: Against no contract.
        floor: The least pocket margin.
        floor_price: The invoice price at which the pocket margin is the floor after all that is
            given back.
        walk_away: The price below which no contract is better, at least the floor price; None up to
            the list price.
        probability_below_floor, probability_shortfall: Of the offered tier.
        committed, base, upside: Volumes at today's price; at what levels, and from where.
        levels, source: Of these.
        deliverable: The volumes that can be delivered at most, at the same levels; None for any.
        leak: The share of units that is taken to be sold on where that pays, and where that is
            from.
        leak_source: See `leak`.
        level: Of the intervals.
        kept: The share of the volume that the buyer is taken to buy without a contract.
        tiers, tornado, waterfall: See `TIER_COLUMNS`, `TORNADO_COLUMNS`, `WATERFALL_COLUMNS`.
    """

    action: Literal["OFFER", "HOLD"]
    cell: str
    product: str
    channel: str
    unit: str
    period: str
    periods: int
    kind: TierKind
    list_price: float
    today: float
    tier: int | None
    commitment: float | None
    discount: float | None
    price: float | None
    units: float | None
    net: float | None
    net_low: float | None
    net_high: float | None
    gain: float | None
    probability_gain: float | None
    floor: float
    floor_price: float
    walk_away: float | None
    probability_below_floor: float | None
    probability_shortfall: float | None
    committed: float
    base: float
    upside: float
    levels: tuple[float, float, float]
    source: str
    deliverable: tuple[float, float, float] | None
    leak: float
    leak_source: str
    level: float
    kept: float
    tiers: pl.DataFrame
    tornado: pl.DataFrame
    waterfall: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; tiers, tornado and waterfall are tables beside them."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in ("tiers", "tornado", "waterfall")
        }

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the tiers, the tornado and the waterfall."""
        return {
            "oem_tiers": self.tiers,
            "oem_tornado": self.tornado,
            "oem_waterfall": self.waterfall,
        }


# A verdict on a volume contract in words, for a manager: what to offer and when to walk away
# come first.

TIER_REFUSALS = {
    "margin_floor": "below the margin floor at some attainment",
    "risk": "too likely below the margin floor",
    "shortfall": "for more than the buyer is likely to take",
    "no_gain": "not sure to earn more than no contract",
}
"""Why a tier is not offered."""


def contract_sentence(verdict: OemVerdict, note: str = "") -> str:
    """Return what to offer, when to walk away, what is left out and why, what leaks, and what moves
    the result most.
    """
    parts = [
        _offer_sentence(verdict),
        _walk_away_sentence(verdict),
        _volumes_sentence(verdict),
        _refused_sentence(verdict),
        _zones_sentence(verdict),
        _swing_sentence(verdict),
        note,
    ]
    return " ".join(filter(None, parts))


def _offer_sentence(verdict: OemVerdict) -> str:
    if (
        verdict.price is None
        or verdict.net is None
        or verdict.gain is None
        or verdict.probability_gain is None
    ):
        return f"HOLD: no tier for {verdict.cell} holds all rules."
    assert verdict.net_low is not None
    assert verdict.net_high is not None
    size, ends = interval(verdict.net, verdict.net_low, verdict.net_high, verdict.unit)
    gain = interval(verdict.gain, verdict.gain, verdict.gain, verdict.unit, sign=True)[0]
    return (
        f"OFFER {verdict.cell} {brief(verdict.price, None, verdict.unit)} "
        f"({percent(verdict.discount or 0.0)} off) for a"
        f" commitment of {verdict.commitment:,.0f} units: margin {size} ({100 * verdict.level:g} "
        f"%: {ends}), {gain} against no"
        f" contract, more with a probability of {probability_text(verdict.probability_gain)}; the "
        f"pocket margin is below"
        f" {percent(verdict.floor)} with one of "
        f"{probability_text(verdict.probability_below_floor or 0.0)}."
    )


def _walk_away_sentence(verdict: OemVerdict) -> str:
    if verdict.walk_away is None:
        return (
            "WALK AWAY at any price up to the list price: no contract for so many units earns "
            "as much as none."
        )
    price, floor = (
        brief(each, None, verdict.unit) for each in (verdict.walk_away, verdict.floor_price)
    )
    most = percent(1 - verdict.walk_away / verdict.list_price)
    if verdict.walk_away > verdict.list_price:
        return f"WALK AWAY: even the list price is below {price}."
    why = (
        "the margin floor"
        if verdict.walk_away <= verdict.floor_price * (1 + 1e-9)
        else f"no contract earns as much there; floor price {floor}"
    )
    return f"WALK AWAY below {price}, {most} off list ({why})."


def _volumes_sentence(verdict: OemVerdict) -> str:
    said = _at_levels(verdict.levels, (verdict.committed, verdict.base, verdict.upside))
    capped = (
        f" capped by what can be delivered, {_at_levels(verdict.levels, verdict.deliverable)};"
        if verdict.deliverable
        else ""
    )
    kept = f" without a contract the buyer is taken to buy {percent(verdict.kept)} of it."
    return (
        f"Volume at today's price over {verdict.periods} {verdict.period}s: {said} "
        f"({verdict.source});{capped}{kept}"
    )


def _at_levels(levels: tuple[float, float, float], volumes: tuple[float, float, float]) -> str:
    return ", ".join(
        f"P{100 * level:.3g} {volume:,.0f}" for level, volume in zip(levels, volumes, strict=True)
    )


def _refused_sentence(verdict: OemVerdict) -> str:
    reasons = [
        f"{', '.join(tiers)} {TIER_REFUSALS[rule]}" for rule, tiers in verdict.excluded.items()
    ]
    return f"Not offered: {'; '.join(reasons)}." if reasons else ""


def _zones_sentence(verdict: OemVerdict) -> str:
    rows: list[Mapping[str, Any]] = [
        row for row in verdict.tiers.to_dicts() if row["zone_low"] is not None
    ]
    if not rows:
        return ""
    worst = max(rows, key=lambda row: row["most_leak"])
    return (
        f"Who needs {worst['zone_low']:,.0f} to {worst['zone_high']:,.0f} units pays less for "
        f"{worst['zone_high']:,.0f} and"
        f" sells on up to {worst['most_leak']:,.0f}; incremental tiers without a rebate or a fee "
        f"have no such zone."
    )


def _swing_sentence(verdict: OemVerdict) -> str:
    if verdict.tornado.is_empty():
        return ""
    row = verdict.tornado.row(0, named=True)
    low, high = sorted((row["low"], row["high"]))
    return (
        f"The {row['driver']} moves it most: {brief(low, None, verdict.unit)} to "
        f"{brief(high, None, verdict.unit)}."
    )


# From a contract and its surroundings to the verdict: which tiers hold, which one to offer,
# when to walk away.

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
        tiers, tornado, waterfall: See `hwds.pricing.oem_commitment`.
        offered: The tier to offer; None on hold.
        floor_price: The price below which the pocket margin is below the floor.
        walk_away: The price below which no contract is better; None where it is so at all up to the
            list price.
    """

    tiers: pl.DataFrame
    tornado: pl.DataFrame
    waterfall: pl.DataFrame
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
    tiers = pl.DataFrame(
        [_tier_row(world, tier, each, risks, rules, alone) for tier, each in enumerate(outcomes)],
        schema=TIER_COLUMNS,
    )
    possible = tiers.filter((pl.col("verdict") == "possible") & (pl.col("tier") > 0)).sort(
        "net", descending=True
    )
    offered = int(possible["tier"][0]) if len(possible) else None
    best = int(tiers[1:].sort("net", descending=True)["tier"][0]) if offered is None else offered
    swings = pl.DataFrame(
        [
            (name, low, high, middle, abs(high - low))
            for name, low, high, middle in contract_tornado(world, best, risks)
        ],
        schema=TORNADO_COLUMNS,
        orient="row",
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
        "gain": (made.net - alone).mean(),
        "probability_gain": (made.net - alone > CONTRACT_SLACK * np.abs(alone)).mean(),
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
    is_offered = pl.lit(False) if tier is None else pl.col("tier") == tier
    return pl.when(is_offered).then(pl.lit("offer")).otherwise(pl.col("verdict")).alias("verdict")


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
    lowest = highest if offered else None
    for price in np.linspace(highest, np.clip(floor, 1e-3 * highest, highest), PRICES_TRIED):
        discount = max(1 - float(price) / schedule.list_price, CONTRACT_SLACK)
        single = TierSchedule.of(
            schedule.list_price, (schedule.quantities[tier],), (discount,), schedule.kind
        )
        net = float(tier_outcome(replace(world, schedule=single), 1, risks).net.mean())
        if net >= alone - 10 * CONTRACT_SLACK * abs(alone):
            lowest = float(price)
        elif lowest is not None:
            break
    return lowest


def _tier_waterfall(
    world: ContractWorld, made: ContractOutcome, risks: ContractRisks
) -> pl.DataFrame:
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
    return pl.DataFrame(
        {"step": list(steps), "amount": amounts, "total": amounts.cum_sum()},
        schema=WATERFALL_COLUMNS,
    )


# The margin of a contract: what moves it most, and what becomes of the list price.

LOSS_COLOUR = "#b3382c"
"""The colour of what is taken away."""


def draw_tornado(verdict: OemVerdict, path: Path) -> None:
    """Draw the net margin with each driver at its 10 % and its 90 % quantile, the largest swing
    first.
    """
    save_png(tornado_figure(verdict), path)


def tornado_figure(verdict: OemVerdict) -> Figure:
    """Return the figure."""
    from matplotlib.ticker import EngFormatter

    rows = verdict.tornado
    figure = new_figure(7.5, 1.6 + 0.45 * len(rows))
    axes = figure.subplots()
    middle = rows["middle"][0]
    for place, row in enumerate(rows.to_dicts()):
        for end, colour, label in (
            ("low", NAIVE_COLOUR, "at its 10 % quantile"),
            ("high", OWN_COLOUR, "at its 90 % quantile"),
        ):
            axes.barh(
                place,
                row[end] - middle,
                left=middle,
                color=colour,
                height=0.6,
                label=label if not place else "_",
            )
    axes.axvline(middle, color=INK, linewidth=1.2)
    axes.set_yticks(range(len(rows)), rows["driver"].to_list(), fontsize=9)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel(
        f"net margin{_unit_suffix(verdict)}, others at their medians", fontsize=9, color=GREY
    )
    axes.legend(fontsize=8.5, frameon=False, loc="lower right")
    figure.suptitle(
        f"What moves the margin of {_drawn_tier(verdict)}",
        x=0.01,
        ha="left",
        fontsize=12,
        fontweight="bold",
        color=INK,
    )
    tidy(axes, "x")
    return figure


def draw_waterfall(verdict: OemVerdict, path: Path) -> None:
    """Draw what becomes of the list price: discount, what is given back, cost, and what other
    channels lose.
    """
    save_png(waterfall_figure(verdict), path)


def waterfall_figure(verdict: OemVerdict) -> Figure:
    """Return the figure: steps of amount, in their order, then what remains."""
    from matplotlib.ticker import EngFormatter

    rows = [
        row
        for row in verdict.waterfall.to_dicts()
        if abs(row["amount"]) > 5e-4 * abs(verdict.waterfall["amount"][0])
    ]
    figure = new_figure(9.5, 4.2)
    axes = figure.subplots()
    before = 0.0
    for place, row in enumerate(rows):
        colour = OWN_COLOUR if not place else FLOOR_COLOUR if row["amount"] > 0 else LOSS_COLOUR
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
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_ylim(top=1.08 * axes.get_ylim()[1])
    axes.set_title(
        f"expected, over {verdict.periods} {verdict.period}s{_unit_suffix(verdict)}; shares of "
        f"the list price",
        fontsize=9.5,
        loc="left",
        color=GREY,
    )
    figure.suptitle(
        f"From the list price to the margin of {_drawn_tier(verdict)}",
        x=0.01,
        ha="left",
        fontsize=12,
        fontweight="bold",
        color=INK,
    )
    tidy(axes)
    return figure


def _unit_suffix(verdict: OemVerdict) -> str:
    return f", {verdict.unit}" if verdict.unit else ""


def _drawn_tier(verdict: OemVerdict) -> str:
    """Return the tier that is drawn: the one offered, or else the one that earns most."""
    rows = verdict.tiers.filter(verdict.tiers["tier"] > 0)
    row = (
        rows.filter(rows["verdict"] == "offer")
        if verdict.tier is not None
        else rows.sort("net", descending=True)
    )
    return f"{100 * row['discount'][0]:g} % from {row['from_units'][0]:,.0f} units"


TORNADO_REPORT = TableReport(draw=draw_tornado)
WATERFALL_REPORT = TableReport(draw=draw_waterfall)


# The report of a contract's tiers: a table, and the picture of bills with dumping zones and of
# margins at each attainment.

DUMPING_COLOUR = "#b3382c"
"""The colour of dumping zones, and of the floor."""


def tier_grid(verdict: OemVerdict) -> Grid:
    """Return a line for each tier: its price, margins at each attainment, dumping zone and expected
    result.
    """
    rows = verdict.tiers
    titles = [
        ("from units", "from"),
        ("verdict", "verdict"),
        ("discount, %", "off\n%"),
        ("price", "price"),
        ("pocket margin at P10 / P50 / P90, %", "margin, %\nP10/P50/P90"),
        ("dumping zone", "dumping\nzone"),
        ("marginal discount without a zone, %", ""),
        ("break-even uplift, %", ""),
        ("needed elasticity", ""),
        ("expected margin", "net"),
        ("against no contract", "gain"),
        ("P(more than without), %", "P(gain)\n%"),
        ("P(below the floor), %", "P(floor)\n%"),
        ("P(shortfall), %", "P(short)\n%"),
        ("other cells lose", ""),
        ("units sold on", ""),
    ]
    margins = [
        " / ".join(f"{100 * row[f'margin_{name}']:.1f}" for name in ATTAINED_LEVELS)
        for row in rows.to_dicts()
    ]
    zones = [
        f"{low:,.0f} to {high:,.0f}" if low is not None else ""
        for low, high in rows.select("zone_low", "zone_high").rows()
    ]
    cells = [
        [f"{each:,.0f}" for each in rows["from_units"]],
        rows["verdict"],
        _percents(rows["discount"].to_list()),
        column_texts(rows["price"].to_list()),
        margins,
        zones,
        _percents(rows["marginal_discount"].to_list()),
        _percents(rows["break_even_uplift"].to_list()),
        column_texts(rows["needed_elasticity"].to_list()),
        column_texts(rows["net"].to_list()),
        column_texts(rows["gain"].to_list()),
        *(
            _percents(rows[name].to_list())
            for name in ("probability_gain", "probability_below_floor", "probability_shortfall")
        ),
        column_texts(rows["cannibalised"].to_list()),
        column_texts(rows["leaked"].to_list()),
    ]
    own = "" if verdict.commitment is None else f"{verdict.commitment:,.0f}"
    return grid_of(
        titles,
        list(zip(*cells, strict=True)),
        own=own,
        names=2,
        caption=f"Tiers for {verdict.cell}, {verdict.kind}:",
    )


def _percents(shares: list[float | None]) -> list[str]:
    return ["" if share is None else f"{100 * share:.1f}" for share in shares]


def draw_tiers(verdict: OemVerdict, path: Path) -> None:
    """Draw the bill by units with dumping zones and incremental tiers without one, and the pocket
    margin at each attainment.
    """
    save_png(tier_figure(verdict), path)


def tier_figure(verdict: OemVerdict) -> Figure:
    """Return the figure: bills on the left, margins on the right."""
    figure = new_figure(11.5, 4.6)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    _draw_bills(left, verdict)
    _draw_margins(right, verdict)
    what = "no tier holds all rules"
    if verdict.price is not None and verdict.commitment is not None:
        what = f"{brief(verdict.price, None, verdict.unit)} for {verdict.commitment:,.0f} units"
    least = (
        ""
        if verdict.walk_away is None
        else f" below {brief(verdict.walk_away, None, verdict.unit)}"
    )
    title = drawable(f"{verdict.action} {verdict.cell}: {what}; walk away{least}", 110)
    figure.suptitle(
        title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False
    )
    return figure


def _draw_bills(axes: Axes, verdict: OemVerdict) -> None:
    from matplotlib.ticker import EngFormatter

    tiers = verdict.tiers
    quantities, discounts = tuple(tiers["from_units"]), tuple(tiers["discount"])
    schedule = TierSchedule(verdict.list_price, quantities, discounts, verdict.kind)
    smooth = TierSchedule(
        verdict.list_price, quantities, tuple(tiers["marginal_discount"]), "incremental"
    )
    most = max(verdict.upside, 1.25 * quantities[-1])
    units = np.unique(
        np.concatenate(
            [
                np.linspace(0.5 * quantities[1], most, 400),
                *(np.array([q - 1e-9 * q, q]) for q in quantities[1:]),
            ]
        )
    )
    listed = verdict.list_price * units
    axes.plot(
        units,
        100 * (1 - schedule.bill(units) / listed),
        color=OWN_COLOUR,
        linewidth=1.8,
        label=verdict.kind.replace("_", " "),
    )
    if verdict.kind == "all_units":
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
                color=DUMPING_COLOUR,
                alpha=0.25,
                linewidth=0,
                label=label,
            )
    low, high = verdict.committed, verdict.upside
    axes.axvspan(
        low, high, ymax=0.04, color=GREY, alpha=0.5, linewidth=0, label="volume, P10 to P90"
    )
    axes.plot(
        verdict.base, 0.02, "|", transform=axes.get_xaxis_transform(), color=INK, markersize=9
    )
    axes.set_xlabel("units", fontsize=9, color=GREY)
    axes.set_title("discount on the whole bill, %", fontsize=10, loc="left", color=INK)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.legend(fontsize=8.5, facecolor="white", edgecolor="none", framealpha=0.9, loc="upper left")
    axes.set_ylim(top=axes.get_ylim()[1] * 1.35)
    tidy(axes)


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
    axes.axhline(100 * verdict.floor, color=DUMPING_COLOUR, linewidth=1.4, label="floor")
    names = [
        f"{100 * row['discount']:g} %\nfrom {row['from_units']:,.0f}" for row in tiers.to_dicts()
    ]
    axes.set_xticks(place, ["list price", *names[1:]], fontsize=8.5)
    axes.set_title("pocket margin by attained volume, %", fontsize=10, loc="left", color=INK)
    axes.set_ylim(top=axes.get_ylim()[1] * 1.25)
    axes.legend(fontsize=8.5, frameon=False, ncols=4, loc="upper left")
    tidy(axes)


TIERS_REPORT = TableReport(grid=tier_grid, draw=draw_tiers)


# The pack of a volume contract for those who decide: a page and a workbook, the recommendation
# and the walk-away first.


def contract_page(verdict: OemVerdict) -> Page:
    """Return the page: what to offer and when to walk away, the tiers, the margin, the risks, what
    was assumed.
    """
    pictures = {
        "tiers": (
            tier_figure,
            "Discount on the whole bill with dumping zones, and the pocket margin at each "
            "attainment",
        ),
        "waterfall": (waterfall_figure, "From the list price to the net margin, expected"),
        "tornado": (
            tornado_figure,
            "The net margin with each driver at its 10 % and its 90 % quantile",
        ),
    }
    drawn = {
        name: Picture.of_figure(draw(verdict), caption, f"{name}.svg")
        for name, (draw, caption) in pictures.items()
    }
    sections = (
        Section("What to do", (Definitions(tuple(_offer_terms(verdict))),)),
        Section("Tiers", (GridTable(tier_grid(verdict)), drawn["tiers"])),
        Section("Dumping zones", tuple(_zones_part(verdict))),
        Section("Margin at each attainment", (GridTable(_attainment_part(verdict)),)),
        Section("From list price to margin", (drawn["waterfall"],)),
        Section("What moves the margin", (drawn["tornado"],)),
        Section("What was assumed", (Definitions(tuple(_assumption_rows(verdict))),)),
    )
    title = f"OEM commitment: {verdict.product} for {verdict.channel}"
    kind = verdict.kind.replace("_", " ")
    below = (
        f"{verdict.cell}, {verdict.periods} {verdict.period}s, {kind} tiers; decision "
        f"{verdict.decision}."
    )
    return Page(title, verdict.sentence, below, sections)


def _money_words(verdict: OemVerdict, value: float | None) -> str:
    return "none" if value is None else brief(value, None, verdict.unit)


def _offer_terms(verdict: OemVerdict) -> list[tuple[str, str]]:
    """Return the terms of the offer with their values, the action first."""
    rows: list[tuple[str, str]] = [("action", verdict.action)]
    if (
        verdict.price is not None
        and verdict.discount is not None
        and verdict.commitment is not None
    ):
        rows += [
            (
                "price to offer",
                f"{_money_words(verdict, verdict.price)}, {percent(verdict.discount)} off "
                f"{_money_words(verdict, verdict.list_price)}",
            ),
            (
                "commitment",
                f"{verdict.commitment:,.0f} units over {verdict.periods} {verdict.period}s",
            ),
            (
                "expected margin",
                f"{_money_words(verdict, verdict.net)}, {_money_words(verdict, verdict.gain)} "
                f"more than without a contract",
            ),
            ("margin below the floor", probability_text(verdict.probability_below_floor or 0.0)),
            ("fewer units than committed", probability_text(verdict.probability_shortfall or 0.0)),
        ]
    rows += [
        ("walk away below", _walk_away_words(verdict)),
        (
            "floor price",
            f"{_money_words(verdict, verdict.floor_price)}, at which the pocket margin is "
            f"{percent(verdict.floor)}",
        ),
    ]
    return rows


def _walk_away_words(verdict: OemVerdict) -> str:
    if verdict.walk_away is None:
        return "any price up to the list price"
    return (
        f"{_money_words(verdict, verdict.walk_away)}, "
        f"{percent(1 - verdict.walk_away / verdict.list_price)} off list"
    )


def _zones_part(verdict: OemVerdict) -> list[Any]:
    rows = [row for row in verdict.tiers.to_dicts() if row["zone_low"] is not None]
    if not rows:
        return [Text("No tier has a dumping zone: by the terms more units always cost more.")]
    lines = [
        f"Who needs between {row['zone_low']:,.0f} and {row['zone_high']:,.0f} units pays less "
        f"for {row['zone_high']:,.0f}:"
        f" up to {row['most_leak']:,.0f} units are sold on. Expected here: {row['leaked']:,.0f} "
        f"units, a loss of"
        f" {_money_words(verdict, row['leak_loss'])}."
        for row in rows
    ]
    marginal = ", ".join(
        f"{100 * row['marginal_discount']:.1f} % from {row['from_units']:,.0f}" for row in rows
    )
    words = (
        f"Incremental tiers with the same bill at the end of each tier have none, a rebate or a "
        f"fee aside: {marginal}, on the"
        " units beyond each."
    )
    return [Listing(tuple(lines)), Text(words)]


def _attainment_part(verdict: OemVerdict) -> Grid:
    titles = [
        ("from units", ""),
        ("price", ""),
        *((f"pocket margin at {name.upper()}, %", "") for name in ATTAINED_LEVELS),
    ]
    titles += [
        ("holds the floor", ""),
        ("clawback, expected", ""),
        ("shortfall fee, expected", ""),
        ("retro rebate, expected", ""),
    ]
    rows = verdict.tiers
    cells = [
        [f"{each:,.0f}" for each in rows["from_units"]],
        column_texts(rows["price"].to_list()),
        *([f"{100 * each:.1f}" for each in rows[f"margin_{name}"]] for name in ATTAINED_LEVELS),
        ["yes" if each else "no" for each in rows["floor_holds"]],
        *(column_texts(rows[name].to_list()) for name in ("clawback", "fee", "retro")),
    ]
    return grid_of([(title, title) for title, _ in titles], list(zip(*cells, strict=True)))


def _assumption_rows(verdict: OemVerdict) -> list[tuple[str, str]]:
    levels = " / ".join(f"P{100 * level:.3g}" for level in verdict.levels)
    volumes = " / ".join(
        f"{each:,.0f}" for each in (verdict.committed, verdict.base, verdict.upside)
    )
    most = verdict.deliverable
    refused = "; ".join(
        f"{', '.join(tiers)}: {TIER_REFUSALS[rule]}" for rule, tiers in verdict.excluded.items()
    )
    return [
        ("today's price", _money_words(verdict, verdict.today)),
        (f"volume at today's price, {levels}", f"{volumes} ({verdict.source})"),
        *(
            []
            if most is None
            else [
                (
                    f"volume that can be delivered, {levels}",
                    " / ".join(f"{each:,.0f}" for each in most),
                )
            ]
        ),
        ("volume without a contract", f"{percent(verdict.kept)} of it"),
        ("units sold on where it pays", f"{percent(verdict.leak)} ({verdict.leak_source})"),
        ("least pocket margin", percent(verdict.floor)),
        ("not offered", refused or "no tier was refused"),
    ]


def contract_sheets(verdict: OemVerdict) -> Mapping[str, pl.DataFrame]:
    """Return the sheets: the offer, the tiers, the tornado, the waterfall, what was assumed, and
    every value.
    """
    plain = {
        name: value for name, value in verdict.as_dict().items() if not isinstance(value, dict)
    }
    values = [
        (name, ", ".join(map(str, value)) if isinstance(value, tuple) else str(value))
        for name, value in plain.items()
    ]
    return {
        "offer": _two_column_sheet(_offer_terms(verdict)),
        "tiers": verdict.tiers,
        "tornado": verdict.tornado,
        "waterfall": verdict.waterfall,
        "assumptions": _two_column_sheet(_assumption_rows(verdict)),
        "values": _two_column_sheet(values),
    }


def _two_column_sheet(rows: list[tuple[str, str]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"name": pl.String, "value": pl.String}, orient="row")


CONTRACT_PACK = DecisionPack(page=contract_page, sheets=contract_sheets)
