"""What a decision on alerts shows of thresholds: from which probability the last window blocks and reviews, by the stake."""

from __future__ import annotations

import polars as pl

from hwds.report.grid import Grid, grid_of
from hwds.results.alert_verdict import AlertVerdict
from hwds.results.wording import column


def grid(verdict: AlertVerdict) -> Grid:
    """The thresholds of the last window."""
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
    caption = f"thresholds of the window of {last['cutoff'][0]}" if len(last) else ""
    return grid_of(titles, [tuple(row) for row in rows], caption=caption)
