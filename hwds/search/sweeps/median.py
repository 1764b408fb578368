"""Median stopping."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any, ClassVar

from hwds.core.recipe import Folds
from hwds.search.sweeps.base import Searching


class Median(Searching):
    """Stop trials that are worse than the median of all so far, after each window.

    Golovin et al. (2017), "Google Vizier: a service for black-box optimization".

    Attributes:
        grace: Windows before the first trial is stopped.
    """

    stops: ClassVar[bool] = True

    grace: Folds = 1

    def rungs(self, folds: int) -> tuple[int, ...]:
        """Return every window from `grace` on."""
        return (*range(self.grace, folds), folds)

    def scheduler(self, folds: int) -> tuple[str, dict[str, Any]]:
        """Return the scheduler that stops trials by the median of running means."""
        return "MedianStoppingRule", {
            "time_attr": "folds",
            "grace_period": self.grace,
            "min_samples_required": 3,
        }

    def survivors(self, rung: int, folds: int, scores: Mapping[int, float]) -> set[int]:
        """Return the trials that are not worse than the median."""
        middle = median(scores.values()) if scores else 0.0
        return {number for number, score in scores.items() if score <= middle}
