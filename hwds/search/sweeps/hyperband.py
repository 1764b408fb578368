"""HyperBand."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from hwds.search.sweeps.asha import ASHA, best_trials


class HyperBand(ASHA):
    """Successive halving in several brackets, which stop trials early, later and never: for scores
    that turn late.

    Li et al. (2018), "Hyperband: a novel bandit-based approach to hyperparameter optimization".
    Trials go to the brackets in turn.
    """

    def scheduler(self, folds: int) -> tuple[str, dict[str, Any]]:
        """Return the scheduler of successive halving without waiting, in brackets."""
        name, settings = super().scheduler(folds)
        return name, settings | {"brackets": len(self.rungs(folds))}

    def survivors(self, rung: int, folds: int, scores: Mapping[int, float]) -> set[int]:
        """Return the best one in `reduction` of each bracket that has begun to stop trials, and all
        trials of the others.
        """
        rungs = self.rungs(folds)
        continuing: set[int] = set()
        for bracket in range(len(rungs)):
            members = {
                number: score for number, score in scores.items() if number % len(rungs) == bracket
            }
            stopping = bracket <= rungs.index(rung)
            continuing |= (
                best_trials(members, ceil(len(members) / self.reduction))
                if stopping
                else set(members)
            )
        return continuing
