"""Rehearsal: what the trials of a sweep are scored on, so that no choice is made on the windows of the experiment itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hwds.frames.panel import Panel
from hwds.frames.table import Table
from hwds.protocols.base import Fold
from hwds.protocols.cutting import known_at
from hwds.protocols.row_windows import arrivals, as_known

if TYPE_CHECKING:
    from hwds.protocols.base import Evaluation
    from hwds.protocols.panels import PanelEvaluation


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """Other windows of the same experiment.

    Attributes:
        protocol: Cuts, asks and scores as the experiment's own does.
        frame: The data, without all that was not known at the first cutoff of the experiment's own.
        folds: Its windows, oldest first: a sweep's rungs.
        remark: What a user would want to be told of them; empty for nothing.
    """

    protocol: Evaluation[Any, Any]
    frame: Any
    folds: Sequence[Fold]
    remark: str = ""


def other_luck(own: Fold, windows: int) -> list[Fold]:
    """As many replications as a fold has, in so many parts; luck is named by the fold, so that theirs is another one."""
    each = -(-own.units // windows)
    return [Fold(part, f"rehearsal {part}, {own.name}", each, own.cutoffs) for part in range(windows)]


def earlier_panel(protocol: PanelEvaluation, frame: Panel) -> Panel:
    """What was known at the first cutoff of a protocol; sums are not made of it yet."""
    first = protocol.split(protocol.framed(frame))[0].cutoffs[0]
    return known_at(frame, first)


def fitting_stride(earlier: Panel, steps: int, own: int, windows: int) -> int:
    """The protocol's own stride, or less where so many windows would reach beyond the later half of the longest series.

    Args:
        earlier: What may be known.
        steps: Of each window.
        own: The stride of the experiment's own windows.
        windows: How many.
    """
    room = int(earlier.lengths.max(initial=0)) // 2 - steps
    return own if windows == 1 else min(own, max(room // (windows - 1), 1))


def earlier_rows(table: Table, cutoff: datetime, delay: int) -> Table:
    """The rows that are so old at a cutoff that their labels have had time to arrive, with those labels that had.

    A simulator's truth is gone: nobody who chooses settings knows it. When labels arrive is told by the data as before, or else
    by whoever reads it.

    Args:
        table: All rows.
        cutoff: The first one of the experiment's own.
        delay: Days until labels have arrived.
    """
    known = as_known(table, cutoff, delay)
    old = known.take(arrivals(known) < cutoff - timedelta(days=delay))
    if table.roles.get("label_time"):
        return old
    roles = {role: names for role, names in old.roles.items() if role != "label_time"}
    return replace(old, data=old.data.drop(old.roles["label_time"]), roles=roles)
