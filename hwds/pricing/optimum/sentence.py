"""A verdict on prices in words, for a manager."""

from __future__ import annotations

from hwds.pricing.optimum.verdict import OptimalPriceVerdict
from hwds.results.formatting import brief, counted, interval, percent, probability

HOLDS = {
    "no_estimate": "no estimate of the elasticity",
    "no_variation": "prices that hardly changed",
    "endogenous?": "prices that may answer demand",
    "weak": "prices that hardly identify the elasticity",
    "identified": "not to be changed",
    "no_units": "no sales",
    "no_room": "a floor above what the step or the observed prices allow",
    "channel_gap": "channels so far apart that no allowed price ends the reselling",
    "capacity": "more sales than the capacity at any allowed price",
    "ladder": "no allowed price within the bounds",
    "not_sure": "a gain that is not sure enough",
    "no_gain": "the best allowed price already",
}
"""Why a cell's price stays."""

LITTLE = 0.02
"""The share of the gain under which its optimism is not spoken of."""


def sentence(verdict: OptimalPriceVerdict, note: str = "") -> str:
    """Return what to do and why, what the uncertainty costs, and what the prices reach where the truth is known."""
    parts = [_first(verdict), _optimism(verdict), _holds(verdict), _information(verdict), _reached(verdict), note]
    return " ".join(filter(None, parts))


def _first(verdict: OptimalPriceVerdict) -> str:
    cells = counted(verdict.cells, "cells")
    if not verdict.changed:
        return f"HOLD: no price of {cells} changes."
    size, ends = interval(verdict.gain, verdict.gain_low, verdict.gain_high, verdict.unit, sign=True)
    share = f", {100 * verdict.gain / verdict.now:+.1f} %" if verdict.now > 0 else ""
    bound = max(
        (rule for rule in verdict.rules if rule not in HOLDS and rule != "none"),
        key=lambda rule: verdict.rules[rule],
        default="",
    )
    most = f"; most often the {bound.replace('_', ' ')} bound" if bound else ""
    return (
        f"CHANGE {verdict.changed} of {cells}: {verdict.objective} {size} a {verdict.period}{share}"
        f" ({100 * verdict.level:g} %: {ends}), a gain with a probability of {probability(verdict.probability_gain)}{most}."
    )


def _optimism(verdict: OptimalPriceVerdict) -> str:
    if not verdict.changed or verdict.optimism <= LITTLE * verdict.gain:
        return ""
    seeming = brief(verdict.optimism, None, verdict.unit)
    return f"{seeming} is taken off what the draws say: prices chosen by uncertain slopes gain less than it seems."


def _holds(verdict: OptimalPriceVerdict) -> str:
    reasons = [f"{len(cells)} ({HOLDS[reason]})" for reason, cells in verdict.excluded.items()]
    return f"On hold: {', '.join(reasons)}." if reasons else ""


def _information(verdict: OptimalPriceVerdict) -> str:
    knowing, test = (brief(value, None, verdict.unit) for value in (verdict.value_of_knowing, verdict.value_of_test))
    over = counted(verdict.periods, f"{verdict.period}s")
    return (
        f"Over {over}, to know the elasticities, each by itself, is worth {knowing} in sum; to test them to"
        f" ± {verdict.test_stderr:g}, {test}."
    )


def _reached(verdict: OptimalPriceVerdict) -> str:
    record = verdict.reached
    if record is None or record.share is None:
        return ""
    gained, possible = (brief(value, None, verdict.unit) for value in (record.gained, record.possible))
    words, alone = "that are possible within the guardrails", ""
    if record.share_identified is not None:
        some = brief(record.possible_identified, None, verdict.unit)
        alone = (
            f" ({percent(record.share_identified)} of {some} in the {record.identified} whose prices identify the elasticity)"
        )
    return f"By the true demand they gain {gained} of {possible} {words}: {percent(record.share)}{alone}."
