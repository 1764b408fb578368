"""The choice of a member for each series: losses on inner windows, shrunk to those of all series as far as that helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwds.core.serialization import Serializable
from hwds.forecast.models.stacking.weights import MemberWindows

TRUST = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0, np.inf)
"""Tried weights of what holds for all series, in rows of a series' own; infinite takes one member for all."""


@dataclass(frozen=True)
class Choice(Serializable):
    """The member of each series.

    Attributes:
        members: The number of the member of each series.
        usual: The member that is best over all series.
        inside: The mean absolute scaled error of the choice on the windows that it was made by; None where there were none.
        outside: The same on each window of a choice made by the others: an honest estimate. The difference is what choosing
            costs.
        single: The same of one member for all, chosen by the other windows.
    """

    members: Mapping[str, int]
    usual: int = 0
    inside: float | None = None
    outside: float | None = None
    single: float | None = None

    @property
    def cost(self) -> float | None:
        """The excess of a choice's loss outside over that inside; None where there was nothing to choose by."""
        return None if self.inside is None or self.outside is None else self.outside - self.inside


def choose(seen: MemberWindows) -> Choice:
    """Return the choice by all windows, drawn to the usual best as far as left-out windows say.

    Args:
        seen: What members forecast on inner windows; may be empty.
    """
    if not len(seen.target):
        return Choice({})
    names, series = np.unique(seen.series.astype(str), return_inverse=True)
    losses = np.abs(seen.forecasts - seen.target[:, None])
    outside = [left_out(losses, series, seen.window, trust) for trust in TRUST]
    best = len(TRUST) - 1 - int(np.argmin(outside[::-1]))  # of equals the strongest
    chosen = by_series(losses, series, len(names), TRUST[best])
    inside = float(losses[np.arange(len(series)), chosen[series]].mean())
    usual = int(np.argmin(losses.mean(0)))
    by_name = dict(zip(names.tolist(), chosen.tolist(), strict=True))
    return Choice(by_name, usual, inside, outside[best], outside[-1])


def by_series(losses: np.ndarray, series: np.ndarray, count: int, trust: float) -> np.ndarray:
    """Return the member of least loss of each series, shape (count,); a series without rows takes the usual best.

    Args:
        losses: Shape (rows, members).
        series: The number of each row's series, shape (rows,).
        count: How many series there are.
        trust: How many rows what holds for all series is worth.
    """
    usual = losses.mean(0)
    if not np.isfinite(trust):
        return np.full(count, int(np.argmin(usual)))
    rows = np.bincount(series, minlength=count)[:, None]
    sums = np.stack([np.bincount(series, column, count) for column in losses.T], 1)
    drawn = (sums + trust * usual) / np.maximum(rows + trust, 1e-12)
    return np.where(rows[:, 0] > 0, np.argmin(drawn, 1), int(np.argmin(usual)))


def left_out(losses: np.ndarray, series: np.ndarray, window: np.ndarray, trust: float) -> float:
    """Return the mean loss on each window of the choice made by the others."""
    count = int(series.max()) + 1
    total = 0.0
    for number in np.unique(window):
        inside = window == number
        if inside.all():
            return float(losses[:, int(np.argmin(losses.mean(0)))].mean())
        chosen = by_series(losses[~inside], series[~inside], count, trust)
        total += float(losses[inside, chosen[series[inside]]].sum())
    return total / len(losses)
