"""TuningSplit: what the trials of a sweep are scored on, so that no choice is made on the windows of the experiment itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from hwds.frames.table import Table
from hwds.splitting.fold import Fold
from hwds.splitting.row_windows import arrivals, as_known


def other_replications(fold: Fold, windows: int) -> list[Fold]:
    """Return as many replications as a fold has, in so many parts; streams are named by the fold, so that theirs are others."""
    each = -(-fold.units // windows)
    return [Fold(part, f"rehearsal {part}, {fold.name}", each, fold.cutoffs) for part in range(windows)]


def earlier_rows(table: Table, cutoff: datetime, delay: int) -> Table:
    """Return the rows that are so old at a cutoff that their labels have had time to arrive, with those labels that had.

    A simulator's truth is gone: nobody who chooses settings knows it. Labels arrive when the data say, as before, or else
    by whoever reads it.

    Args:
        table: All rows.
        cutoff: The first one of the experiment's own.
        delay: Days until labels have arrived.
    """
    known = as_known(table, cutoff, delay)
    old = known.filter(arrivals(known) < cutoff - timedelta(days=delay))
    if table.roles.get("label_time"):
        return old
    return replace(old, data=old.data.drop(old.roles["label_time"]), roles=old.roles.without("label_time"))
