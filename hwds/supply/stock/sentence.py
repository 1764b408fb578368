"""A verdict on stock in words, for a manager."""

from __future__ import annotations

from hwds.results.formatting import brief, counted, percent, percent_quoted, quoted
from hwds.results.tables import TRUTH
from hwds.supply.stock.cases import SOURCES, StockCases
from hwds.supply.stock.record import ALONE, TEXTBOOK
from hwds.supply.stock.verdict import StockVerdict

RULES = {
    "newsvendor": "the newsvendor's levels",
    "base_stock": "base stock",
    "reorder_point": "reorder points (s, S)",
    "two_echelons": "a depot and a store",
}
"""The rules of replenishment, in words."""


def sentence(verdict: StockVerdict, coming: StockCases) -> str:
    """Return the advice with the cost and service that it reached, what the forecast's error costs, and how much to stock."""
    return " ".join(filter(None, [_first(verdict), _error(verdict), _rivals(verdict), _levels(verdict, coming)]))


def _first(verdict: StockVerdict) -> str:
    own = verdict.of(verdict.model)
    if own is None or verdict.rule == "few_cases":
        cases = 0 if own is None else own["cases"]
        return f"HOLD: {counted(cases, 'cases')} of a series at a cutoff with known demand are too few to judge levels by."
    cost, ends = quoted(own["cost"], own["cost_low"], own["cost_high"])
    service, between = percent_quoted(own["service"], own["service_low"], own["service_high"])
    tense = "would have cost" if verdict.action == "STOCK" else "cost"
    reached = (
        f"{RULES[verdict.policy]} from {verdict.model} {tense} {cost}{ends} a period and series,"
        f" {service}{between} of periods ended without a shortage"
    )
    meant = "" if verdict.policy in ("reorder_point", "two_echelons") else f" where {percent(verdict.target)} is meant"
    filled = "" if own["fill"] is None else f"and {percent(own['fill'])} of demand was served in its period"
    if verdict.rule == "service":
        return f"HOLD: {reached}{meant}: the levels are too low{'; ' if filled else ''}{filled}."
    if verdict.rule == "few_series":
        why = "no interval over series says whether that is enough, for there is one series"
        return f"HOLD: {reached}{meant}{', ' if filled else ''}{filled}: {why}."
    return f"STOCK: {reached}{meant}{', ' if filled else ''}{filled}."


def _error(verdict: StockVerdict) -> str:
    own, true = verdict.of(verdict.model), verdict.of(TRUTH)
    if own is None or verdict.error_cost is None:
        return ""
    if true is not None:
        law, error = brief(true["cost"]), brief(verdict.error_cost)
        return f"The true law of demand would have cost {law}: the forecast's error costs {error}."
    if verdict.policy == "reorder_point":
        return ""
    return "With foresight stock would cost nothing, so that this is what not knowing demand costs."


def _rivals(verdict: StockVerdict) -> str:
    rows = [row for row in verdict.record.to_dicts() if row["model"] not in (verdict.model, TRUTH)]
    if not rows or verdict.rule == "few_cases":
        return ""
    said_of = {f"{verdict.model}{TEXTBOOK}": "the textbook rule on its means", f"{verdict.model}{ALONE}": "no depot"}
    names = {row["model"]: said_of.get(row["model"], row["model"]) for row in rows}
    said = ", ".join(f"{names[row['model']]} {brief(row['cost'])}" for row in rows)
    own = verdict.of(verdict.model)
    saves = ""
    if own is not None and own["saving_low"] is not None:
        text, ends = percent_quoted(own["saving"], own["saving_low"], own["saving_high"])
        shown = "saves" if own["saving_low"] > 0 else "is not shown to save:"
        saves = f"; against {verdict.base} it {shown} {text}{ends}"
    return f"Beside it: {said}{saves}."


def _levels(verdict: StockVerdict, coming: StockCases) -> str:
    if not verdict.n_series:
        return "There is no series to stock."
    sources = {source: coming.sources.count(source) for source in SOURCES if source in coming.sources}
    most = max(sources, key=lambda source: sources[source])
    units = f"{brief(verdict.units)} {verdict.unit}".rstrip()
    return (
        f"The levels of {counted(verdict.n_series, 'series')} after {verdict.cutoff} add up to {units}; months are coupled by"
        f" {SOURCES[most]}."
    )
