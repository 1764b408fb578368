"""The trials of a sweep that came to nothing, by what went wrong."""

from __future__ import annotations

import polars as pl

from hwds.report.grid import Grid, grid_of
from hwds.report.leaderboard import print_grids

SHOWN = 6
"""Numbers of trials that a row names."""


def failures_grid(trials: pl.DataFrame) -> Grid:
    """One row for each thing that went wrong, whatever the window: how many trials it ended, and which.

    Args:
        trials: The trials table.
    """
    what = pl.col("error").str.replace(r"^window [^:]*: ", "").alias("what")
    failed = trials.filter(pl.col("status").is_in(["failed", "refused"])).sort("trial")
    groups = failed.group_by(what, "status", maintain_order=True).agg(pl.col("trial"))
    rows = [[row["what"], row["status"], str(len(row["trial"])), _listed(row["trial"])] for row in groups.to_dicts()]
    titles = [("what went wrong", "what went wrong"), ("status", "status"), ("trials", "trials"), ("numbers", "numbers")]
    return grid_of(titles, rows, names=2)


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:SHOWN]))
    return shown if len(numbers) <= SHOWN else f"{shown}, ..."


def print_failures(trials: pl.DataFrame) -> None:
    """The table of failures in the terminal, where there are any; the sweep's page has each with its window."""
    found = failures_grid(trials)
    if len(found):
        print_grids((found,), (), "")
