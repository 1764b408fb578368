"""A verdict on a volume contract in words, for a manager: what to offer and when to walk away come first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwds.pricing.contract.verdict import OemVerdict
from hwds.results.formatting import brief, interval, percent, probability

REFUSALS = {
    "margin_floor": "below the margin floor at some attainment",
    "risk": "too likely below the margin floor",
    "shortfall": "for more than the buyer is likely to take",
    "no_gain": "not sure to earn more than no contract",
}
"""Why a tier is not offered."""


def sentence(verdict: OemVerdict, note: str = "") -> str:
    """Return what to offer, when to walk away, what is left out and why, what leaks, and what moves the result most."""
    parts = [_first(verdict), _walk_away(verdict), _volumes(verdict), _refused(verdict), _zones(verdict), _swing(verdict), note]
    return " ".join(filter(None, parts))


def _first(verdict: OemVerdict) -> str:
    if verdict.price is None or verdict.net is None or verdict.gain is None or verdict.probability_gain is None:
        return f"HOLD: no tier for {verdict.cell} holds all rules."
    assert verdict.net_low is not None
    assert verdict.net_high is not None
    size, ends = interval(verdict.net, verdict.net_low, verdict.net_high, verdict.unit)
    gain = interval(verdict.gain, verdict.gain, verdict.gain, verdict.unit, sign=True)[0]
    return (
        f"OFFER {verdict.cell} {brief(verdict.price, None, verdict.unit)} ({percent(verdict.discount or 0.0)} off) for a"
        f" commitment of {verdict.commitment:,.0f} units: margin {size} ({100 * verdict.level:g} %: {ends}), {gain} against no"
        f" contract, more with a probability of {probability(verdict.probability_gain)}; the pocket margin is below"
        f" {percent(verdict.floor)} with one of {probability(verdict.probability_below_floor or 0.0)}."
    )


def _walk_away(verdict: OemVerdict) -> str:
    if verdict.walk_away is None:
        return "WALK AWAY at any price up to the list price: no contract for so many units earns as much as none."
    price, floor = (brief(each, None, verdict.unit) for each in (verdict.walk_away, verdict.floor_price))
    most = percent(1 - verdict.walk_away / verdict.list_price)
    if verdict.walk_away > verdict.list_price:
        return f"WALK AWAY: even the list price is below {price}."
    why = (
        "the margin floor"
        if verdict.walk_away <= verdict.floor_price * (1 + 1e-9)
        else f"no contract earns as much there; floor price {floor}"
    )
    return f"WALK AWAY below {price}, {most} off list ({why})."


def _volumes(verdict: OemVerdict) -> str:
    said = _at(verdict.levels, (verdict.committed, verdict.base, verdict.upside))
    capped = f" capped by what can be delivered, {_at(verdict.levels, verdict.deliverable)};" if verdict.deliverable else ""
    kept = f" without a contract the buyer is taken to buy {percent(verdict.kept)} of it."
    return f"Volume at today's price over {verdict.periods} {verdict.period}s: {said} ({verdict.source});{capped}{kept}"


def _at(levels: tuple[float, float, float], volumes: tuple[float, float, float]) -> str:
    return ", ".join(f"P{100 * level:.3g} {volume:,.0f}" for level, volume in zip(levels, volumes, strict=True))


def _refused(verdict: OemVerdict) -> str:
    reasons = [f"{', '.join(tiers)} {REFUSALS[rule]}" for rule, tiers in verdict.excluded.items()]
    return f"Not offered: {'; '.join(reasons)}." if reasons else ""


def _zones(verdict: OemVerdict) -> str:
    rows: list[Mapping[str, Any]] = [row for row in verdict.tiers.to_dicts() if row["zone_low"] is not None]
    if not rows:
        return ""
    worst = max(rows, key=lambda row: row["most_leak"])
    return (
        f"Who needs {worst['zone_low']:,.0f} to {worst['zone_high']:,.0f} units pays less for {worst['zone_high']:,.0f} and"
        f" sells on up to {worst['most_leak']:,.0f}; incremental tiers without a rebate or a fee have no such zone."
    )


def _swing(verdict: OemVerdict) -> str:
    if verdict.tornado.is_empty():
        return ""
    row = verdict.tornado.row(0, named=True)
    low, high = sorted((row["low"], row["high"]))
    return f"The {row['driver']} moves it most: {brief(low, None, verdict.unit)} to {brief(high, None, verdict.unit)}."
