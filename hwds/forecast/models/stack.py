"""A weighted mean of several forecasters, weighed on windows before the cutoff."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args

import numpy as np
import polars as pl
from annotated_types import Ge, Le, MinLen

from hwds.core.recipe import Names, Small, label_with
from hwds.core.serialization import Serializable
from hwds.forecast.models.base import ForecastContext, Forecaster
from hwds.forecast.stacking import (
    GroupWeights,
    MemberWindows,
    absolute_ridge_weights,
    absolute_simplex_weights,
    combine_backtests,
    group_names,
    inverse_error_weights,
    learn_group_weights,
    learned_weights,
    member_forecasts,
    member_windows,
    mixture,
    winner_weights,
)
from hwds.frames.panel import Forecasts, Panel

Combine = Literal["learned", "inverse", "shrunk", "simplex", "ridge", "equal", "median", "best"]

WEIGHT_RULES: dict[str, Callable[[MemberWindows], np.ndarray]] = {
    "learned": learned_weights,
    "inverse": inverse_error_weights,
    "simplex": absolute_simplex_weights,
    "ridge": absolute_ridge_weights,
    "best": winner_weights,
}
"""Each from windows to weights."""

PLAIN_COMBINATIONS: tuple[Combine, ...] = ("equal", "median", "best")
"""The combinations that are always scored beside learned weights."""


class Stack(Forecaster):
    """Combine forecasters: their quantiles are averaged with weights learned on windows that none
    of them was fitted on.

    Each member is fitted before each of the last `windows` horizons of the history and forecasts
    it. How far weights may go from equal ones is learned there (`learned`, the default): members
    more than a fifth behind the best are left out, and the others are shrunk to equal weights as
    far as left-out windows support it. For similar members, equal weights are hard to beat (Bates
    and Granger 1969; Stock and Watson 2004; Claeskens et al. 2016); where some cannot read what
    matters they are not. Every member is then fitted on all rows. The equal mean, the median and
    the best single member are always scored, too.

    Attributes:
        members: The forecasters that are combined, at least two.
        combine: `learned`; `inverse` (in inverse proportion to the squared error, none left out);
            `simplex` (of least mean absolute scaled error, at least 0); `shrunk` (half way from
            these to equal ones: Diebold and Shin 2019, "partially egalitarian"); `ridge` (any sign
            and sum, drawn to equal weights as far as left-out windows say); `equal`; the `median`
            of the members; or the `best` member on the windows.
        windows: Windows that the weights are learned on. Fewer than three of them before which half
            of the history was known leave `learned` weights nearly equal.
        weights_by: Groups with weights of their own, half way to the common weights: `step` (early,
            middle and late ones), static columns (each of their values with enough series).
    """

    search_space: ClassVar[Mapping[str, Any]] = {
        "combine": {"choice": list(get_args(Combine))},
        "windows": {"choice": [2, 3, 4]},
    }

    members: Annotated[tuple[Forecaster, ...], MinLen(2)]
    combine: Combine = "learned"
    windows: Annotated[int, Ge(2), Le(100), Small(2)] = 3
    weights_by: Names = ()

    def companions(self) -> tuple[Stack, ...]:
        """Return the equal mean, the median and the best member, where weights are learned."""
        if self.combine in PLAIN_COMBINATIONS:
            return ()
        names: dict[Combine, Any] = {
            kind: {"name": label_with(self.name, f"combine={kind}")} for kind in PLAIN_COMBINATIONS
        }
        return tuple(
            Stack(members=self.members, windows=self.windows, combine=kind, **name)
            for kind, name in names.items()
        )

    def learn(
        self, history: Panel, *, horizon: int, context: ForecastContext
    ) -> FittedForecastStack:
        """Learn weights from inner windows, then fit every member on all rows."""
        weights = self._weights(history, horizon, context)
        fitted = tuple(context.fitted(member, history, horizon=horizon) for member in self.members)
        return FittedForecastStack(fitted, weights, self._group_columns(), self.combine == "median")

    def backtest(
        self, history: Panel, windows: int, *, horizon: int, context: ForecastContext
    ) -> pl.DataFrame:
        """Return the members' inner windows, each combined by weights that were learned on the
        others: nothing is fitted.
        """
        seen = history.last(context.sliding) if context.sliding else history
        backtests = [
            context.inner(member, seen, max(windows, self.windows), horizon=horizon)
            for member in self.members
        ]
        if any(rows.is_empty() for rows in backtests):
            return pl.DataFrame()
        whole, group = member_windows(backtests), self._groups(seen)

        def weights(window: int) -> GroupWeights:
            return self._learn_weights(whole.take(whole.window != window), group, horizon)

        return combine_backtests(backtests, weights, group, median=self.combine == "median").filter(
            pl.col("window") >= -windows
        )

    def _weights(self, history: Panel, horizon: int, context: ForecastContext) -> GroupWeights:
        if self.combine in ("equal", "median"):
            return self._equal_weights()
        seen = member_windows(
            [context.inner(each, history, self.windows, horizon=horizon) for each in self.members]
        )
        return self._learn_weights(seen, self._groups(history), horizon)

    def _learn_weights(
        self, seen: MemberWindows, group: dict[str, str], horizon: int
    ) -> GroupWeights:
        """Return weights from windows; equal ones where every series is too short for one."""
        if self.combine in ("equal", "median") or not len(seen.target):
            return self._equal_weights()
        names = np.array([group.get(name, "") for name in seen.series.tolist()], object)
        return learn_group_weights(
            seen, names, horizon, self._apply_rule, "step" in self.weights_by
        )

    def _apply_rule(self, seen: MemberWindows) -> np.ndarray:
        if self.combine == "shrunk":
            return (absolute_simplex_weights(seen) + 1 / len(self.members)) / 2
        return WEIGHT_RULES[self.combine](seen)

    def _group_columns(self) -> tuple[str, ...]:
        return tuple(name for name in self.weights_by if name != "step")

    def _groups(self, panel: Panel) -> dict[str, str]:
        groups = group_names(panel, self._group_columns())
        return dict(zip(panel.series_ids.to_list(), groups.tolist(), strict=True))

    def _equal_weights(self) -> GroupWeights:
        return GroupWeights.same(np.full(len(self.members), 1 / len(self.members)))


@dataclass(frozen=True, eq=False)
class FittedForecastStack(Serializable):
    """Fitted members and their weights.

    Attributes:
        members: The members in the order of the weights.
        weights: The weights by group of series and part of the horizon.
        columns: Static columns that make the groups.
        median: Whether the median of the members is taken instead.
    """

    members: tuple[Any, ...]
    weights: GroupWeights
    columns: tuple[str, ...]
    median: bool

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Return the combination of what the members say.

        A series that any of them answered by a fallback counts as one.
        """
        means, quantiles, fallbacks, kinds = member_forecasts(self.members, history, future)
        fallback = np.any(fallbacks, axis=0)
        if self.median:
            both = np.median(means, axis=0), np.median(quantiles, axis=0)
            return Forecasts.of(*both, fallback, kinds)
        n, steps = means.shape[1:]
        group = group_names(history, self.columns).repeat(steps)
        step = np.tile(np.arange(1, steps + 1), n)
        weights = self.weights.of(group, step).reshape(n, steps, len(self.members))
        return mixture(weights, means, quantiles, fallback, kinds)
