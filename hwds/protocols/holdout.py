"""Holdout: one cutoff, one test part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from hwds.context import Align
from hwds.errors import DataError
from hwds.frames.panel import Panel
from hwds.frames.roles import TIME
from hwds.protocols.base import Fold
from hwds.protocols.cutting import AtTime, BySplit, Cutoff, FromEnd
from hwds.protocols.panels import PanelEvaluation
from hwds.protocols.rehearsal import Rehearsal, earlier_panel, fitting_stride
from hwds.protocols.walk_forward import WalkForward

SHARED = ("name", "headline", "levels", "metrics", "intervals", "calibration", "reconcile", "grouped")
"""What the walk through the train part takes from the experiment's own."""


class Holdout(PanelEvaluation):
    """Hold out the dataset's own test part, or else the last rows of every series.

    With `reconcile` the cutoff is one instant for all series, since sums are made at instants: the last of the train rows, or
    so many steps before the end of the data; series that have ended before it are not asked.

    Attributes:
        horizon: Steps to forecast; None takes the longest test part, or else the dataset's own horizon.

    Example:
        python -m hwds dataset=classics protocol=holdout model=forecast/seasonal_naive
    """

    def steps(self, panel: Panel) -> int:
        """The horizon on this panel."""
        if self.horizon or not panel.roles.split:
            return self.horizon or panel.horizon
        return int((panel.lengths - self.cutoff(panel).ends(panel)).max())

    def cutoff(self, panel: Panel) -> Cutoff:
        """Where the test part begins."""
        if not self.reconciles:
            return BySplit(panel.roles.split) if panel.roles.split else FromEnd(self.horizon or panel.horizon)
        table = panel.table
        if panel.roles.split:
            return AtTime(table.filter(pl.col(panel.roles.split) == "train")[TIME].max())  # type: ignore[arg-type]
        last = table[TIME].sort().tail(1)
        return AtTime(panel.frequency.after(last, -(self.horizon or panel.horizon))[0])

    def alignment(self) -> Align:
        """From each series' own end; at one instant where sums are made."""
        return "calendar" if self.reconciles else "end"

    def end(self, panel: Panel) -> Cutoff:
        """Each series' own end, or the last instant of the panel."""
        last: Any = panel.table[TIME].max()
        return AtTime(last) if self.reconciles else FromEnd(0)

    def unrehearsed(self) -> str:
        """Nothing speaks against it."""
        return ""

    def rehearsal(self, frame: Panel, windows: int) -> Rehearsal:
        """A walk through the train part, from windows that each are as long as the test part."""
        framed, earlier = self.framed(frame), earlier_panel(self, frame)
        steps = self.steps(framed)
        stride = fitting_stride(earlier, steps, steps, windows)
        shared = {name: getattr(self, name) for name in SHARED}
        walk = WalkForward(**shared, windows=windows, stride=stride, horizon=steps, align=self.alignment())
        summed = walk.framed(earlier)
        return Rehearsal(walk, summed, walk.split(summed))

    def split(self, frame: Panel) -> Sequence[Fold]:
        """One fold."""
        cutoff = self.cutoff(frame)
        if not (cutoff.ends(frame) > 0).any() or self.steps(frame) < 1:
            longest = int(frame.lengths.max())
            raise DataError(
                f"protocol.horizon: {self.steps(frame)} steps leave no history; the longest series has {longest} rows."
            )
        return [Fold(0, cutoff.label, frame.n_series, (cutoff,), self.inner(0))]
