"""Launch: each series is forecast from its own launch, with what was known of all others then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import polars as pl

from hwds.core.errors import ConfigError, DataError
from hwds.evaluation.panel_folds import PanelLaunch
from hwds.evaluation.protocol import Fold, TuningSplit
from hwds.forecast.models.base import Forecaster
from hwds.forecast.protocols.base import PanelEvaluation, earlier_panel
from hwds.forecast.rows import fallback_remarks
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES


class Launch(PanelLaunch, PanelEvaluation):
    """Forecast new products: each series that begins inside the data is forecast once, at its
    launch or soon after it.

    A fold is an instant of launches: the series that begin there are forecast, no others, with all
    that was known of all series then. A launch has no season behind it, so that errors cannot be
    scaled by its own past: `mase` and `rmsse` are undefined but for a large `after`, and `wape`
    orders the leaderboard.

    Attributes:
        intervals: The `model`'s own: windows before the cutoff are of series that have a past, and
            say nothing of a launch.
        reconcile: `none`: launches are forecast alone, and no sum is made of them.
    """

    headline: str = "wape"
    intervals: Literal["model"] = "model"
    reconcile: Literal["none"] = "none"

    def tuning_split(self, frame: Panel, windows: int) -> TuningSplit:
        """Return earlier launches, all of whose steps lie before the first cutoff.

        Raises:
            DataError: There are fewer of them.
        """
        first = self.split(frame)[0].cutoffs[0]
        earlier = earlier_panel(self, frame)
        every = replace(self, launches=windows, segments=(), paths=0)
        last = frame.frequency.after(pl.Series([first.instant]), -self.steps(frame))[0]
        fitting = [cutoff for cutoff in every.launch_cutoffs(earlier) if cutoff.instant <= last]
        if len(fitting) < windows:
            count = len(self.cutoffs(frame))
            raise DataError(
                f"{len(fitting)} instants of launches lie {self.steps(frame)} steps or more "
                f"before the first of the {count}"
                f" that are asked; ask for fewer (protocol.launches={max(count // 2, 1)})."
            )
        folds = [
            Fold(i, cutoff.label, earlier.n_series, (cutoff,))
            for i, cutoff in enumerate(fitting[-windows:])
        ]
        return TuningSplit(every, earlier, folds)

    def warnings_after(self, folds: Sequence[Fold], predictions: pl.DataFrame) -> list[str]:
        """Return sentences on the number of launches that were forecast, and on fallbacks."""
        units = max(fold.units for fold in folds)
        count = predictions[SERIES].n_unique() if SERIES in predictions.columns else units
        return [
            f"{count} launches of {units} series were asked for; the others began too early, or "
            f"too late to be scored.",
            *fallback_remarks(predictions),
        ]

    def check_models(self, models: Mapping[str, Forecaster], frame: Panel) -> None:
        """Refuse a model that cannot forecast a series without a row of its own.

        Raises:
            ConfigError: A model has no way to do so.
        """
        unable = [label for label, model in models.items() if not model.launches]
        if not self.after and unable:
            raise ConfigError(
                f"protocol.after: '{unable[0]}' cannot forecast a series without a row; use "
                f"forecast/analog, or at least 1."
            )
