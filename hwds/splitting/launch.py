"""Launch: each series is forecast from its own launch, with what was known of all others then."""

from __future__ import annotations

from typing import Annotated, Any

import polars as pl

from hwds.core.errors import DataError
from hwds.core.recipe import Folds, Small, Steps, ZeroSteps
from hwds.frames.panel import Panel
from hwds.frames.roles import TIME
from hwds.splitting.cutoffs import AtLaunch, AtTime, Cutoff
from hwds.splitting.fold import Fold
from hwds.splitting.panels import Align, PanelSplitting


class PanelLaunch(PanelSplitting):
    """Cut a panel where series begin.

    Attributes:
        after: Rows of a launch that are known; 0 needs models that can forecast a series without a row.
        before: Rows of the calendar that must lie before a launch, so that there are others to learn from; None takes a season.
        launches: Instants of launches, the last ones.
    """

    after: ZeroSteps = 1
    before: Steps | None = None
    launches: Annotated[Folds, Small(2)] = 24

    def make_folds(self, panel: Panel) -> list[Fold]:
        """Return one fold for each instant of launches, oldest first.

        Raises:
            DataError: No series begins late enough and has a row after its cutoff.
        """
        cutoffs = self.cutoffs(panel)
        if not cutoffs:
            raise DataError(
                f"protocol: no series begins {self.before or panel.season} rows or more after the data does (protocol.before)"
                f" and goes on for more than {self.after} (protocol.after)."
            )
        return [Fold(i, cutoff.label, panel.n_series, (cutoff,)) for i, cutoff in enumerate(cutoffs)]

    def cutoffs(self, panel: Panel) -> list[Cutoff]:
        """Return the cutoff of each instant of launches, oldest first."""
        return list(self.launched(panel)[-self.launches :])

    def launched(self, panel: Panel) -> list[AtLaunch]:
        """Return the cutoff of every instant of launches, oldest first."""
        begins = panel.table[TIME].gather(panel.offsets[:-1])
        late = begins >= panel.frequency.after(begins.sort().head(1), self.before or panel.season)[0]
        launches = begins.filter(late & pl.Series(panel.lengths > self.after)).unique().sort()
        cuts = panel.frequency.after(launches, self.after - 1)
        return [AtLaunch(cut, launch) for cut, launch in zip(cuts, launches, strict=True)]

    def alignment(self) -> Align:
        """Return `calendar`, which the series share."""
        return "calendar"

    def end(self, panel: Panel) -> Cutoff:
        """Return the last instant of the panel."""
        last: Any = panel.table[TIME].max()
        return AtTime(last)
