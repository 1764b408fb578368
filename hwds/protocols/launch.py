"""Launch: each series is forecast from its own launch, with what was known of all others then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import polars as pl

from hwds.context import Align
from hwds.errors import ConfigError, DataError
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.models.forecast.base import Forecaster
from hwds.protocols.base import Fold
from hwds.protocols.cutting import AtLaunch, AtTime, Cutoff
from hwds.protocols.panels import PanelEvaluation
from hwds.protocols.rehearsal import Rehearsal, earlier_panel
from hwds.recipe import Count, Small, Whole


class Launch(PanelEvaluation):
    """Forecast new products: each series that begins inside the data is asked for once, at its launch or soon after it.

    A fold is an instant of launches: the series that begin there are asked, nobody else, with all that was known of all
    series then. A launch has no season behind it, so that errors cannot be scaled by its own past: `mase` and `rmsse` are
    undefined but for a large `after`, and `wape` orders the leaderboard.

    Attributes:
        after: Rows of a launch that are known; with 0, models are asked that can forecast a series without a row.
        before: Rows of the calendar that must lie before a launch, so that there are others to learn from; None takes a season.
        launches: Instants of launches, the last ones.
        intervals: The `model`'s own: windows before the cutoff are of series that have a past, and say nothing of a launch.
        reconcile: `none`: launches are asked alone, and no sum is made of them.

    Example:
        python -m hwds model=forecast/analog protocol=launch rivals=[forecast/seasonal_naive]
    """

    headline: str = "wape"
    intervals: Literal["model"] = "model"
    reconcile: Literal["none"] = "none"
    after: Whole = 1
    before: Count | None = None
    launches: Annotated[Count, Small(2)] = 24

    def split(self, frame: Panel) -> Sequence[Fold]:
        """One fold for each instant of launches, oldest first.

        Raises:
            DataError: No series begins late enough and has a row after its cutoff.
        """
        cutoffs = self.cutoffs(frame)
        if not cutoffs:
            raise DataError(
                f"protocol: no series begins {self._before(frame)} rows or more after the data does (protocol.before)"
                f" and goes on for more than {self.after} (protocol.after)."
            )
        return [Fold(i, cutoff.label, frame.n_series, (cutoff,)) for i, cutoff in enumerate(cutoffs)]

    def unrehearsed(self) -> str:
        """Nothing speaks against it."""
        return ""

    def rehearsal(self, frame: Panel, windows: int) -> Rehearsal:
        """Earlier launches, all of whose steps lie before the first cutoff.

        Raises:
            DataError: There are fewer of them.
        """
        first = self.split(frame)[0].cutoffs[0]
        earlier = earlier_panel(self, frame)
        every = replace(self, launches=windows, segments=(), paths=0)
        last = frame.frequency.after(pl.Series([first.instant]), -self.steps(frame))[0]
        fitting = [cutoff for cutoff in every._launched(earlier) if cutoff.instant <= last]
        if len(fitting) < windows:
            asked = len(self.cutoffs(frame))
            raise DataError(
                f"{len(fitting)} instants of launches lie {self.steps(frame)} steps or more before the first of the {asked}"
                f" that are asked; ask for fewer (protocol.launches={max(asked // 2, 1)})."
            )
        folds = [Fold(i, cutoff.label, earlier.n_series, (cutoff,)) for i, cutoff in enumerate(fitting[-windows:])]
        return Rehearsal(every, earlier, folds)

    def cutoffs(self, panel: Panel) -> list[Cutoff]:
        """The cutoff of each instant of launches that is asked, oldest first."""
        return list(self._launched(panel)[-self.launches :])

    def _launched(self, panel: Panel) -> list[AtLaunch]:
        """The cutoff of every instant of launches, oldest first."""
        begins = panel.table[TIME].gather(panel.offsets[:-1])
        late = begins >= panel.frequency.after(begins.sort().head(1), self._before(panel))[0]
        asked = begins.filter(late & pl.Series(panel.lengths > self.after)).unique().sort()
        cuts = panel.frequency.after(asked, self.after - 1)
        return [AtLaunch(cut, launch) for cut, launch in zip(cuts, asked, strict=True)]

    def _before(self, panel: Panel) -> int:
        return self.before or panel.season

    def alignment(self) -> Align:
        """Launches lie on a calendar that the series share."""
        return "calendar"

    def end(self, panel: Panel) -> Cutoff:
        """The last instant of the panel."""
        last: Any = panel.table[TIME].max()
        return AtTime(last)

    def notes(self, folds: Sequence[Fold], predictions: pl.DataFrame) -> list[str]:
        """How many launches were asked for."""
        units = max(fold.units for fold in folds)
        asked = predictions[SERIES].n_unique() if SERIES in predictions.columns else units
        return [f"{asked} launches of {units} series were asked for; the others began too early, or too late to be scored."]

    def check_models(self, models: Mapping[str, Forecaster], frame: Panel) -> None:
        """Without a row of its own, a series can only be forecast from others.

        Raises:
            ConfigError: A model has no way to do so.
        """
        unable = [label for label, model in models.items() if not model.launches]
        if not self.after and unable:
            raise ConfigError(
                f"protocol.after: '{unable[0]}' cannot forecast a series without a row; use forecast/analog, or at least 1."
            )
