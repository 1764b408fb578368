"""The impacts of changes of prices in words, for a manager."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.scenarios.impact import EVERYTHING, ImpactTerms, at_change
from hwds.results.formatting import counted, interval, percent, probability


def sentence(
    evidence: DemandEstimates, rows: pl.DataFrame, best: Mapping[str, Any] | None, terms: ImpactTerms, confidence: float
) -> str:
    """Return which change of all prices pays, what usual changes bring, and what is beyond what was observed.

    Args:
        evidence: The cells.
        rows: The impacts.
        best: That which brings most margin; None where none is sure.
        terms: The settings of the changes.
        confidence: The least probability that margin rises.
    """
    parts = [_first(evidence, rows, best, confidence), *_changes(evidence, rows, terms), _unknown(evidence), evidence.note]
    return " ".join(filter(None, parts))


def _first(evidence: DemandEstimates, rows: pl.DataFrame, best: Mapping[str, Any] | None, confidence: float) -> str:
    if rows.is_empty():
        return "HOLD: no cell has an estimate of its elasticity."
    if rows["margin"].null_count():
        return "HOLD: margins are not known, for not all cells have a cost (dataset.roles.cost)."
    if best is None:
        return f"HOLD: no change of all prices to observed ones raises margin with a probability of {percent(confidence)}."
    size, ends = interval(best["margin"], best["margin_low"], best["margin_high"], evidence.unit, sign=True)
    verb = "RAISE" if best["change"] > 0 else "CUT"
    chance = probability(best["probability_margin_up"])
    by = percent(abs(best["change"]))
    return f"{verb} all prices by {by}: margin {size} a {evidence.period} ({ends}), up with a probability of {chance}."


def _changes(evidence: DemandEstimates, rows: pl.DataFrame, terms: ImpactTerms) -> list[str]:
    """Return what the changes nearest to -10 % and +10 % bring."""
    said = []
    for wanted in (-0.1, 0.1):
        change = min((each for each in terms.changes if each * wanted > 0), key=lambda each: abs(each - wanted), default=None)
        found = rows if change is None else at_change(rows, change)
        if change is not None and len(found):
            said.append(_change(found.row(0, named=True), evidence.unit))
    return said


def _change(row: Mapping[str, Any], unit: str) -> str:
    size, ends = interval(row["revenue"], row["revenue_low"], row["revenue_high"], unit, sign=True)
    moved = f"units {_share(row['units'], row['units_now'])}, revenue {size} ({ends})"
    margin = "" if row["margin"] is None else f", margin {_share(row['margin'], row['margin_now'])}"
    forward = row["brought_forward"] / row["first_units"] if row["first_units"] else 0.0
    later = (
        f"; {percent(forward)} of the first period's units only come earlier" if row["change"] < 0 and forward > 0.005 else ""
    )
    beyond = f"; beyond the observed prices in {row['beyond']} of {counted(row['cells'], 'cells')}" if row["beyond"] else ""
    return f"{EVERYTHING.capitalize()} {100 * row['change']:+g} %: {moved}{margin}{later}{beyond}."


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:+.1f} %" if whole else f"{part:+.3g}"


def _unknown(evidence: DemandEstimates) -> str:
    missing = int((~evidence.known).sum())
    return f"Without an estimate, and so unchanged: {counted(missing, 'cells')}." if missing else ""
