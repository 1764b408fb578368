"""A verdict on price tests in words, for a manager."""

from __future__ import annotations

import polars as pl

from hwds.pricing.trial.verdict import TrialVerdict
from hwds.results.formatting import brief, counted

REASONS = {
    "no_room": "no two prices are allowed",
    "too_long": "the test would take too long",
    "no_value": "the test costs more than it is worth",
    "later": "others are worth more",
}
"""Why a cell is not tested."""


def sentence(verdict: TrialVerdict, note: str = "") -> str:
    """Return which prices to test, how, and what that is worth and costs."""
    left = [f"{len(cells)} because {REASONS[rule]}" for rule, cells in verdict.excluded.items()]
    parts = [_first(verdict), _how(verdict), f"Not tested: {'; '.join(left)}." if left else "", note]
    return " ".join(filter(None, parts))


def _first(verdict: TrialVerdict) -> str:
    if not verdict.tested:
        return f"HOLD: none of {counted(verdict.cells, 'cells')} is worth a test."
    net, value, cost = (brief(each, None, verdict.unit) for each in (verdict.net, verdict.value, verdict.cost))
    best = verdict.trials.filter(pl.col("verdict") == "test").row(0, named=True)
    after = f"{verdict.periods} {verdict.period}s after"
    return (
        f"TEST {verdict.tested} of {counted(verdict.cells, 'cells')}: worth {value} over the {after}, at a cost of {cost}, so"
        f" {net}; first {best['cell']}, {best['arms']} prices from {best['lowest']:,.5g} to {best['highest']:,.5g} for"
        f" {counted(best['periods'], verdict.period + 's')}."
    )


def _how(verdict: TrialVerdict) -> str:
    if not verdict.tested:
        return ""
    best = verdict.trials.filter(pl.col("verdict") == "test").row(0, named=True)
    to = f"the first measures the elasticity, known to ± {best['stderr']:.2f}, to ± {best['test_stderr']:.2f}"
    if verdict.design == "switchback":
        washout = f", the first {counted(verdict.washout, verdict.period + 's')} not read" if verdict.washout else ""
        return (
            f"Switchback: each cell has one price for {counted(verdict.block, verdict.period + 's')} at a time, drawn anew for"
            f" each block{washout}, the same for all customers, so that nobody compares two prices; {to}."
        )
    return (
        f"Clusters: each of {verdict.clusters} has one price throughout, read against the periods before, so that nobody"
        f" compares two prices; {to}."
    )
