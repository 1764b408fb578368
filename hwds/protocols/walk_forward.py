"""Walk-forward: many cutoffs, each forecast with what was known then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import polars as pl

from hwds.context import Align
from hwds.errors import ConfigError, DataError
from hwds.frames.panel import Panel
from hwds.frames.roles import TIME
from hwds.protocols.base import Fold
from hwds.protocols.cutting import AtTime, Cutoff, FromEnd
from hwds.protocols.panels import PanelEvaluation
from hwds.protocols.rehearsal import Rehearsal, earlier_panel, fitting_stride
from hwds.recipe import Count, Refit, Small, Whole, served


class WalkForward(PanelEvaluation):
    """Walk through time: forecast from each of several cutoffs with what was known then.

    Attributes:
        windows: The number of cutoffs.
        stride: Rows from one cutoff to the next; None takes the horizon, so that windows do not overlap.
        gap: Rows after the cutoff that are not scored (the delay until a forecast can be acted on).
        sliding: Rows of history that a fit sees at most; None lets the history expand.
        refit: `always`, `never` (one fit at the first cutoff serves all) or `every_K`.
        align: `calendar`, the same instants for all series, or `end`, counted back from each series' own end, for
            records in which the calendar means nothing.

    Example:
        python -m hwds model=forecast/seasonal_naive protocol=walk_forward protocol.windows=4 protocol.refit=every_2
    """

    outside_cells: ClassVar[tuple[str, ...]] = (*PanelEvaluation.outside_cells, "windows", "stride", "refit", "align")

    windows: Annotated[Count, Small(2)] = 3
    stride: Count | None = None
    gap: Whole = 0
    sliding: Count | None = None
    refit: Refit = "always"
    align: Align = "calendar"

    def steps(self, panel: Panel) -> int:
        """The number of steps that a model is asked for on this panel, the gap included."""
        return self.gap + (self.horizon or panel.horizon)

    def split(self, frame: Panel) -> Sequence[Fold]:
        """One fold for each fit, oldest first; each serves the cutoffs until the next fit."""
        cutoffs = self.cutoffs(frame)
        if not (cutoffs[0].ends(frame) > 0).any():
            raise DataError(
                f"protocol: {self.windows} windows of {self.steps(frame)} steps, {self._stride(frame)} apart, leave no history;"
                f" the longest series has {int(frame.lengths.max())} rows."
            )
        size = served(self.refit, self.windows)
        groups = [tuple(cutoffs[i : i + size]) for i in range(0, len(cutoffs), size)]
        return [Fold(i, group[0].label, frame.n_series, group, self.inner(i)) for i, group in enumerate(groups)]

    def unrehearsed(self) -> str:
        """Nothing speaks against it."""
        return ""

    def rehearsal(self, frame: Panel, windows: int) -> Rehearsal:
        """The same walk through what was known at the first cutoff."""
        earlier = earlier_panel(self, frame)
        stride = fitting_stride(earlier, self.steps(frame), self._stride(frame), windows)
        walk = replace(self, windows=windows, stride=stride, segments=(), paths=0)
        framed = walk.framed(earlier)
        return Rehearsal(walk, framed, walk.split(framed))

    def cutoffs(self, panel: Panel) -> list[Cutoff]:
        """All cutoffs, oldest first; after the last one lie exactly the steps that are asked."""
        back = [self.steps(panel) + i * self._stride(panel) for i in reversed(range(self.windows))]
        if self.align == "end":
            return [FromEnd(rows) for rows in back]
        last = panel.table[TIME].max()
        end = pl.Series([last], dtype=panel.table.schema[TIME])
        return [AtTime(panel.frequency.after(end, -rows)[0]) for rows in back]

    def _stride(self, panel: Panel) -> int:
        return self.stride or self.horizon or panel.horizon

    def check_names(self) -> None:
        """Sums are made at instants that series share.

        Raises:
            ConfigError: With the nearest right name, or of another alignment.
        """
        super().check_names()
        if self.reconciles and self.align == "end":
            raise ConfigError(f"protocol.align: must be calendar with reconcile={self.reconcile}, got end.")

    def scored_after(self) -> int:
        """The gap."""
        return self.gap

    def alignment(self) -> Align:
        """As asked."""
        return self.align

    def rows_kept(self) -> int | None:
        """The sliding window."""
        return self.sliding

    def end(self, panel: Panel) -> Cutoff:
        """The last instant of the panel, or each series' own end."""
        last: Any = panel.table[TIME].max()
        return AtTime(last) if self.align == "calendar" else FromEnd(0)
