"""SubsampleRecovery: the answer of all rows, from a share of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import polars as pl
from annotated_types import Gt, Lt

from hwds.core.recipe import Folds, Small
from hwds.elasticity.design import price_column
from hwds.elasticity.metrics import SAMPLE_MEASURES, WHOLE_SAMPLE, sample_scores
from hwds.elasticity.models.base import ElasticityModel
from hwds.elasticity.protocols.base import CellEvaluation
from hwds.evaluation.panel_folds import AtTime
from hwds.evaluation.protocol import Cell, Contrasting, Fold, RunContext, Score
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.results.tables import Measure


class SubsampleRecovery(CellEvaluation, Contrasting):
    """Fit on all rows and on random shares of them, and measure the distance of the answers
    (Taddy's design).

    Attributes:
        share: The share of the rows that a sample keeps; the units of the others are unknown.
        samples: The number of samples.
        headline: The metric that orders the leaderboard.
    """

    keys: ClassVar[tuple[str, ...]] = ("sample", SERIES)
    own_measures: ClassVar[tuple[Measure, ...]] = SAMPLE_MEASURES

    headline: str = "sample_rmse"
    share: Annotated[float, Gt(0), Lt(1)] = 0.3
    samples: Annotated[Folds, Small(2)] = 3

    def split(self, frame: Panel) -> Sequence[Fold]:
        """Return the fold of all rows, then one for each sample."""
        price_column(frame)
        last: Any = frame.table[TIME].max()
        names = [WHOLE_SAMPLE, *(f"sample {number + 1}" for number in range(self.samples))]
        return [
            Fold(place, name, frame.n_series, (AtTime(last),)) for place, name in enumerate(names)
        ]

    def evaluate_cell(
        self, model: ElasticityModel, frame: Panel, cell: Cell, context: RunContext
    ) -> pl.DataFrame:
        """Fit on the rows of a fold."""
        kept = np.ones(len(frame.table), bool)
        if cell.fold.name != WHOLE_SAMPLE:
            kept = context.stream("sample").random(len(kept)) < self.share
        rows = self.fit_rows(model, self.without(frame, kept), context)
        return rows.with_columns(sample=pl.lit(cell.fold.name))

    def contrasts(self, rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
        """Yield the distances of each model's samples from its answer to all rows."""
        yield from sample_scores(rows)

    def demand_evidence(self, tables: Any, frame: Panel, model: str) -> None:
        """Return nothing: a sample is no evidence for a price."""
        return
