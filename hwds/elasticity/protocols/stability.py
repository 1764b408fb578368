"""Stability: the elasticities of one window of time after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import polars as pl
from annotated_types import Ge, Le

from hwds.core.errors import DataError
from hwds.core.recipe import Small
from hwds.elasticity.design import price_column
from hwds.elasticity.metrics import WINDOW_MEASURES, window_scores
from hwds.elasticity.models.base import ElasticityModel
from hwds.elasticity.protocols.base import CellEvaluation
from hwds.evaluation.panel_folds import AtTime, panel_known_at
from hwds.evaluation.protocol import Cell, Contrasting, Fold, RunContext, Score
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.results.tables import Measure

LEAST_PERIODS = 6
"""Periods that a window has at least."""


class Stability(CellEvaluation, Contrasting):
    """Cut the calendar into windows, one after the other, and fit in each alone: whether
    elasticities stay.

    Attributes:
        windows: The number of windows, of as many periods each.
        headline: The metric that orders the leaderboard.
    """

    keys: ClassVar[tuple[str, ...]] = ("window", SERIES)
    own_measures: ClassVar[tuple[Measure, ...]] = WINDOW_MEASURES

    headline: str = "window_rmse"
    windows: Annotated[int, Ge(2), Le(100), Small(2)] = 3

    def split(self, frame: Panel) -> Sequence[Fold]:
        """Return a fold for each window, which may know nothing after its end.

        Raises:
            DataError: There is no price, or the periods do not suffice for the windows.
        """
        price_column(frame)
        times = frame.table[TIME].unique().sort()
        if len(times) < LEAST_PERIODS * self.windows:
            raise DataError(
                f"protocol.windows: {self.windows} windows of at least {LEAST_PERIODS} periods "
                f"are more than the panel's"
                f" {len(times)}."
            )
        ends = [len(times) * (number + 1) // self.windows - 1 for number in range(self.windows)]
        cutoffs = [AtTime(times[end]) for end in ends]
        return [
            Fold(place, cutoff.label, frame.n_series, (cutoff,))
            for place, cutoff in enumerate(cutoffs)
        ]

    def evaluate_cell(
        self, model: ElasticityModel, frame: Panel, cell: Cell, context: RunContext
    ) -> pl.DataFrame:
        """Fit on the periods of a window."""
        known = panel_known_at(frame, cell.fold.cutoffs[0])
        times = frame.table[TIME].unique().sort()
        first: Any = times[len(times) * cell.fold.index // self.windows]
        rows = self.fit_rows(
            model, self.without(known, (known.table[TIME] >= first).to_numpy()), context
        )
        return rows.with_columns(window=pl.lit(cell.fold.name))

    def contrasts(self, rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
        """Yield the differences of each model's answers from one window to the next."""
        yield from window_scores(rows)

    def demand_evidence(self, tables: Any, frame: Panel, model: str) -> None:
        """Return nothing: a window is no evidence for today's price."""
        return
