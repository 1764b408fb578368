"""A verdict on maintenance in words, for a manager."""

from __future__ import annotations

from hwds.results.formatting import brief, counted, percent, percent_quoted, quoted
from hwds.supply.maintenance.back_test import BASE
from hwds.supply.maintenance.rules import OWN
from hwds.supply.maintenance.verdict import MaintenanceVerdict

RIVALS = {
    BASE: "the best fixed interval",
    "threshold": "a threshold on the median life",
    "run_to_failure": "running to failure",
}
"""The rules that it is held against, in words."""


def sentence(verdict: MaintenanceVerdict, least: int) -> str:
    """Return the advice with its record, what the capacity costs, and the machines that are due.

    Args:
        verdict: Without its sentence.
        least: Machines that failed below which nothing is shown.
    """
    parts = [_first(verdict, least), _rivals(verdict), _floor(verdict), _capacity(verdict), _due(verdict)]
    return " ".join(filter(None, parts))


def _first(verdict: MaintenanceVerdict, least: int) -> str:
    if verdict.rule == "few_failures":
        return f"HOLD: {counted(verdict.failed, 'machines')} that failed are less than {least}: no rule can be judged by them."
    own, base = verdict.of(OWN), verdict.of(BASE)
    assert own is not None
    assert base is not None
    cost, ends = quoted(own["cost"], own["cost_low"], own["cost_high"])
    machines = counted(verdict.machines, "held-out machines")
    said = (
        f"the renewal rule costs {cost}{ends} a running {verdict.unit.removesuffix('s')} on {machines}, of which"
        f" {percent(own['failures'])} fail and each runs {brief(own['run'])} {verdict.unit}"
    )
    if verdict.rule == "no_gain":
        return f"HOLD: {said}; that is not shown to be less than rules that look at no sensor."
    return f"SCHEDULE: {said}."


def _rivals(verdict: MaintenanceVerdict) -> str:
    own = verdict.of(OWN)
    if own is None or own["saving"] is None or verdict.rule == "few_failures":
        return ""
    rows = [(name, verdict.of(policy)) for policy, name in RIVALS.items()]
    costs = ", ".join(f"{name} {brief(row['cost'])}" for name, row in rows if row is not None and row["cost"] is not None)
    share, low, high = own["saving"], own["saving_low"], own["saving_high"]
    if share < 0:
        text, ends = percent_quoted(-share, None if high is None else -high, None if low is None else -low)
        return f"Beside it: {costs}; that is {text}{ends} more than the fixed interval."
    text, ends = percent_quoted(share, low, high)
    return f"Beside it: {costs}; against the fixed interval it saves {text}{ends}."


def _floor(verdict: MaintenanceVerdict) -> str:
    best, true = verdict.of("foresight"), verdict.of(f"{OWN}[true law]")
    if best is None or best["cost"] is None or verdict.rule == "few_failures":
        return ""
    known = "" if true is None or true["cost"] is None else f", by the true law of each life {brief(true['cost'])}"
    return f"With foresight it would be {brief(best['cost'])}{known}."


def _capacity(verdict: MaintenanceVerdict) -> str:
    if verdict.crew is None and verdict.parts is None:
        return ""
    crew = "" if verdict.crew is None else f"{verdict.crew} a slot"
    parts = "" if verdict.parts is None else f"{verdict.parts} parts and {verdict.parts_rate:g} more a slot"
    limits = " and ".join(filter(None, [crew, parts]))
    if not verdict.within_capacity:
        return f"The machines share no clock, so that the capacity ({limits}) counts in the schedule alone."
    free = verdict.of(f"{OWN}[no limits]")
    if free is None or free["cost"] is None:
        return ""
    return f"Replacements are limited to {limits}; without that it is {brief(free['cost'])}."


def _due(verdict: MaintenanceVerdict) -> str:
    if not verdict.running:
        return "No machine runs that could be scheduled."
    ahead = f"the next {verdict.slots} slots of {verdict.slot:g} {verdict.unit}"
    return f"Of {counted(verdict.running, 'machines')} that run {verdict.now} are due now and {verdict.due} within {ahead}."
