"""Successive halving."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Annotated, Any, ClassVar

from annotated_types import Ge

from hwds.recipe import Count
from hwds.sweeps.searching import Searching


class ASHA(Searching):
    """Successive halving: all trials on the first window, the best of them on more, the best of those on all.

    Li et al. (2020), "A system for massively parallel hyperparameter tuning". Rungs are windows, so that models which cannot
    stop inside a fit are stopped too. Here a rung is complete before the next begins, so that the same trials are stopped on
    any number of processes.

    Attributes:
        grace: Windows before the first trial is stopped.
        reduction: One in so many goes on from a rung, and the next rung has so many times the windows.
    """

    stops: ClassVar[bool] = True

    grace: Count = 1
    reduction: Annotated[int, Ge(2)] = 3

    def rungs(self, folds: int) -> tuple[int, ...]:
        """`grace` windows, then `reduction` times as many, and so on."""
        found, rung = [], self.grace
        while rung < folds:
            found.append(rung)
            rung *= self.reduction
        return (*found, folds)

    def scheduler(self, folds: int) -> tuple[str, dict[str, Any]]:
        """Promotions as soon as a trial is among the best of those that are there."""
        grace = min(self.grace, folds)
        return "ASHAScheduler", {
            "time_attr": "folds",
            "max_t": folds,
            "grace_period": grace,
            "reduction_factor": self.reduction,
        }

    def kept(self, rung: int, folds: int, scores: Mapping[int, float]) -> set[int]:
        """The best one in `reduction`, rounded up; the earlier trial where two are alike."""
        return best(scores, ceil(len(scores) / self.reduction))


def best(scores: Mapping[int, float], count: int) -> set[int]:
    """So many of the lowest scores; the earlier trial where two are alike."""
    return set(sorted(scores, key=lambda number: (scores[number], number))[:count])
