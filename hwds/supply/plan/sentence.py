"""A verdict on a supply plan in words, for a manager."""

from __future__ import annotations

from hwds.results.formatting import brief, counted, percent
from hwds.supply.plan.program import PlanTerms
from hwds.supply.plan.verdict import SupplyVerdict


def sentence(verdict: SupplyVerdict, terms: PlanTerms) -> str:
    """Return what can be committed to with its record, what the plan delivers, and what outages take of it."""
    return " ".join(filter(None, [_first(verdict, terms), _plan(verdict), _outages(verdict)]))


def _first(verdict: SupplyVerdict, terms: PlanTerms) -> str:
    level = f"P{100 * terms.committed:.4g}"
    volume = f"{brief(verdict.committed)} {verdict.unit}".rstrip()
    when = f"{counted(verdict.steps, 'steps')} after {verdict.cutoff}"
    what = f"{volume} over {when}, the sum of {level} of what is asked for and can be delivered"
    if verdict.below is None:
        why = "no deal of the back-test has a known demand and past errors that say how its steps move together"
        return f"HOLD: {why}; {what}."
    tested = counted(verdict.tested, "back-tested deals")
    low, high = percent(verdict.below_low or 0.0), percent(verdict.below_high or 0.0)
    record = (
        f"less was asked for or could be delivered of {percent(verdict.below)} of {tested} (95 %: {low} to {high};"
        f" {percent(terms.committed)} is meant)"
    )
    if verdict.rule == "few_deals":
        return f"HOLD: {counted(verdict.tested, 'back-tested deals')} are less than {terms.least_deals}; {what}, {record}."
    if verdict.rule == "coverage":
        return f"HOLD: {record}: {what}, is too much."
    return f"COMMIT to {what}: {record}."


def _plan(verdict: SupplyVerdict) -> str:
    level, base = (f"P{100 * verdict.levels[band]:.4g}" for band in ("committed", "base"))
    left = f"{brief(verdict.free)} more than" if verdict.free >= 0 else f"{brief(-verdict.free)} less than"
    return (
        f"The plan serves {percent(verdict.fill)} of demand in its step from {verdict.cover:.2f} steps of stock, least in"
        f" {verdict.tightest}. With {level} of capacity and the stock {brief(verdict.makeable)} can be delivered,"
        f" {left} {base} of all demand."
    )


def _outages(verdict: SupplyVerdict) -> str:
    if not verdict.outages:
        return "All machines are taken to run: decision.life_run names a run that says which do not."
    missed = f"{brief(max(verdict.missed, 0.0))} {verdict.unit}".rstrip()
    return (
        f"Outages ({verdict.outages}) take {percent(verdict.lost)} of the capacity; if all machines ran, {missed} more would be"
        f" delivered."
    )
