"""The thresholds of a decision on alerts: the probabilities from which the last window blocks and reviews, by the stake."""

from __future__ import annotations

import polars as pl

from hwds.detection.decisions.alerts.verdict import AlertVerdict
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TableReport
from hwds.results.formatting import brief, column


def grid(verdict: AlertVerdict) -> Grid:
    """Return the thresholds of the last window."""
    last = verdict.thresholds.filter(pl.col("cutoff") == pl.col("cutoff").max())
    unit = f", {verdict.unit}" if verdict.unit else ""
    titles = [
        ("quantile of what is at stake", "stakes"),
        (f"at stake{unit}", "at stake"),
        ("blocked from p", "blocked\nfrom p"),
        ("blocked from p, with reviews left", "though\nreviews left"),
        ("reviewed from p", "reviewed\nfrom p"),
    ]
    rows = zip(
        (f"P{100 * level:g}" for level in last["stake_quantile"]),
        column(last["at_stake"].to_list()),
        (f"{value:.4f}" for value in last["block_from"]),
        (f"{value:.4f}" for value in last["block_always_from"]),
        ("never" if value is None else f"{value:.4f}" for value in last["review_from"]),
        strict=True,
    )
    return grid_of(titles, [tuple(row) for row in rows], caption=_rule(verdict) if len(last) else "")


def _rule(verdict: AlertVerdict) -> str:
    """Return the rule that the last window's thresholds follow from, and why it was chosen."""
    last = verdict.chosen[-1]
    wrong, floor = brief(last.multiplier * verdict.wrong_block, None, verdict.unit), brief(last.floor, None, verdict.unit)
    if last.formula_cost is None:
        why = f"the formula as it is, for {last.positives} labelled gray rows before it can choose nothing"
    elif (last.multiplier, last.floor) == (1.0, 0.0):
        why = "the formula as it is, than which nothing was clearly cheaper before it"
    else:
        why = f"{last.multiplier:g} x the cost of a wrong block, what cost least before it"
    rule = f"blocked from p x loss >= (1 - p) x {wrong}, reviewed from a gain of {floor if last.floor else '0'}"
    return f"Thresholds of the window of {last.cutoff}, {rule} ({why}):"


REPORT = TableReport(grid=grid)
