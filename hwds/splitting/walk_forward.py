"""Walk-forward: many cutoffs, each forecast from what was known then."""

from __future__ import annotations

from typing import Annotated, Any

import polars as pl

from hwds.core.errors import DataError
from hwds.core.recipe import Folds, Refit, Small, Steps, ZeroSteps, cutoffs_per_fit
from hwds.frames.panel import Panel
from hwds.frames.roles import TIME
from hwds.splitting.cutoffs import AtTime, Cutoff, FromEnd
from hwds.splitting.fold import Fold
from hwds.splitting.panels import Align, PanelSplitting


class PanelWalkForward(PanelSplitting):
    """Cut a panel at several cutoffs, a stride apart.

    Attributes:
        windows: The number of cutoffs.
        stride: Rows from one cutoff to the next; None takes the horizon, so that windows do not overlap.
        gap: Rows after the cutoff that are not scored (the delay until a forecast can be acted on).
        sliding: Rows of history that a fit sees at most; None lets the history expand.
        refit: `always`, `never` (one fit at the first cutoff serves all) or `every_K`.
        align: `calendar`, the same instants for all series, or `end`, counted back from each series' own end, for
            records in which the calendar means nothing.
    """

    windows: Annotated[Folds, Small(2)] = 3
    stride: Steps | None = None
    gap: ZeroSteps = 0
    sliding: Steps | None = None
    refit: Refit = "always"
    align: Align = "calendar"

    def make_folds(self, panel: Panel) -> list[Fold]:
        """Return one fold for each fit, oldest first; each serves the cutoffs until the next fit."""
        cutoffs = self.cutoffs(panel)
        if not (cutoffs[0].ends(panel) > 0).any():
            raise DataError(
                f"protocol: {self.windows} windows of {self.steps(panel)} steps, {self.stride_on(panel)} apart, leave no"
                f" history; the longest series has {int(panel.lengths.max())} rows: ask for a smaller"
                " protocol.horizon, or for fewer protocol.windows."
            )
        size = cutoffs_per_fit(self.refit, self.windows)
        groups = [tuple(cutoffs[i : i + size]) for i in range(0, len(cutoffs), size)]
        return [Fold(i, group[0].label, panel.n_series, group) for i, group in enumerate(groups)]

    def cutoffs(self, panel: Panel) -> list[Cutoff]:
        """Return all cutoffs, oldest first; after the last one lie exactly the steps of the horizon."""
        back = [self.steps(panel) + i * self.stride_on(panel) for i in reversed(range(self.windows))]
        if self.align == "end":
            return [FromEnd(rows) for rows in back]
        last = panel.table[TIME].max()
        end = pl.Series([last], dtype=panel.table.schema[TIME])
        return [AtTime(panel.frequency.after(end, -rows)[0]) for rows in back]

    def stride_on(self, panel: Panel) -> int:
        """Return the rows from one cutoff to the next on this panel."""
        return self.stride or self.horizon or panel.horizon

    def steps(self, panel: Panel) -> int:
        """Return the number of steps that are forecast on this panel, the gap included."""
        return self.gap + (self.horizon or panel.horizon)

    def scored_after(self) -> int:
        """Return the gap."""
        return self.gap

    def alignment(self) -> Align:
        """Return the alignment of the config."""
        return self.align

    def rows_kept(self) -> int | None:
        """Return the sliding window."""
        return self.sliding

    def end(self, panel: Panel) -> Cutoff:
        """Return the last instant of the panel, or each series' own end."""
        last: Any = panel.table[TIME].max()
        return AtTime(last) if self.align == "calendar" else FromEnd(0)
