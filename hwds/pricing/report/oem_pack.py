"""The pack of a volume contract for those who decide: a page and a workbook, the recommendation and the walk-away first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from hwds.pricing.contract.sentence import REFUSALS
from hwds.pricing.contract.verdict import ATTAINED, OemVerdict
from hwds.pricing.report.oem_margin import tornado_figure, waterfall_figure
from hwds.pricing.report.oem_tiers import grid, tier_figure
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import DecisionPack
from hwds.report.pages.base import Definitions, GridTable, Listing, Page, Section, Text
from hwds.report.pages.picture import Picture
from hwds.results.formatting import brief, column, percent, probability


def page(verdict: OemVerdict) -> Page:
    """Return the page: what to offer and when to walk away, the tiers, the margin, the risks, what was assumed."""
    pictures = {
        "tiers": (tier_figure, "Discount on the whole bill with dumping zones, and the pocket margin at each attainment"),
        "waterfall": (waterfall_figure, "From the list price to the net margin, expected"),
        "tornado": (tornado_figure, "The net margin with each driver at its 10 % and its 90 % quantile"),
    }
    drawn = {name: Picture.of_figure(draw(verdict), caption, f"{name}.svg") for name, (draw, caption) in pictures.items()}
    sections = (
        Section("What to do", (Definitions(tuple(_offer(verdict))),)),
        Section("Tiers", (GridTable(grid(verdict)), drawn["tiers"])),
        Section("Dumping zones", tuple(_zones(verdict))),
        Section("Margin at each attainment", (GridTable(_attainment(verdict)),)),
        Section("From list price to margin", (drawn["waterfall"],)),
        Section("What moves the margin", (drawn["tornado"],)),
        Section("What was assumed", (Definitions(tuple(_assumptions(verdict))),)),
    )
    title = f"OEM commitment: {verdict.product} for {verdict.channel}"
    kind = verdict.kind.replace("_", " ")
    below = f"{verdict.cell}, {verdict.periods} {verdict.period}s, {kind} tiers; decision {verdict.decision}."
    return Page(title, verdict.sentence, below, sections)


def _money(verdict: OemVerdict, value: float | None) -> str:
    return "none" if value is None else brief(value, None, verdict.unit)


def _offer(verdict: OemVerdict) -> list[tuple[str, str]]:
    """Return the terms of the offer with their values, the action first."""
    rows: list[tuple[str, str]] = [("action", verdict.action)]
    if verdict.price is not None and verdict.discount is not None and verdict.commitment is not None:
        rows += [
            (
                "price to offer",
                f"{_money(verdict, verdict.price)}, {percent(verdict.discount)} off {_money(verdict, verdict.list_price)}",
            ),
            ("commitment", f"{verdict.commitment:,.0f} units over {verdict.periods} {verdict.period}s"),
            (
                "expected margin",
                f"{_money(verdict, verdict.net)}, {_money(verdict, verdict.gain)} more than without a contract",
            ),
            ("margin below the floor", probability(verdict.probability_below_floor or 0.0)),
            ("fewer units than committed", probability(verdict.probability_shortfall or 0.0)),
        ]
    rows += [
        ("walk away below", _walk_away(verdict)),
        ("floor price", f"{_money(verdict, verdict.floor_price)}, at which the pocket margin is {percent(verdict.floor)}"),
    ]
    return rows


def _walk_away(verdict: OemVerdict) -> str:
    if verdict.walk_away is None:
        return "any price up to the list price"
    return f"{_money(verdict, verdict.walk_away)}, {percent(1 - verdict.walk_away / verdict.list_price)} off list"


def _zones(verdict: OemVerdict) -> list[Any]:
    rows = [row for row in verdict.tiers.to_dicts() if row["zone_low"] is not None]
    if not rows:
        return [Text("No tier has a dumping zone: by the terms more units always cost more.")]
    lines = [
        f"Who needs between {row['zone_low']:,.0f} and {row['zone_high']:,.0f} units pays less for {row['zone_high']:,.0f}:"
        f" up to {row['most_leak']:,.0f} units are sold on. Expected here: {row['leaked']:,.0f} units, a loss of"
        f" {_money(verdict, row['leak_loss'])}."
        for row in rows
    ]
    marginal = ", ".join(f"{100 * row['marginal_discount']:.1f} % from {row['from_units']:,.0f}" for row in rows)
    words = (
        f"Incremental tiers with the same bill at the end of each tier have none, a rebate or a fee aside: {marginal}, on the"
        " units beyond each."
    )
    return [Listing(tuple(lines)), Text(words)]


def _attainment(verdict: OemVerdict) -> Grid:
    titles = [("from units", ""), ("price", ""), *((f"pocket margin at {name.upper()}, %", "") for name in ATTAINED)]
    titles += [
        ("holds the floor", ""),
        ("clawback, expected", ""),
        ("shortfall fee, expected", ""),
        ("retro rebate, expected", ""),
    ]
    rows = verdict.tiers
    cells = [
        [f"{each:,.0f}" for each in rows["from_units"]],
        column(rows["price"].to_list()),
        *([f"{100 * each:.1f}" for each in rows[f"margin_{name}"]] for name in ATTAINED),
        ["yes" if each else "no" for each in rows["floor_holds"]],
        *(column(rows[name].to_list()) for name in ("clawback", "fee", "retro")),
    ]
    return grid_of([(title, title) for title, _ in titles], list(zip(*cells, strict=True)))


def _assumptions(verdict: OemVerdict) -> list[tuple[str, str]]:
    levels = " / ".join(f"P{100 * level:.3g}" for level in verdict.levels)
    volumes = " / ".join(f"{each:,.0f}" for each in (verdict.committed, verdict.base, verdict.upside))
    most = verdict.deliverable
    refused = "; ".join(f"{', '.join(tiers)}: {REFUSALS[rule]}" for rule, tiers in verdict.excluded.items())
    return [
        ("today's price", _money(verdict, verdict.today)),
        (f"volume at today's price, {levels}", f"{volumes} ({verdict.source})"),
        *([] if most is None else [(f"volume that can be delivered, {levels}", " / ".join(f"{each:,.0f}" for each in most))]),
        ("volume without a contract", f"{percent(verdict.kept)} of it"),
        ("units sold on where it pays", f"{percent(verdict.leak)} ({verdict.leak_source})"),
        ("least pocket margin", percent(verdict.floor)),
        ("not offered", refused or "no tier was refused"),
    ]


def sheets(verdict: OemVerdict) -> Mapping[str, pl.DataFrame]:
    """Return the sheets: the offer, the tiers, the tornado, the waterfall, what was assumed, and every value."""
    plain = {name: value for name, value in verdict.as_dict().items() if not isinstance(value, dict)}
    values = [(name, ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)) for name, value in plain.items()]
    return {
        "offer": _two_columns(_offer(verdict)),
        "tiers": verdict.tiers,
        "tornado": verdict.tornado,
        "waterfall": verdict.waterfall,
        "assumptions": _two_columns(_assumptions(verdict)),
        "values": _two_columns(values),
    }


def _two_columns(rows: list[tuple[str, str]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"name": pl.String, "value": pl.String}, orient="row")


PACK = DecisionPack(page=page, sheets=sheets)
