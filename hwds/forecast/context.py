"""ForecastContext: what a forecaster knows besides its history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from hwds.evaluation.context import RunContext
from hwds.frames.feature_plan import Plan
from hwds.frames.panel import Panel
from hwds.frames.roles import Roles
from hwds.splitting.panels import Align


class Features(Protocol):
    """A feature set as a forecaster sees it."""

    def columns(self, roles: Roles, horizon: int) -> Plan:
        """Return the features it computes for a panel with these roles, or a refusal."""

    def compute(self, panel: Panel) -> Panel:
        """Return the panel with the columns of the plan added; rows after the history have a null target."""


class Backtests(Protocol):
    """The inner backtests of a run: what models ask of each other, computed once for all who ask."""

    def inner(
        self, model: Any, history: Panel, windows: int, *, horizon: int, context: ForecastContext, refit: bool
    ) -> pl.DataFrame:
        """Return the rows of `ForecastContext.inner`."""

    def fitted(self, model: Any, history: Panel, *, horizon: int, context: ForecastContext) -> Any:
        """Return the model of `ForecastContext.fitted`."""


@dataclass(frozen=True, slots=True)
class ForecastContext(RunContext):
    """The settings that a forecaster is given with the data.

    Attributes:
        levels: The quantile levels to forecast, rising.
        season: Rows in a season.
        align: Whether cutoffs are instants of a calendar that the series share, or counted back from each one's own end.
        known_until: The instant of the cutoff, where series share a calendar; None takes the last one of the history.
        sliding: Rows of history that a fit sees at most; None for all.
        backtests: What answers `inner` and `fitted`; None outside of a run.

    Example:
        ForecastContext(seed=0, levels=(0.1, 0.5, 0.9), season=12)
    """

    levels: tuple[float, ...] = ()
    season: int = 1
    align: Align = "end"
    known_until: Any = None
    sliding: int | None = None
    backtests: Backtests | None = None

    def inner(self, model: Any, history: Panel, windows: int, *, horizon: int, refit: bool = True) -> pl.DataFrame:
        """Forecast the last windows of the history, each of `horizon` rows.

        Stacks, selection and conformal intervals ask here, so that a member is fitted once for all who ask. The rows are those
        of a protocol: `series_id, cutoff, time, step, actual, mean` and quantiles, with `window`, -1 for the last one, -2 for
        that before; a series too short for a window has none.

        Args:
            model: A forecaster.
            history: What the asking model was given to learn from.
            windows: How many.
            horizon: Rows of each window.
            refit: Whether it is fitted anew before each window; else once, before the first of them (a model that fits each
                series alone is fitted anew all the same), and windows that leave a series with its own end less than half of
                its rows are left out.

        Raises:
            RuntimeError: There is no run to answer.
        """
        if self.backtests is None:
            raise RuntimeError("ForecastContext.inner: only a run answers; this context has none.")
        return self.backtests.inner(model, history, windows, horizon=horizon, context=self, refit=refit)

    def fitted(self, model: Any, history: Panel, *, horizon: int) -> Any:
        """Fit another model on the history; in a run its forecasts are computed once for all who ask.

        Its attribute `own` is the fitted model itself, where it is to be saved; without a run it is fitted at once.
        """
        if self.backtests is None:
            return model.learn(history, horizon=horizon, context=self)
        return self.backtests.fitted(model, history, horizon=horizon, context=self)
