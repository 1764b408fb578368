"""PriceChange: what models say of held-out price moves, against what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar

import polars as pl
from annotated_types import Ge, Le
from polars import DataFrame

from hwds.core.errors import DataError
from hwds.core.recipe import Folds, Small
from hwds.elasticity.design import price_column
from hwds.elasticity.family import PRICE_CHANGE
from hwds.elasticity.fitted import ElasticityContext, FittedElasticities
from hwds.elasticity.metrics import CHANGE_MEASURES, score_changes
from hwds.elasticity.models.base import ElasticityModel
from hwds.elasticity.protocols.base import DemandEvaluation
from hwds.elasticity.rows import change_rows, demand_beyond
from hwds.evaluation.panel_folds import Cutoff, PanelWalkForward, panel_known_at
from hwds.evaluation.protocol import (
    Cell,
    Deployable,
    Fold,
    RunContext,
    Score,
    Tunable,
    TuningSplit,
    check_headline,
)
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.results.tables import Measure


class PriceChange(PanelWalkForward, DemandEvaluation, Tunable, Deployable):
    """Fit on the periods before a cutoff; predict how demand answers to the price moves after it.

    The prices, promotions and other known-future columns of the held-out periods are given; units
    are not. A move is a change of the log price from one period to the next beyond a threshold. The
    table also has errors of the level: they hardly distinguish a right elasticity from a wrong one.

    Attributes:
        windows: The number of cutoffs.
        threshold: The least absolute change of the log price that is a move: .05 is 5 %.
        headline: The metric that orders the leaderboard.
        segments: Static columns of the panel, or `status`; the rows of each of their values are
            scored apart too.
    """

    frame_type: ClassVar[type] = PRICE_CHANGE.frame
    task: ClassVar[str] = PRICE_CHANGE.name
    keys: ClassVar[tuple[str, ...]] = ("cutoff", SERIES, TIME)
    together: ClassVar[bool] = True
    fields_not_in_key: ClassVar[tuple[str, ...]] = (
        *DemandEvaluation.fields_not_in_key,
        "windows",
        "stride",
        "refit",
        "align",
    )

    headline: str = PRICE_CHANGE.headline
    windows: Annotated[Folds, Small(1)] = 1
    threshold: Annotated[float, Ge(0), Le(10)] = 0.05

    def split(self, frame: Panel) -> Sequence[Fold]:
        """Return the folds of the walk.

        Raises:
            DataError: Prices are not known ahead, so that no move could be given.
        """
        price = price_column(frame)
        if price not in frame.roles.known_future:
            raise DataError(
                f"dataset.roles.known_future: must name the price '{price}', whose moves are "
                f"held out."
            )
        return self.make_folds(frame)

    def evaluate_cell(
        self, model: ElasticityModel, frame: Panel, cell: Cell, context: RunContext
    ) -> DataFrame:
        """Fit at the fold's first cutoff, and predict the moves after each cutoff that it
        serves.
        """
        full = ElasticityContext(**context.shared_fields())
        history = panel_known_at(frame, cell.fold.cutoffs[0], self.sliding)
        fitted = model.learn(history, full)
        parts = [
            change_rows(fitted, frame, history, cutoff, self.steps(frame), self.threshold, self.gap)
            for cutoff in cell.fold.cutoffs
        ]
        return pl.concat(parts)

    def score(self, rows: DataFrame) -> list[Score]:
        """Return errors of changes and of levels."""
        return score_changes(rows)

    def measures(self, frame: Panel) -> Sequence[Measure]:
        """Return the metrics of price moves."""
        return CHANGE_MEASURES

    def check_names(self) -> None:
        """Refuse a headline that is none of the task's metrics."""
        check_headline(self.headline, CHANGE_MEASURES)

    def tuning_split(self, frame: Panel, windows: int) -> TuningSplit:
        """Return the same walk through what was known at the first cutoff, in the later half of
        it.
        """
        known = panel_known_at(frame, self.cutoffs(frame)[0])
        room = int(known.lengths.max(initial=0)) // 2 - self.steps(frame)
        own = self.stride_on(frame)
        stride = own if windows == 1 else min(own, max(room // (windows - 1), 1))
        inner = replace(self, windows=windows, stride=stride, segments=())
        return TuningSplit(inner, known, inner.split(known))

    def fit_all(
        self, model: ElasticityModel, frame: Panel, context: RunContext
    ) -> FittedElasticities:
        """Fit on all rows, or the last ones of a sliding window."""
        known = replace(frame.last(self.sliding) if self.sliding else frame, plan=None)
        return model.learn(known, ElasticityContext(**context.shared_fields()))

    def predict_new(
        self, fitted: FittedElasticities, frame: Panel, context: RunContext
    ) -> DataFrame:
        """Return the units that are expected at the planned prices after the last rows."""
        return demand_beyond(fitted, frame, self.end(frame), self.steps(frame))

    def predictions_at(self, rows: DataFrame, cutoff: Cutoff, frame: Panel) -> DataFrame:
        """Return what was predicted at the cutoff."""
        own = rows.filter(cutoff=cutoff.label)
        return own.select(
            *self.keys, "price_change", "move", "predicted", "log_predicted", "elasticity"
        )
