"""HyperBand."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from hwds.sweeps.asha import ASHA, best


class HyperBand(ASHA):
    """Successive halving in several brackets, which stop trials early, later and never: for scores that turn late.

    Li et al. (2018), "Hyperband: a novel bandit-based approach to hyperparameter optimization". Trials go to the brackets in
    turn.
    """

    def scheduler(self, folds: int) -> tuple[str, dict[str, Any]]:
        """Successive halving without waiting, in brackets."""
        name, settings = super().scheduler(folds)
        return name, settings | {"brackets": len(self.rungs(folds))}

    def kept(self, rung: int, folds: int, scores: Mapping[int, float]) -> set[int]:
        """The best one in `reduction` of each bracket that has begun to stop, and all of the others."""
        rungs = self.rungs(folds)
        going: set[int] = set()
        for bracket in range(len(rungs)):
            own = {number: score for number, score in scores.items() if number % len(rungs) == bracket}
            begun = bracket <= rungs.index(rung)
            going |= best(own, ceil(len(own) / self.reduction)) if begun else set(own)
        return going
