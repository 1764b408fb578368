"""Holdout: one cutoff, one test part."""

from __future__ import annotations

from typing import Any

import polars as pl

from hwds.core.errors import DataError
from hwds.frames.panel import Panel
from hwds.frames.roles import TIME
from hwds.splitting.cutoffs import AtTime, BySplit, Cutoff, FromEnd
from hwds.splitting.fold import Fold
from hwds.splitting.panels import Align, PanelSplitting


class PanelHoldout(PanelSplitting):
    """Cut a panel once: before its own test part, or else before the last rows of every series."""

    @property
    def one_instant(self) -> bool:
        """True where the cutoff is one instant for all series; series that have ended before it are not forecast."""
        return False

    def make_folds(self, panel: Panel) -> list[Fold]:
        """Return the one fold."""
        cutoff = self.cutoff(panel)
        if not (cutoff.ends(panel) > 0).any() or self.steps(panel) < 1:
            longest = int(panel.lengths.max())
            raise DataError(
                f"protocol.horizon: {self.steps(panel)} steps leave no history; the longest series has {longest} rows."
            )
        return [Fold(0, cutoff.label, panel.n_series, (cutoff,))]

    def steps(self, panel: Panel) -> int:
        """Return the horizon on this panel: that of the settings, or that of its longest test part, or its own."""
        if self.horizon or not panel.roles.split:
            return self.horizon or panel.horizon
        return int((panel.lengths - self.cutoff(panel).ends(panel)).max())

    def cutoff(self, panel: Panel) -> Cutoff:
        """Return the cutoff where the test part begins."""
        if not self.one_instant:
            return BySplit(panel.roles.split) if panel.roles.split else FromEnd(self.horizon or panel.horizon)
        table = panel.table
        if panel.roles.split:
            return AtTime(table.filter(pl.col(panel.roles.split) == "train")[TIME].max())  # type: ignore[arg-type]
        last = table[TIME].sort().tail(1)
        return AtTime(panel.frequency.after(last, -(self.horizon or panel.horizon))[0])

    def alignment(self) -> Align:
        """Return `calendar` with one instant for all series, else `end`."""
        return "calendar" if self.one_instant else "end"

    def end(self, panel: Panel) -> Cutoff:
        """Return each series' own end, or the last instant of the panel."""
        last: Any = panel.table[TIME].max()
        return AtTime(last) if self.one_instant else FromEnd(0)
