"""Judge: a fitted classifier asked for few rows at once, without a detour over a table where it reads a plain matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from hwds.errors import ConfigError
from hwds.frames.table import Table
from hwds.models.classify.base import Contributions, FittedClassifier, Judged
from hwds.models.classify.inputs import OTHER, Inputs
from hwds.protocols.judging import TOLD, by_column, main_inputs
from hwds.results.reasons import companions

Values = Mapping[str, Any]
"""A row: values by column."""


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
        self._texts = known_texts(scorer)
        self.unknown: Counter[str] = Counter()
        """By column how many rows had a text that the model has no code for: one that it never saw, or saw too rarely."""
        self._places = {name: place for place, name in enumerate(self._matrix.names)} if self._matrix is not None else {}

    def judge(self, rows: Sequence[Values]) -> Judged:
        """What the model says of rows; a text that it has no code for is read as a rare one, and counted."""
        for name, known in self._texts.items():
            self.unknown[name] += sum(row.get(name) is not None and row[name] not in known for row in rows)
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
        """What `main_inputs` tells of one row, without a table."""
        adds, known = found.values[row], self._places
        top = [place for place in np.argsort(-adds, kind="stable")[:TOLD].tolist() if adds[place] > 0]
        beside = (known[name] for place in top for name in companions(found.names[place]) if name in known)
        all_told = dict.fromkeys([*top, *beside])
        return [_reason(found.names[place], values.get(found.names[place]), float(adds[place])) for place in all_told]

    def _table(self, rows: Sequence[Values]) -> Table:
        kinds = self._schema.data.schema
        made = {name: pl.Series(name, [row.get(name) for row in rows], dtype=kind) for name, kind in kinds.items()}
        return replace(self._schema, data=pl.DataFrame(made))


def known_texts(scorer: Any) -> dict[str, frozenset[str]]:
    """By column the texts that a scorer has a code for, as far as it tells what it reads."""
    held = (scorer, getattr(scorer, "reader", None), getattr(scorer, "columns", None))
    read = next((found for each in held if isinstance(found := getattr(each, "inputs", None), Inputs)), None)
    return {name: frozenset(known) for name, known in zip(read.texts, read.values, strict=True)} if read else {}


class _MatrixReader:
    """From values to the matrix that `Inputs.coded` makes."""

    def __init__(self, scorer: Any, schema: Table) -> None:
        inputs, kinds = scorer.inputs, schema.data.schema
        self._numbers = inputs.numbers
        self.names = (*inputs.numbers, *inputs.texts)
        known = zip(inputs.texts, inputs.values, strict=True)
        self._texts = [(name, {value: float(k) for k, value in enumerate(values, 1)}) for name, values in known]
        self.suits = all(kinds[name].is_numeric() or kinds[name] == pl.Boolean for name in self._numbers)

    def read(self, rows: Sequence[Values]) -> np.ndarray:
        """Numbers, then codes, shape (n, columns)."""
        made = [
            [*map(row.get, self._numbers), *(codes.get(row.get(name), OTHER) for name, codes in self._texts)] for row in rows
        ]
        return np.array(made, dtype=float)  # None becomes NaN


def _reason(name: str, value: Any, adds: float) -> dict[str, object]:
    """With the value as polars writes it."""
    text = str(value).lower() if isinstance(value, bool) else str(value).replace("e+", "e")
    return {"input": name, "value": None if value is None else text, "adds": adds}
