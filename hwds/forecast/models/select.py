"""One forecaster for each series, chosen on windows before the cutoff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Le, MinLen
from numpy import ndarray

from hwds.core.recipe import Small
from hwds.core.serialization import Serializable
from hwds.forecast.models.base import ForecastContext, Forecaster
from hwds.forecast.stacking import MemberWindows, member_windows
from hwds.frames.panel import Forecasts, Panel

# The choice of a member for each series: losses on inner windows, shrunk to those of all series
# as far as that helps.

TRUSTS = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0, np.inf)
"""Tried weights of what holds for all series, in rows of a series' own; infinite takes one member
for all.
"""


@dataclass(frozen=True)
class MemberChoice(Serializable):
    """The member of each series.

    Attributes:
        members: The number of the member of each series.
        usual: The member that is best over all series.
        inside: The mean absolute scaled error of the choice on the windows that it was made by;
            None where there were none.
        outside: The same on each window of a choice made by the others: an honest estimate. The
            difference is what choosing costs.
        single: The same of one member for all, chosen by the other windows.
    """

    members: Mapping[str, int]
    usual: int = 0
    inside: float | None = None
    outside: float | None = None
    single: float | None = None

    @property
    def cost(self) -> float | None:
        """The excess of a choice's loss outside over that inside.

        None where there was nothing to choose by.
        """
        return None if self.inside is None or self.outside is None else self.outside - self.inside


def choose_members(seen: MemberWindows) -> MemberChoice:
    """Return the choice by all windows, drawn to the usual best as far as left-out windows say.

    Args:
        seen: The forecasts of members on inner windows; may be empty.
    """
    if not len(seen.target):
        return MemberChoice({})
    names, series = np.unique(seen.series.astype(str), return_inverse=True)
    losses = seen.losses
    outside = [left_out_losses(losses, series, seen.window, trust) for trust in TRUSTS]
    best = len(TRUSTS) - 1 - int(np.argmin(outside[::-1]))  # of equals the strongest
    chosen = best_by_series(losses, series, len(names), TRUSTS[best])
    inside = float(losses[np.arange(len(series)), chosen[series]].mean())
    usual = int(np.argmin(losses.mean(0)))
    by_name = dict(zip(names.tolist(), chosen.tolist(), strict=True))
    return MemberChoice(by_name, usual, inside, outside[best], outside[-1])


def best_by_series(losses: ndarray, series: ndarray, count: int, trust: float) -> ndarray:
    """Return the member of least loss of each series, shape (count,).

    A series without rows takes the usual best.

    Args:
        losses: Shape (rows, members).
        series: The number of each row's series, shape (rows,).
        count: The number of series.
        trust: The number of own rows that what holds for all series is worth.
    """
    usual = losses.mean(0)
    if not np.isfinite(trust):
        return np.full(count, int(np.argmin(usual)))
    rows = np.bincount(series, minlength=count)[:, None]
    sums = np.stack([np.bincount(series, column, count) for column in losses.T], 1)
    drawn = (sums + trust * usual) / np.maximum(rows + trust, 1e-12)
    return np.where(rows[:, 0] > 0, np.argmin(drawn, 1), int(np.argmin(usual)))


def left_out_losses(losses: ndarray, series: ndarray, window: ndarray, trust: float) -> float:
    """Return the mean loss on each window of the choice made by the others."""
    count = int(series.max()) + 1
    total = 0.0
    for number in np.unique(window):
        inside = window == number
        if inside.all():
            return float(losses[:, int(np.argmin(losses.mean(0)))].mean())
        chosen = best_by_series(losses[~inside], series[~inside], count, trust)
        total += float(losses[inside, chosen[series[inside]]].sum())
    return total / len(losses)


# One forecaster for each series, chosen on windows before the cutoff.

COST_COLUMN = "choosing_cost"
"""The column, and the metric, of what choosing costs."""


class Select(Forecaster):
    """Give each series the forecaster that did best on its windows before the cutoff.

    A series' own windows are few, so its losses are shrunk to the losses of all series, as far as
    left-out windows show that it helps. With full shrinkage, one member forecasts all series. The
    cost of the choice is reported: the loss on left-out windows minus the loss on the windows of
    the choice (Fildes 1989, "Evaluation of aggregate and individual forecast method selection
    rules").

    Attributes:
        members: The forecasters to choose from, at least two.
        windows: Windows that the choice is made by.
    """

    search_space: ClassVar[Mapping[str, Any]] = {"windows": {"choice": [2, 3, 4, 6]}}

    members: Annotated[tuple[Forecaster, ...], MinLen(2)]
    windows: Annotated[int, Ge(2), Le(100), Small(2)] = 3

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedSelect:
        """Return the choice on inner windows, then every member that was chosen for some series, on
        all rows.
        """
        seen = member_windows(
            [context.inner(each, history, self.windows, horizon=horizon) for each in self.members]
        )
        choice = choose_members(seen)
        used = sorted({choice.usual, *choice.members.values()})
        fitted = {k: context.fitted(self.members[k], history, horizon=horizon) for k in used}
        return FittedSelect(fitted, tuple(member.name for member in self.members), choice)


@dataclass(frozen=True, eq=False)
class FittedSelect(Serializable):
    """Fitted members and who answers for which series.

    Attributes:
        members: The members that were chosen, by their number.
        labels: The names of all.
        choice: The choice by series.
    """

    members: Mapping[int, Any]
    labels: tuple[str, ...]
    choice: MemberChoice

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast each series by its own member.

        A series that the choice has not seen takes the one that is best over all.
        """
        names = history.series_ids.to_list()
        chosen = np.array([self.choice.members.get(name, self.choice.usual) for name in names])
        forecasts = {
            k: member.predict(history, future)
            for k, member in self.members.items()
            if (chosen == k).any()
        }
        first = next(iter(forecasts.values()))
        parts = [first.mean.copy(), first.quantiles.copy(), first.fallback.copy(), first.kinds]
        for k, forecast in forecasts.items():
            here = chosen == k
            own = (forecast.mean, forecast.quantiles, forecast.fallback, forecast.kinds)
            for part, values in zip(parts, own, strict=True):
                part[here] = values[here]
        cost = self.choice.cost
        columns = {
            "member": np.array(self.labels)[chosen],
            COST_COLUMN: np.full(len(chosen), np.nan if cost is None else cost),
        }
        return replace(Forecasts.of(*parts), diagnostics=columns)
