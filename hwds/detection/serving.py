"""ServedClassifier: a fitted classifier as serving asks it about rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import polars as pl

from hwds.core.recipe import Recipe
from hwds.detection.graphs import graph_of
from hwds.detection.inputs import scorer_inputs
from hwds.detection.models.base import Classifier, FittedClassifier
from hwds.detection.predictions import main_inputs
from hwds.detection.reasons import in_words
from hwds.detection.rows import RowContext
from hwds.evaluation.protocol import RunContext
from hwds.evaluation.serving import CALIBRATE, STOP, GraphOfRows, Reasons, RowModel
from hwds.frames.table import RowReader, RowScores, Table


class ServedClassifier(RowModel):
    """Scores, reasons and the graph of a classifier; see `RowModel`."""

    fitted: FittedClassifier

    def __init__(self, fitted: FittedClassifier) -> None:
        super().__init__(fitted)
        inputs = list(scorer_inputs(fitted.scorer))
        self.reads = tuple(
            dict.fromkeys(name for each in inputs for name in (*each.plain, *each.arrays))
        )
        self.texts = known_texts(fitted.scorer)
        self.normals = fitted.normals

    def score(self, rows: RowReader) -> RowScores:
        """See `RowModel`."""
        return self.fitted.score_rows(rows)

    def columns(self, table: Table, context: RunContext) -> pl.DataFrame:
        """See `RowModel`; a run computes them once for all models."""
        return RowContext.of(context).columns_of(table)

    def from_scores(self, score: np.ndarray) -> RowScores:
        """See `RowModel`."""
        return self.fitted.from_scores(score)

    def reasons(self, rows: RowReader) -> list[Reasons]:
        """See `RowModel`."""
        return main_inputs(self.fitted.explain(rows), rows, self.fitted.usual)

    def in_words(self, reasons: Sequence[Mapping[str, Any]]) -> list[str]:
        """See `RowModel`."""
        return in_words(reasons)

    def graph(self) -> GraphOfRows:
        """See `RowModel`."""
        return graph_of(self.fitted)

    @staticmethod
    def learns(model: Recipe) -> bool:
        """See `RowModel`."""
        return isinstance(model, Classifier) and model.supervised

    @classmethod
    def refit(
        cls, model: Classifier, table: Table, learned: np.ndarray, context: RunContext
    ) -> Self:
        """See `RowModel`."""
        shares = (STOP, CALIBRATE) if model.needs_calibration() else (CALIBRATE, 1.0)
        parts = np.split(learned, [round(len(learned) * share) for share in shares])
        train, stop, calibrate = (
            table.filter(np.isin(np.arange(table.height), part)) for part in parts
        )
        rows = RowContext.of(context)
        return cls(model.fit(train, stop=stop, calibrate=calibrate, context=rows))


def known_texts(scorer: Any) -> dict[str, frozenset[str]]:
    """Return by column the texts that a scorer has a code for, as far as it exposes its inputs."""
    known: dict[str, frozenset[str]] = {}
    for inputs in scorer_inputs(scorer):
        for name, values in zip(inputs.texts, inputs.values, strict=True):
            known[name] = known.get(name, frozenset()).union(values)
    return known
