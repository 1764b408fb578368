"""Successive halving."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le

from hwds.core.recipe import Folds
from hwds.search.sweeps.base import Searching


class ASHA(Searching):
    """Successive halving: all trials on the first window, the best of them on more, the best of
    those on all.

    Li et al. (2020), "A system for massively parallel hyperparameter tuning". Rungs are windows, so
    that models which cannot stop inside a fit are stopped too. Here a rung is complete before the
    next begins, so that the same trials are stopped on any number of processes.

    Attributes:
        grace: Windows before the first trial is stopped.
        reduction: One in so many goes on from a rung, and the next rung has so many times the
            windows.
    """

    stops: ClassVar[bool] = True

    grace: Folds = 1
    reduction: Annotated[int, Ge(2), Le(1_000)] = 3

    def rungs(self, folds: int) -> tuple[int, ...]:
        """Return `grace` windows, then `reduction` times as many, and so on."""
        rungs_below, rung = [], self.grace
        while rung < folds:
            rungs_below.append(rung)
            rung *= self.reduction
        return (*rungs_below, folds)

    def scheduler(self, folds: int) -> tuple[str, dict[str, Any]]:
        """Return the scheduler that promotes a trial as soon as it is among the best of those that
        have reported.
        """
        grace = min(self.grace, folds)
        return "ASHAScheduler", {
            "time_attr": "folds",
            "max_t": folds,
            "grace_period": grace,
            "reduction_factor": self.reduction,
        }

    def survivors(self, rung: int, folds: int, scores: Mapping[int, float]) -> set[int]:
        """Return the best one in `reduction`, rounded up; the earlier trial on a tie."""
        return best_trials(scores, ceil(len(scores) / self.reduction))


def best_trials(scores: Mapping[int, float], count: int) -> set[int]:
    """Return the trials with the `count` lowest scores; the earlier trial on a tie."""
    return set(sorted(scores, key=lambda number: (scores[number], number))[:count])
