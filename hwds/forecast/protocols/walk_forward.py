"""Walk-forward: many cutoffs, each forecast with what was known then."""

from __future__ import annotations

from dataclasses import replace

from hwds.core.errors import ConfigError
from hwds.evaluation.panel_folds import PanelWalkForward
from hwds.evaluation.protocol import TuningSplit
from hwds.forecast.protocols.base import PanelEvaluation, earlier_panel, fitting_stride
from hwds.frames.panel import Panel


class WalkForward(PanelWalkForward, PanelEvaluation):
    """Walk through time: forecast from each of several cutoffs with what was known then.

    Example:
        python -m hwds model=forecast/seasonal_naive protocol=walk_forward protocol.windows=4 \
            protocol.refit=every_2
    """

    comparable = (*PanelEvaluation.comparable, "sliding")
    fields_not_in_key = (
        *PanelEvaluation.fields_not_in_key,
        "windows",
        "stride",
        "refit",
        "align",
    )

    def search_settings(self) -> dict[str, int]:
        """Return three cutoffs if no number is given: trials need the history before them."""
        return {} if self.windows else {"windows": 3}

    def tuning_split(self, frame: Panel, windows: int) -> TuningSplit:
        """Return the same walk through what was known at the first cutoff."""
        earlier = earlier_panel(self, frame)
        stride = fitting_stride(earlier, self.steps(frame), self.stride_on(frame), windows)
        walk = replace(self, windows=windows, stride=stride, segments=(), paths=0)
        framed = walk.prepare_frame(earlier)
        return TuningSplit(walk, framed, walk.split(framed))

    def check_names(self) -> None:
        """Refuse what `PanelEvaluation` does, and sums that are not made at instants which series
        share.

        Raises:
            ConfigError: With the nearest right name, or of another alignment.
        """
        super().check_names()
        if self.reconciles and self.align == "end":
            raise ConfigError(
                f"protocol.align: must be calendar with reconcile={self.reconcile}, got end."
            )
