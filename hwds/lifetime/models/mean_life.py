"""The law of all machines' lives, given the age."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.core.serialization import Serializable
from hwds.frames.runs import Runs
from hwds.lifetime.laws import LIFE_LEVELS, Lives, lives_of_curves, tail_hazard
from hwds.lifetime.models.base import LifetimeContext, LifetimeModel
from hwds.stats.distributions import kaplan_meier


class MeanLife(LifetimeModel):
    """The lives of all machines that lasted as long (Kaplan and Meier 1958), without a look at any
    sensor.

    The law of a plant that counts its machines' lives and nothing more: the baseline of every other
    model. Beyond the longest life seen the curve goes on as an exponential (Brown, Hollander and
    Korwar 1974); if that life ended in a failure, the exponential leaves half a machine there.
    """

    def learn(self, runs: Runs, context: LifetimeContext) -> KnownLives:
        """Keep the curve of lives; censored ones count as long as they were seen."""
        lives, share = kaplan_meier(runs.ages, runs.events, np.ones(runs.n))
        longest = float(runs.ages.max())
        hazard = float(tail_hazard(max(share[-1], 0.5 / runs.n), longest))
        return KnownLives(lives, share, longest, hazard, context.cap)


@dataclass(frozen=True, eq=False)
class KnownLives(Serializable):
    """A curve of lives.

    Attributes:
        lives: Rising, shape (d,).
        share: The share of machines that last longer than each.
        longest: The longest life seen, of a machine that failed or was censored.
        hazard: Beyond that.
        cap: Of points.
    """

    lives: np.ndarray
    share: np.ndarray
    longest: float
    hazard: float
    cap: float

    def predict(self, runs: Runs) -> Lives:
        """Return the law of the life beyond each run's age, given that age."""
        each = [self._given(age) for age in runs.ages.tolist()]
        return Lives(
            np.array([one.point[0] for one in each]),
            np.array([one.quantiles[0] for one in each]).reshape(-1, len(LIFE_LEVELS)),
        )

    def _given(self, age: float) -> Lives:
        later = self.lives > age
        lasted = self.share[~later][-1] if (~later).any() else 1.0
        curve = (self.share[later] / max(lasted, 1e-300))[None]
        beyond = max(self.longest - age, 0.0)
        return lives_of_curves(
            self.lives[later] - age, curve, np.array([self.hazard]), beyond, self.cap
        )
