"""Context: what a model knows besides the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import polars as pl

from hwds.frames.features import Plan
from hwds.frames.panel import Panel
from hwds.frames.roles import PanelRoles
from hwds.frames.table import Table
from hwds.seeds import stream, stream_key

Device = Literal["auto", "cpu", "gpu"]
Align = Literal["calendar", "end"]


class Features(Protocol):
    """A feature set as a model sees it."""

    def columns(self, roles: PanelRoles, horizon: int) -> Plan:
        """The features it computes for a panel with these roles, or a refusal."""

    def compute(self, panel: Panel) -> Panel:
        """The panel with the columns of the plan added; rows after the history have a null target."""


class Inner(Protocol):
    """Who answers `Context.inner`."""

    def __call__(self, model: Any, history: Panel, windows: int, context: Context, *, refit: bool) -> pl.DataFrame:
        """The rows."""

    def fitted(self, model: Any, history: Panel, context: Context) -> Any:
        """A fitted model whose forecasts are kept."""

    def learned(self, model: Any, train: Table, stop: Table, context: Context) -> Any:
        """A scorer of rows, kept."""

    def columns_of(self, features: Any, table: Table) -> pl.DataFrame:
        """The columns of row features, kept."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is handed to a model with the data. No stream is named by the model, so rivals meet the same luck.

    Attributes:
        seed: The experiment's seed.
        fold: The name of the fold: what it may know (`2023-12-01`), so that adding folds changes no stream.
        levels: The quantile levels asked for, rising.
        season: Rows in a season.
        horizon: Steps to forecast.
        features: The feature set, for models that use one.
        cpus: Threads that the model may use.
        device: Where Keras and XGBoost compute.
        align: Whether cutoffs are instants of a calendar that the series share, or counted back from each one's own end.
        known_until: The instant of the cutoff, where series share a calendar; None takes the last one of the history.
        sliding: Rows of history that a fit sees at most; None for all.
        answers: Who answers `inner`; None outside of a run.
    """

    seed: int
    fold: str = ""
    levels: tuple[float, ...] = ()
    season: int = 1
    horizon: int = 1
    features: Features | None = None
    cpus: int = 1
    device: Device = "cpu"
    align: Align = "end"
    known_until: Any = None
    sliding: int | None = None
    answers: Inner | None = None

    def inner(self, model: Any, history: Panel, windows: int, *, refit: bool = True) -> pl.DataFrame:
        """What a model forecasts on the last windows of the history, each of `horizon` rows.

        Stacks, selection and conformal intervals ask here, so that a member is fitted once for all who ask. The rows are those
        of a protocol: `series_id, cutoff, time, step, actual, mean` and quantiles, with `window`, -1 for the last one, -2 for
        that before; a series too short for a window has none.

        Args:
            model: A forecaster.
            history: What the asking model was given to learn from.
            windows: How many.
            refit: Whether it is fitted anew before each window; else once, before the first of them (a model that fits each
                series alone is fitted anew all the same), and windows that leave a series with its own end less than half of
                its rows are left out.

        Raises:
            RuntimeError: There is no run to answer.
        """
        if self.answers is None:
            raise RuntimeError("Context.inner: only a run answers; this context has none.")
        return self.answers(model, history, windows, self, refit=refit)

    def fitted(self, model: Any, history: Panel) -> Any:
        """A model fitted on the history for another one that asks it: in a run its forecasts are computed once for all who ask.

        Its attribute `own` is the fitted model itself, where it is to be saved; without a run it is fitted at once.
        """
        if self.answers is None:
            return model.fit(history, horizon=self.horizon, context=self)
        return self.answers.fitted(model, history, self)

    def learned(self, model: Any, train: Table, stop: Table) -> Any:
        """What a classifier learns for another one that asks it; in a run it is learned once for all who ask."""
        if self.answers is None:
            return model.learn(train, stop=stop, context=self)
        return self.answers.learned(model, train, stop, self)

    def columns_of(self, table: Table) -> pl.DataFrame:
        """The columns that the feature set adds to a table; in a run they are computed once for all models that ask."""
        features: Any = self.features
        columns: pl.DataFrame = features.compute(table) if self.answers is None else self.answers.columns_of(features, table)
        return columns

    def stream(self, *purpose: str | int) -> np.random.Generator:
        """The generator of one purpose in this fold."""
        return stream(self.seed, self.fold, *purpose)

    def seed_for(self, *purpose: str | int) -> int:
        """A seed below 2**31 for a library that wants a number."""
        return stream_key(self.seed, self.fold, *purpose) % 2**31
