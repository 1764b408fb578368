"""Pictures of a volume contract, and its pack for those who decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from polars import DataFrame

from hwds.pricing.contract import (
    TierSchedule,
)
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
from hwds.pricing.oem_commitment import ATTAINED_LEVELS, TIERS, OemVerdict


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
