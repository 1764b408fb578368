"""Proposals and early stops together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from hwds.core.recipe import Trials
from hwds.search.sweeps.asha import ASHA
from hwds.search.sweeps.base import TrialScores
from hwds.search.sweeps.optuna import Optuna


class BOHB(Optuna, ASHA):
    """Propose settings near good earlier ones, and stop the worse of each batch by successive
    halving (BOHB).

    Falkner, Klein and Hutter (2018), "BOHB: robust and efficient hyperparameter optimization at
    scale": it learns from the scores on the most windows that enough trials have reached (one more
    trial than there are settings). The estimator is Optuna's; the authors' own package draws from
    one stream per process, and would not propose the same again. On Ray trials are stopped without
    waiting for the others, so that what is proposed depends on who came first.

    Attributes:
        batch: Settings proposed at once, of which one in `reduction` goes on from a rung.
    """

    imports = ("optuna",)
    stops: ClassVar[bool] = True

    batch: Trials = 9

    def learned_at(self, scored: Sequence[TrialScores], folds: int, settings: int) -> int:
        """Return the highest rung that enough trials have reached, or else the first."""
        reached = Counter(rung for each in scored for rung in each.rungs)
        return max(
            (rung for rung, count in reached.items() if count > settings),
            default=min(self.rungs(folds)),
        )
