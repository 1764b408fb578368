"""Holdout: one cutoff, one test part."""

from __future__ import annotations

from collections.abc import Sequence

from hwds.errors import DataError
from hwds.frames.panel import Panel
from hwds.protocols.base import Fold
from hwds.protocols.cutting import BySplit, Cutoff, FromEnd
from hwds.protocols.panels import PanelEvaluation


class Holdout(PanelEvaluation):
    """Hold out the dataset's own test part, or else the last rows of every series.

    Attributes:
        horizon: Steps to forecast; None takes the longest test part, or else the dataset's own horizon.
        levels: Quantile levels, rising, with 0.5 among them.
        headline: The metric that orders the leaderboard.
        metrics: Metrics of your own beside the built-in ones (`my_pkg.metrics:my_metric`).
        segments: Static or level columns of the panel; the series of each of their values are scored apart too.

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
        return BySplit(panel.roles.split) if panel.roles.split else FromEnd(self.horizon or panel.horizon)

    def split(self, frame: Panel) -> Sequence[Fold]:
        """One fold."""
        cutoff = self.cutoff(frame)
        if not (cutoff.ends(frame) > 0).any() or self.steps(frame) < 1:
            longest = int(frame.lengths.max())
            raise DataError(
                f"protocol.horizon: {self.steps(frame)} steps leave no history; the longest series has {longest} rows."
            )
        return [Fold(0, cutoff.label, frame.n_series, (cutoff,))]
