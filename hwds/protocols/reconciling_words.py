"""What a user is told of a panel with its aggregates, before anything is asked of it."""

from __future__ import annotations

import polars as pl

from hwds.frames.hierarchy import LEVEL, TOTAL
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET
from hwds.protocols.cutting import Cutoff


def remarks_on(panel: Panel, first: Cutoff, steps: int) -> list[str]:
    """What its scores count, sums that are unknown, and a history too short to learn from.

    Args:
        panel: With aggregates.
        first: The first cutoff.
        steps: The horizon.
    """
    series = panel.table[panel.offsets[:-1]]
    levels = series.group_by(LEVEL).len().sort("len", LEVEL)
    told = ", ".join(f"{count} of level {level}" for level, count in levels.iter_rows())
    said = [f"A mean over series counts each series of each level once: {told}; protocol.segments=[{LEVEL}] tells them apart."]
    total = panel.table.filter(pl.col(SERIES) == TOTAL)
    unknown = total[TARGET].null_count()
    if unknown:
        said.append(f"The total is unknown at {unknown} of {len(total)} instants: some series has no target there.")
    if first.ends(panel).max() <= steps:
        said.append("There is no window before the first cutoff to learn from: sums weigh by their number of series alone.")
    return said
