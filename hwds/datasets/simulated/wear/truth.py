"""WearTruth: the true law of the remaining life of simulated machines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.core.serialization import Serializable
from hwds.datasets.base import Truth
from hwds.datasets.simulated.wear.fleet import WearLaw
from hwds.datasets.simulated.wear.settings import WearWorld
from hwds.frames.runs import Runs
from hwds.lifetime.context import LifetimeContext
from hwds.lifetime.laws.lives import Lives, quantiles_of_survival, restricted_mean

FARTHEST = 20
"""Lives ahead that are looked at: beyond them nothing runs any more."""


class WearTruth(Truth):
    """The law of each machine's remaining life given all of its wear so far: what no sensor shows.

    Attributes:
        dataset: The simulator's settings.
    """

    name: str = "truth"
    dataset: WearWorld

    def learn(self, runs: Runs, context: LifetimeContext) -> KnownWear:
        """Return the wear of all machines after each cycle; nothing is learned."""
        machines = list(self.dataset.fleet())
        wear = {each.name: each.wear for each in machines}
        return KnownWear(self.dataset.mean_life, context.cap, wear, context.least if context.by_share else -1)


@dataclass(frozen=True, eq=False)
class KnownWear(Serializable):
    """The wear of machines.

    Attributes:
        mean_life: Of the law.
        cap: Of points.
        wear: Of each machine after each of its cycles.
        least: Where lives are predicted at shares of a run's rows after the first so many, a life is met the more seldom at a
            cycle the longer it is, and the law is of lives as they are met; -1 where they are predicted at any cycle.
    """

    mean_life: float
    cap: float
    wear: dict[str, np.ndarray]
    least: int

    def predict(self, runs: Runs) -> Lives:
        """Return the true law at the last row of each run."""
        worn = np.array([self.wear[name][length - 1] for name, length in zip(runs.names, runs.lengths, strict=True)])
        ahead = np.arange(1.0, FARTHEST * self.mean_life + 1)
        survival = WearLaw(self.mean_life).survival(runs.lengths.astype(float), np.minimum(worn, 1 - 1e-12), ahead)
        if self.least >= 0:
            survival = _met(survival, runs.lengths[:, None] + ahead - self.least)
        return Lives.of(restricted_mean(ahead, survival, self.cap), quantiles_of_survival(ahead, survival))


def _met(survival: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Return survival curves of lives each of which is met as often as 1 / `room`, shapes (n, h)."""
    chance = -np.diff(np.column_stack([np.ones(len(survival)), survival]), axis=1) / np.maximum(room, 1.0)
    return np.asarray(1 - np.cumsum(chance, axis=1) / np.maximum(chance.sum(axis=1, keepdims=True), 1e-300))
