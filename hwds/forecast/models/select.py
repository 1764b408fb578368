"""One forecaster for each series, chosen on windows before the cutoff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Le, MinLen

from hwds.core.recipe import Small
from hwds.core.serialization import Serializable
from hwds.forecast.context import ForecastContext
from hwds.forecast.models.base import Forecaster
from hwds.forecast.models.stacking.selection import Choice, choose
from hwds.forecast.models.stacking.weights import member_windows
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel

COST = "choosing_cost"
"""The column, and the metric, of what choosing costs."""


class Select(Forecaster):
    """Give each series the forecaster that did best on its windows before the cutoff.

    A series' own windows are few, so its losses are drawn to those of all series, as far as windows left out in turn say that
    it helps; where that is all the way, one member answers for all. The cost of the choice is reported: the loss on windows
    left out less that on the windows which it was made by (Fildes 1989, "Evaluation of aggregate and individual forecast method
    selection rules").

    Attributes:
        members: The forecasters to choose from, at least two.
        windows: Windows that the choice is made by.
    """

    search_space: ClassVar[Mapping[str, Any]] = {"windows": {"choice": [2, 3, 4, 6]}}

    members: Annotated[tuple[Forecaster, ...], MinLen(2)]
    windows: Annotated[int, Ge(2), Le(100), Small(2)] = 3

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedSelect:
        """Return the choice on inner windows, then every member that was chosen for some series, on all rows."""
        seen = member_windows([context.inner(member, history, self.windows, horizon=horizon) for member in self.members])
        choice = choose(seen)
        used = sorted({choice.usual, *choice.members.values()})
        fitted = {k: context.fitted(self.members[k], history, horizon=horizon) for k in used}
        return FittedSelect(fitted, tuple(member.name for member in self.members), choice)


@dataclass(frozen=True, eq=False)
class FittedSelect(Serializable):
    """Fitted members and who answers for which series.

    Attributes:
        members: Those that were chosen, by their number.
        labels: The names of all.
        choice: By series.
    """

    members: Mapping[int, Any]
    labels: tuple[str, ...]
    choice: Choice

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast each series by its own member; a series that the choice has not seen takes the one that is best over all."""
        names = history.series_ids.to_list()
        chosen = np.array([self.choice.members.get(name, self.choice.usual) for name in names])
        forecasts = {k: member.predict(history, future) for k, member in self.members.items() if (chosen == k).any()}
        first = next(iter(forecasts.values()))
        mean, quantiles, fallback = first.mean.copy(), first.quantiles.copy(), first.fallback.copy()
        for k, forecast in forecasts.items():
            here = chosen == k
            mean[here], quantiles[here], fallback[here] = forecast.mean[here], forecast.quantiles[here], forecast.fallback[here]
        cost = self.choice.cost
        columns = {"member": np.array(self.labels)[chosen], COST: np.full(len(chosen), np.nan if cost is None else cost)}
        return replace(Forecasts.of(mean, quantiles, fallback), diagnostics=columns)
