"""The base of the protocols whose rows are cells: fit on a history, and report the estimates of
every cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le, Lt
from polars import DataFrame, Series

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Small
from hwds.elasticity.design import price_column
from hwds.elasticity.family import ELASTICITY
from hwds.elasticity.fitted import ElasticityContext
from hwds.elasticity.metrics import CELL_MEASURES, measures_of, score_cells
from hwds.elasticity.models.base import ElasticityModel
from hwds.elasticity.rows import cell_labels, cell_rows, demand_estimates_of, identification_remarks
from hwds.evaluation.panel_folds import AtTime, Cutoff, corrupt_panel, panel_known_at
from hwds.evaluation.protocol import (
    Cell,
    Evaluation,
    Fold,
    LeakTestable,
    RunContext,
    Score,
    Segmentable,
)
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.pricing.demand_evidence import DemandEstimates, DemandEvidence
from hwds.results.tables import Measure, Tables


class DemandEvaluation(Evaluation[ElasticityModel, Panel], Segmentable, LeakTestable):
    """Evaluate a model of demand: what all protocols share whose rows are of cells."""

    accepts: ClassVar[type] = ElasticityModel
    unit: ClassVar[str] = SERIES

    def warnings_before(self, frame: Panel, models: Mapping[str, ElasticityModel]) -> list[str]:
        """Return which cells will have no answer of their own, and why."""
        return identification_remarks(frame, next(iter(models.values())))

    def labels(self, frame: Panel, column: str) -> DataFrame | None:
        """Return the segment of each cell: a static column, or one of the rows themselves."""
        return cell_labels(frame, column)

    def corrupt_after(self, frame: Panel, cutoff: Cutoff, rng: np.random.Generator) -> Panel:
        """Return the panel with random values after the cutoff."""
        return corrupt_panel(frame, cutoff, rng)


class CellEvaluation(DemandEvaluation, DemandEvidence):
    """Fit a model of demand, and report its answer for every cell.

    Attributes:
        confidence: The confidence of the intervals, as a share.
        draws: Joint posterior draws of the elasticities to keep, for decisions on prices.
        headline: The metric that orders the leaderboard.
        segments: Static columns of the panel (`channel`), or `status`; the cells of each of their
            values are scored apart too.
    """

    frame_type: ClassVar[type] = ELASTICITY.frame
    task: ClassVar[str] = ELASTICITY.name
    keys: ClassVar[tuple[str, ...]] = (SERIES,)
    untunable: ClassVar[str] = "scores no prediction of what is held out"
    own_measures: ClassVar[tuple[Measure, ...]] = ()

    headline: str = "mean_elasticity"
    confidence: Annotated[float, Gt(0.5), Lt(1)] = 0.95
    draws: Annotated[int, Ge(0), Le(10_000), Small(100)] = 400

    def split(self, frame: Panel) -> Sequence[Fold]:
        """Return one fold, which may know all of the panel.

        Raises:
            DataError: There is no price, or one that is not above 0, or units below 0.
        """
        price_column(frame)
        last: Any = frame.table[TIME].max()
        return [Fold(0, "all", frame.n_series, (AtTime(last),))]

    def evaluate_cell(
        self, model: ElasticityModel, frame: Panel, cell: Cell, context: RunContext
    ) -> DataFrame:
        """Fit on what is known at the cutoff; return a row for each cell."""
        return self.fit_rows(model, panel_known_at(frame, cell.fold.cutoffs[0]), context)

    def fit_rows(self, model: ElasticityModel, history: Panel, context: RunContext) -> DataFrame:
        """Return the rows of a model fitted to a history."""
        fitted = model.learn(
            history, ElasticityContext(**context.shared_fields(), level=self.confidence)
        )
        return cell_rows(fitted, history, self.draws, context.stream("elasticities"))

    def score(self, rows: DataFrame) -> list[Score]:
        """Return the scores that need no truth: how many cells have an answer, of which sign, how
        sure.
        """
        return score_cells(rows, self.confidence)

    def measures(self, frame: Panel) -> Sequence[Measure]:
        """Return the metrics of cells."""
        return self.known_measures()

    def check_names(self) -> None:
        """Refuse a headline that is none of the task's metrics."""
        known = [measure.name for measure in self.known_measures()]
        if self.headline not in known:
            raise ConfigError(
                f"protocol.headline: no metric '{self.headline}'{nearest(self.headline, known)}"
            )

    def known_measures(self) -> Sequence[Measure]:
        """Return the metrics whatever the panel is."""
        return (*self.own_measures, *measures_of(CELL_MEASURES, self.confidence))

    def predictions_at(self, rows: DataFrame, cutoff: Cutoff, frame: Panel) -> DataFrame:
        """Return the rows of the fold that may know what the cutoff does."""
        return rows

    def demand_evidence(self, tables: Tables, frame: Panel, model: str) -> DemandEstimates | None:
        """Return what a model says of every cell at the last cutoff."""
        return demand_estimates_of(tables.predictions, frame, model)

    def without(self, frame: Panel, keep: np.ndarray) -> Panel:
        """Return the panel with units unknown where `keep` is false, shape (rows,)."""
        masked = pl.when(Series(keep)).then(pl.col("target")).otherwise(None).alias("target")
        return replace(frame, table=frame.table.with_columns(masked))


ModelRows = Mapping[str, DataFrame]
"""All rows of each model, by label."""
