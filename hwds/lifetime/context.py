"""LifetimeContext: what a model of remaining life is given besides the runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwds.evaluation.codecs import FITTED
from hwds.evaluation.context import RunContext
from hwds.evaluation.keys import key_of
from hwds.features.base import LearnedRunFeatures, RunFeatures
from hwds.features.signal_windows import SignalWindows
from hwds.frames.runs import Runs


@dataclass(frozen=True, slots=True)
class LifetimeContext(RunContext):
    """The settings of a run, and what a protocol asks of a model beside its own settings.

    Attributes:
        cap: The remaining life beyond which healthy machines look alike: points are of min(life, cap).
        least: Rows that are known of a run when its life is asked for, at least.
        by_share: Whether lives are asked for at shares of a run's life, each run as often as any other, so that its rows count
            the less the longer it lasts; where not, at any cycle, as in a fleet.
    """

    cap: float = 125.0
    least: int = 30
    by_share: bool = False

    def run_features(self) -> RunFeatures:
        """Return the experiment's features of runs; the windows that models take by themselves where it has none."""
        return self.features if isinstance(self.features, RunFeatures) else SignalWindows()

    def learned_features(self, runs: Runs) -> LearnedRunFeatures:
        """Return the features with the scales of runs."""
        return self.run_features().learn(runs)

    def fitted_once(self, model: Any, purpose: str, runs: Runs, make: Any) -> Any:
        """Return what a model makes of runs; a run of an experiment makes it once for all models that have it as a member."""
        if self.cache is None:
            return make()
        settings = {"model": model, "features": self.run_features()}
        settings |= {"cap": self.cap, "least": self.least, "by_share": self.by_share}
        key = key_of(purpose, [self.fold, runs.fingerprint], settings, self.conditions, __name__)
        return self.cache.get_or_make(key, FITTED, make)

    def weights(self, runs: Runs, rows: np.ndarray) -> np.ndarray:
        """Return how much each of some rows counts, as often as it is asked for; shape (rows,), mean 1.

        Args:
            runs: All runs.
            rows: A mask of shape (rows of all runs,).
        """
        run = runs.run_of_row[rows]
        if not self.by_share:
            return np.ones(len(run))
        weight = 1.0 / np.maximum(np.bincount(run, minlength=runs.n), 1)[run]
        return np.asarray(weight * (len(weight) / max(weight.sum(), 1e-300)))
