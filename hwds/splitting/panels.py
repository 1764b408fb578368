"""PanelSplitting: which cutoffs of a panel are evaluated, by any task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from hwds.core.recipe import Recipe, Steps
from hwds.frames.panel import Panel
from hwds.splitting.cutoffs import Cutoff, FromEnd
from hwds.splitting.fold import Fold

Align = Literal["calendar", "end"]


class PanelSplitting(Recipe):
    """Cut a panel at instants of time.

    Attributes:
        horizon: The steps after a cutoff that are forecast; None takes the dataset's own.
    """

    horizon: Steps | None = None

    def make_folds(self, panel: Panel) -> Sequence[Fold]:
        """Return the folds of a panel, oldest first.

        Raises:
            DataError: The data does not suffice for them.
        """
        raise NotImplementedError(f"{type(self).__name__}.make_folds")

    def steps(self, panel: Panel) -> int:
        """Return the number of steps that are forecast on this panel."""
        return self.horizon or panel.horizon

    def scored_after(self) -> int:
        """Return the number of steps after a cutoff that are forecast but not scored."""
        return 0

    def alignment(self) -> Align:
        """Return how cutoffs are aligned: at instants of a calendar, or back from each series' own end."""
        return "end"

    def rows_kept(self) -> int | None:
        """Return the rows of history that a fit sees at most; None for all."""
        return None

    def end(self, panel: Panel) -> Cutoff:
        """Return the cutoff after the last rows, from which new ones are forecast."""
        return FromEnd(0)
