"""Holdout: one cutoff, one test part."""

from __future__ import annotations

from hwds.evaluation.panel_folds import PanelHoldout
from hwds.evaluation.protocol import TuningSplit
from hwds.forecast.protocols.base import PanelEvaluation, earlier_panel, fitting_stride
from hwds.frames.panel import Panel

SHARED = (
    "name",
    "headline",
    "levels",
    "metrics",
    "intervals",
    "calibration",
    "reconcile",
    "grouped",
)
"""The fields that the walk through the train part takes from the experiment's own protocol."""


class Holdout(PanelHoldout, PanelEvaluation):
    """Hold out the dataset's own test part; without one, the last rows of every series.

    With `reconcile` the cutoff is one instant for all series, since sums are made at instants: the
    last of the train rows, or so many steps before the end of the data. Series that ended before it
    are not forecast.

    Attributes:
        horizon: Steps to forecast; None takes the longest test part; without one, the dataset's own
            horizon.
    """

    @property
    def one_instant(self) -> bool:
        """Sums are made at instants that series share."""
        return self.reconciles

    def tuning_split(self, frame: Panel, windows: int) -> TuningSplit:
        """Return a walk through the train part, from windows that each are as long as the test
        part.
        """
        from hwds.forecast.protocols.walk_forward import WalkForward

        framed, earlier = self.prepare_frame(frame), earlier_panel(self, frame)
        steps = self.steps(framed)
        stride = fitting_stride(earlier, steps, steps, windows)
        shared = {name: getattr(self, name) for name in SHARED}
        walk = WalkForward(
            **shared, windows=windows, stride=stride, horizon=steps, align=self.alignment()
        )
        summed = walk.prepare_frame(earlier)
        return TuningSplit(walk, summed, walk.split(summed))
