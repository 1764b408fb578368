"""InOrder: learn from all rows before, predict the next ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
import polars as pl

from hwds.core.recipe import PositiveInt
from hwds.evaluation.protocol import (
    Cell,
    Deployable,
    Evaluation,
    Fold,
    LeakTestable,
    RunContext,
    Score,
    Tunable,
    TuningSplit,
)
from hwds.frames.table import ROW_ID, Table
from hwds.results.tables import Measure
from regression.family import REGRESSION
from regression.metrics.error import SQUARED_ERROR, squared_errors
from regression.models.base import Line, Regressor


@dataclass(frozen=True)
class FirstRow:
    """The first row whose outcome is not known."""

    row: int

    @property
    def label(self) -> str:
        """In words."""
        return f"row {self.row}"


class InOrder(Evaluation[Regressor, Table], Tunable, LeakTestable, Deployable):
    """Cut the rows into parts, in order; each but the first is predicted by a model of all rows
    before it.

    Attributes:
        parts: How many.
        headline: The metric that orders the leaderboard.
    """

    accepts: ClassVar[type] = Regressor
    cuts: ClassVar[type] = REGRESSION.frame
    task: ClassVar[str] = REGRESSION.name
    keys: ClassVar[tuple[str, ...]] = (ROW_ID,)
    unit: ClassVar[str] = ROW_ID

    headline: str = REGRESSION.headline
    parts: PositiveInt = 4

    def split(self, frame: Table) -> Sequence[Fold]:
        """Return a fold for each part but the first."""
        ends = np.linspace(0, frame.height, self.parts + 1).astype(int).tolist()
        spans = pairwise(ends[1:])
        return [
            Fold(i, f"row {first}", end - first, (FirstRow(first),))
            for i, (first, end) in enumerate(spans)
        ]

    def tuning_split(self, frame: Table, windows: int) -> TuningSplit:
        """Return parts of the rows before the first cutoff."""
        before = frame.filter(frame.data[ROW_ID] < self.split(frame)[0].cutoffs[0].row)
        inner = replace(self, parts=windows + 1)
        return TuningSplit(inner, before, inner.split(before))

    def evaluate_cell(
        self, model: Regressor, frame: Table, cell: Cell, context: RunContext
    ) -> pl.DataFrame:
        """Fit on the rows before the cutoff, predict those of the fold."""
        first = cell.fold.cutoffs[0].row
        place = frame.data[ROW_ID]
        fitted = model.fit(frame.filter(place < first))
        asked = frame.filter((place >= first + cell.start) & (place < first + cell.stop))
        blind = replace(
            asked,
            data=asked.data.with_columns(pl.lit(None, pl.Float64).alias(asked.name("outcome"))),
        )
        return pl.DataFrame(
            {
                ROW_ID: asked.data[ROW_ID],
                "predicted": fitted.predict(blind),
                "actual": asked.column("outcome"),
            }
        )

    def fit_all(self, model: Regressor, frame: Table, context: RunContext) -> Line:
        """Fit on all rows."""
        return model.fit(frame)

    def predict_new(self, fitted: Line, frame: Table, context: RunContext) -> pl.DataFrame:
        """Predict all rows of new data."""
        return pl.DataFrame({ROW_ID: frame.data[ROW_ID], "predicted": fitted.predict(frame)})

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """Return the mean squared error."""
        errors = squared_errors(rows)
        spread = float(errors.std(ddof=1) / np.sqrt(len(errors))) if len(errors) > 1 else None
        return [Score(SQUARED_ERROR.name, "mean", float(errors.mean()), spread, n=len(errors))]

    def measures(self, frame: Table) -> Sequence[Measure]:
        """Return the one metric."""
        return (SQUARED_ERROR,)

    def corrupt_after(self, frame: Table, cutoff: FirstRow, rng: np.random.Generator) -> Table:
        """Return the table with rubbish for outcomes from the cutoff on."""
        name = frame.name("outcome")
        rubbish = pl.Series(1e6 * rng.standard_normal(frame.height))
        values = (
            pl.when(pl.col(ROW_ID) < cutoff.row).then(pl.col(name)).otherwise(rubbish).alias(name)
        )
        return replace(frame, data=frame.data.with_columns(values))

    def predictions_at(self, rows: pl.DataFrame, cutoff: FirstRow, frame: Table) -> pl.DataFrame:
        """Return what was predicted."""
        return rows.select(ROW_ID, "predicted")
