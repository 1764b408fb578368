"""A weighted mean of several forecasters, weighed on windows before the cutoff."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from annotated_types import Ge, MinLen

from hwds.context import Context
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.models.forecast.base import Forecaster
from hwds.models.forecast.stack_weights import shrunk_weights, simplex_weights, windows_of
from hwds.stored import load_fitted, save_fitted

Combine = Literal["shrunk", "simplex", "equal", "median"]


class Stack(Forecaster):
    """Combine forecasters: their quantiles are averaged with weights learned on windows that none of them was fitted on.

    Each member is fitted before the last `windows` horizons of the history and forecasts them; the weights, at least 0 and with
    the sum 1, minimise the mean absolute scaled error there. `shrunk` (the default) draws them to equal weights as far as the
    windows, each left out in turn, say that it helps: equal weights are hard to beat (Stock and Watson 2004; Claeskens et
    al. 2016). Every member is then fitted on all rows.

    Attributes:
        members: Forecasters, at least two.
        combine: `shrunk`, `simplex` (no shrinkage), `equal`, or the `median` of the members.
        windows: Windows that the weights are learned on.

    Example:
        python -m hwds model=forecast/stack
    """

    members: Annotated[tuple[Forecaster, ...], MinLen(2)]
    combine: Combine = "shrunk"
    windows: Annotated[int, Ge(2)] = 3

    def fit(self, history: Panel, *, horizon: int, context: Context) -> FittedStack:
        """Weights from inner windows, then every member on all rows."""
        weights = self._weights(history, context)
        fitted = tuple(member.fit(history, horizon=horizon, context=context) for member in self.members)
        return FittedStack(fitted, weights, self.combine == "median")

    def _weights(self, history: Panel, context: Context) -> np.ndarray:
        """Shape (members,)."""
        equal = np.full(len(self.members), 1 / len(self.members))
        if self.combine in ("equal", "median"):
            return equal
        seen = windows_of([context.inner(member, history, self.windows) for member in self.members])
        if not len(seen.target):  # every series is too short for a window
            return equal
        return simplex_weights(seen, 0.0) if self.combine == "simplex" else shrunk_weights(seen)


@dataclass(frozen=True, eq=False)
class FittedStack:
    """Fitted members and their weights.

    Attributes:
        members: In the order of the weights.
        weights: At least 0, with the sum 1, shape (members,).
        median: Whether the median of the members is taken instead.
    """

    members: tuple[Any, ...]
    weights: np.ndarray
    median: bool

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """The combination of what the members say; a series that any of them answered by a fallback counts as one."""
        answers = [member.predict(history, future) for member in self.members]
        means, quantiles = (np.stack([getattr(a, part) for a in answers]) for part in ("mean", "quantiles"))
        fallback = np.any([a.fallback for a in answers], axis=0)
        if self.median:
            return Forecasts.of(np.median(means, axis=0), np.median(quantiles, axis=0), fallback)
        return Forecasts.of(np.tensordot(self.weights, means, 1), np.tensordot(self.weights, quantiles, 1), fallback)

    def save(self, folder: Path) -> None:
        """Each member in a folder of its own."""
        for number, member in enumerate(self.members):
            save_fitted(member, folder / f"member-{number}")
        told = {"weights": self.weights.tolist(), "median": self.median, "members": len(self.members)}
        (folder / "stack.json").write_text(json.dumps(told))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        told = json.loads((folder / "stack.json").read_text())
        members = tuple(load_fitted(folder / f"member-{number}") for number in range(told["members"]))
        return cls(members, np.array(told["weights"]), told["median"])
