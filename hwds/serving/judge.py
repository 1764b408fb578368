"""Judge: a fitted classifier asked for few rows at once, without a detour over a table where it reads numbers and texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hwds.errors import ConfigError
from hwds.frames.few_rows import FewRows, Kinds, Values
from hwds.frames.table import Table
from hwds.models.classify.base import FittedClassifier, Judged
from hwds.models.classify.inputs import inputs_of
from hwds.protocols.judging import main_inputs

Reasons = list[dict[str, object]]
"""What of a row's score its main inputs add, the largest first, as in the prediction rows."""


class Judge:
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
        self._fitted, self._kinds = fitted, Kinds.of(schema)
        self._texts = known_texts(fitted.scorer)
        self.unknown: Counter[str] = Counter()
        """By column how many rows had a text that the model has no code for: one that it never saw, or saw too rarely."""

    def judge(self, rows: Sequence[Values], reasons: bool) -> tuple[Judged, list[Reasons]]:
        """What the model says of rows, and why, if that is asked.

        A text that it has no code for is read as a rare one, and counted.
        """
        for name, known in self._texts.items():
            self.unknown[name] += sum(row.get(name) is not None and row[name] not in known for row in rows)
        asked = FewRows.of(rows, self._kinds)
        said = self._fitted.judge(asked)
        return said, main_inputs(self._fitted.explain(asked), asked) if reasons else [[] for _ in rows]


def known_texts(scorer: Any) -> dict[str, frozenset[str]]:
    """By column the texts that a scorer has a code for, as far as it tells what it reads."""
    known: dict[str, frozenset[str]] = {}
    for inputs in inputs_of(scorer):
        for name, values in zip(inputs.texts, inputs.values, strict=True):
            known[name] = known.get(name, frozenset()).union(values)
    return known
