"""ElasticityRecovery: the answers of models against the true elasticities of a simulated world."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import polars as pl

from hwds.elasticity.family import ELASTICITY
from hwds.elasticity.metrics import CELL_MEASURES, TRUTH_MEASURES, measures_of, truth_scores
from hwds.elasticity.protocols.base import CellEvaluation
from hwds.evaluation.protocol import Contrasting, Score
from hwds.results.tables import Measure


class ElasticityRecovery(CellEvaluation, Contrasting):
    """Fit once on a simulated panel, and compare the answer for every cell with the true
    elasticity.

    It reports the root mean squared error, bias, coverage of the intervals, wrong signs, and the
    share of answered cells, also for cells with fewer and with more than 30 rows.

    Attributes:
        headline: The metric that orders the leaderboard.
    """

    needs_truth: ClassVar[bool] = True
    untunable: ClassVar[str] = (
        "is scored against a simulator's truth, on which nobody can choose settings"
    )

    headline: str = ELASTICITY.headline

    def contrasts(self, rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
        """Yield the errors of each model against the truth."""
        yield from truth_scores(rows)

    def known_measures(self) -> Sequence[Measure]:
        """Return all metrics of cells."""
        return measures_of((*TRUTH_MEASURES, *CELL_MEASURES), self.confidence)
