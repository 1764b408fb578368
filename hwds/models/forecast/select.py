"""One forecaster for each series, chosen on windows before the cutoff."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from annotated_types import Ge, MinLen

from hwds.context import Context
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.models.forecast.base import Forecaster
from hwds.models.forecast.select_choice import Choice, choose
from hwds.models.forecast.stack_weights import windows_of
from hwds.recipe import Small
from hwds.stored import load_fitted, save_fitted

COST = "choosing_cost"
"""The column, and the metric, of what choosing costs."""


class Select(Forecaster):
    """Give each series the forecaster that did best on its windows before the cutoff.

    A series' own windows are few, so its losses are drawn to those of all series, as far as windows left out in turn say that
    it helps; where that is all the way, one member answers for all. What the choice costs is told: the loss on windows left
    out less that on the windows which it was made by (Fildes 1989, "Evaluation of aggregate and individual forecast method
    selection rules").

    Attributes:
        members: Forecasters, at least two.
        windows: Windows that the choice is made by.

    Example:
        python -m hwds model=forecast/select
    """

    search_space: ClassVar[Mapping[str, Any]] = {"windows": {"choice": [2, 3, 4, 6]}}

    members: Annotated[tuple[Forecaster, ...], MinLen(2)]
    windows: Annotated[int, Ge(2), Small(2)] = 3

    def fit(self, history: Panel, *, horizon: int, context: Context) -> FittedSelect:
        """The choice on inner windows, then every member that was chosen for some series, on all rows."""
        seen = windows_of([context.inner(member, history, self.windows) for member in self.members])
        choice = choose(seen, len(self.members))
        used = sorted({choice.usual, *choice.members.values()})
        fitted = {k: context.fitted(self.members[k], history) for k in used}
        return FittedSelect(fitted, tuple(member.name for member in self.members), choice)


@dataclass(frozen=True, eq=False)
class FittedSelect:
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
        """Each series' own member; a series that the choice has not seen takes the one that is usually best."""
        names = history.series_ids.to_list()
        chosen = np.array([self.choice.members.get(name, self.choice.usual) for name in names])
        answers = {k: member.predict(history, future) for k, member in self.members.items() if (chosen == k).any()}
        first = next(iter(answers.values()))
        mean, quantiles, fallback = first.mean.copy(), first.quantiles.copy(), first.fallback.copy()
        for k, answer in answers.items():
            own = chosen == k
            mean[own], quantiles[own], fallback[own] = answer.mean[own], answer.quantiles[own], answer.fallback[own]
        cost = self.choice.cost
        told = {"member": np.array(self.labels)[chosen], COST: np.full(len(chosen), np.nan if cost is None else cost)}
        return replace(Forecasts.of(mean, quantiles, fallback), told=told)

    def save(self, folder: Path) -> None:
        """Each member in a folder of its own."""
        for number, member in self.members.items():
            save_fitted(getattr(member, "own", member), folder / f"member-{number}")
        told = {"members": sorted(self.members), "labels": self.labels, "choice": self.choice.as_dict()}
        (folder / "select.json").write_text(json.dumps(told))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        told = json.loads((folder / "select.json").read_text())
        members = {number: load_fitted(folder / f"member-{number}") for number in told["members"]}
        return cls(members, tuple(told["labels"]), Choice(**told["choice"]))
