"""Judge: a fitted classifier asked for few rows at once, without a detour over a table where it reads a plain matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from hwds.errors import ConfigError
from hwds.frames.table import Table
from hwds.models.classify.base import Contributions, FittedClassifier, Judged
from hwds.models.classify.inputs import OTHER, Inputs
from hwds.protocols.judging import by_column, main_inputs
from hwds.results.reasons import companions

Values = Mapping[str, Any]
"""A row: values by column."""

MAIN = 8
"""Inputs that may be among the reasons: more than are told."""


class Judge:
    """Scores and reasons, the same as those of the whole table.

    Args:
        fitted: The model.
        schema: A table of all that it may read, without rows.

    Raises:
        ConfigError: It reads more than that.
    """

    def __init__(self, fitted: FittedClassifier, schema: Table) -> None:
        scorer = fitted.scorer
        if is_dataclass(scorer) and hasattr(scorer, "cpus"):  # one row is no work for several threads
            scorer = replace(scorer, cpus=1)  # type: ignore[type-var]
        inputs = getattr(scorer, "inputs", None)
        for name in (*inputs.numbers, *inputs.texts, *inputs.arrays) if isinstance(inputs, Inputs) else ():
            if name not in schema.data.columns:
                raise ConfigError(f"features: the model reads '{name}', which no event bears and no feature makes.")
        self._fitted, self._schema = replace(fitted, scorer=scorer), schema
        self._matrix = _MatrixReader(scorer, schema) if hasattr(scorer, "score_matrix") else None
        if self._matrix is not None and not self._matrix.suits:
            self._matrix = None

    def judge(self, rows: Sequence[Values]) -> Judged:
        """What the model says of rows."""
        if self._matrix is not None:
            return self._fitted.judged(self._fitted.scorer.score_matrix(self._matrix.read(rows)))
        return self._fitted.judge(self._table(rows))

    def reasons(self, rows: Sequence[Values]) -> list[list[dict[str, object]]]:
        """What of each row's score its main inputs add, the largest first, as in the prediction rows."""
        if self._matrix is None:
            table = self._table(rows)
            return main_inputs(by_column(self._fitted.explain(table), table), table)
        found: Contributions = self._fitted.scorer.explain_matrix(self._matrix.read(rows))
        return [self._told(found, row, values) for row, values in enumerate(rows)]

    def _told(self, found: Contributions, row: int, values: Values) -> list[dict[str, object]]:
        """Of one row: only the inputs that can be told become a table."""
        adds = found.values[row]
        top = np.argsort(-adds, kind="stable")[:MAIN].tolist()
        names = {found.names[place] for place in top}
        names |= {beside for name in names for beside in companions(name)}
        places = [place for place, name in enumerate(found.names) if name in names]
        few = Contributions(tuple(found.names[place] for place in places), found.base, adds[places][None])
        return main_inputs(few, self._table([values], few.names))[0]

    def _table(self, rows: Sequence[Values], names: Sequence[str] | None = None) -> Table:
        kinds = self._schema.data.schema
        made = {name: pl.Series(name, [row.get(name) for row in rows], dtype=kinds[name]) for name in names or kinds}
        return replace(self._schema, data=pl.DataFrame(made))


class _MatrixReader:
    """From values to the matrix that `Inputs.coded` makes."""

    def __init__(self, scorer: Any, schema: Table) -> None:
        inputs, kinds = scorer.inputs, schema.data.schema
        self._numbers = inputs.numbers
        numbers = zip(inputs.texts, inputs.values, strict=True)
        self._texts = [(name, {value: float(k) for k, value in enumerate(known, 1)}) for name, known in numbers]
        self.suits = all(kinds[name].is_numeric() or kinds[name] == pl.Boolean for name in self._numbers)

    def read(self, rows: Sequence[Values]) -> np.ndarray:
        made = [
            [*map(row.get, self._numbers), *(codes.get(row.get(name), OTHER) for name, codes in self._texts)] for row in rows
        ]
        return np.array(made, dtype=float)  # None becomes NaN
