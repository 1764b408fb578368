"""The law of all machines' lives, given the age."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.core.serialization import Serializable
from hwds.frames.runs import Runs
from hwds.lifetime.context import LifetimeContext
from hwds.lifetime.laws.kaplan_meier import kaplan_meier
from hwds.lifetime.laws.lives import Lives, quantiles_of_survival, restricted_mean
from hwds.lifetime.models.base import LifetimeModel


class MeanLife(LifetimeModel):
    """The lives of all machines that lasted as long (Kaplan and Meier 1958), without a look at any sensor.

    What a plant knows that counts its machines' lives and nothing else: the floor of every other model.

    Example:
        python -m hwds dataset=engines model=lifetime/mean_life protocol=last_window
    """

    def learn(self, runs: Runs, context: LifetimeContext) -> KnownLives:
        """Keep the curve of lives; censored ones count as long as they were seen."""
        lives, share = kaplan_meier(runs.ages, runs.events, np.ones(runs.n))
        return KnownLives(lives, share, context.cap)


@dataclass(frozen=True, eq=False)
class KnownLives(Serializable):
    """A curve of lives.

    Attributes:
        lives: Rising, shape (d,).
        share: Of machines that last longer than each.
        cap: Of points.
    """

    lives: np.ndarray
    share: np.ndarray
    cap: float

    def predict(self, runs: Runs) -> Lives:
        """Return the law of the life beyond each run's age, given that age."""
        points, quantiles = [], []
        for age in runs.ages:
            left = self.lives - age
            later = left > 0
            if not later.any():  # older than any machine that was seen to fail
                points.append(1.0)
                quantiles.append(np.ones(19))
                continue
            lasted = self.share[~later][-1] if (~later).any() else 1.0
            curve = (self.share[later] / lasted)[None]
            points.append(float(restricted_mean(left[later], curve, self.cap)[0]))
            quantiles.append(quantiles_of_survival(left[later], curve)[0])
        return Lives.of(np.array(points), np.array(quantiles))
