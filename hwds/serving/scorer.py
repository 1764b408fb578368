"""RowScorer: a fitted classifier that scores a few rows, without a detour over a table where it reads numbers and texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hwds.core.errors import ConfigError
from hwds.detection.models.classify.base import FittedClassifier, Scored
from hwds.detection.models.inputs.matrix import inputs_of
from hwds.detection.protocols.rows.scored import main_inputs
from hwds.frames.row_batch import BatchSchema, RowBatch, Values
from hwds.frames.table import Table

Reasons = list[dict[str, object]]
"""The contributions of a row's main inputs to its score, the largest first, as in the prediction rows."""


class RowScorer:
    """Scores and reasons, the same as those of the whole table, for the same code makes them.

    Args:
        fitted: The model.
        schema: A table of all that it may read, without rows.

    Raises:
        ConfigError: It reads more than that.
    """

    def __init__(self, fitted: FittedClassifier, schema: Table) -> None:
        for inputs in inputs_of(fitted.scorer):
            for name in (*inputs.plain, *inputs.arrays):
                if name not in schema.data.columns:
                    raise ConfigError(f"features: the model reads '{name}', which no event bears and no feature makes.")
        self._fitted, self._schema = fitted, BatchSchema.of(schema)
        self._texts = known_texts(fitted.scorer)
        self.reads = tuple(dict.fromkeys(name for each in inputs_of(fitted.scorer) for name in (*each.plain, *each.arrays)))
        """The inputs of the model, as far as it exposes them."""
        self.unknown: Counter[str] = Counter()
        """By column how many rows had a text that the model has no code for: one that it never saw, or saw too rarely."""

    def score(self, rows: Sequence[Values], reasons: bool) -> tuple[Scored, list[Reasons]]:
        """Return the scores of rows, and the reasons if they are wanted.

        A text that it has no code for is read as a rare one, and counted.
        """
        for name, known in self._texts.items():
            self.unknown[name] += sum(row.get(name) is not None and row[name] not in known for row in rows)
        batch = RowBatch(rows, self._schema)
        scores = self._fitted.score_rows(batch)
        return scores, main_inputs(self._fitted.explain(batch), batch, self._fitted.usual) if reasons else [[] for _ in rows]


def known_texts(scorer: Any) -> dict[str, frozenset[str]]:
    """Return by column the texts that a scorer has a code for, as far as it exposes its inputs."""
    known: dict[str, frozenset[str]] = {}
    for inputs in inputs_of(scorer):
        for name, values in zip(inputs.texts, inputs.values, strict=True):
            known[name] = known.get(name, frozenset()).union(values)
    return known
