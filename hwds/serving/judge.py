"""Judge: a fitted classifier asked for few rows at once, without a detour over a table where it reads numbers and texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from hwds.errors import ConfigError
from hwds.frames.few_rows import FewRows, Kinds, Values
from hwds.frames.table import Table
from hwds.models.classify.base import Contributions, FittedClassifier, Judged
from hwds.models.classify.inputs import inputs_of
from hwds.protocols.judging import TOLD
from hwds.results.reasons import companions

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
        self._told_as = {name: _writer(kind) for name, kind in schema.data.schema.items()}
        self._beside = cache(companions)
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
        return said, self._reasons(asked, rows) if reasons else [[] for _ in rows]

    def _reasons(self, asked: FewRows, rows: Sequence[Values]) -> list[Reasons]:
        """What `main_inputs` tells, without a table."""
        found = self._fitted.explain(asked)
        places = {name: place for place, name in enumerate(found.names)}
        return [self._told(found, places, row, values) for row, values in enumerate(rows)]

    def _told(self, found: Contributions, places: Mapping[str, int], row: int, values: Values) -> Reasons:
        adds = found.values[row]
        top = [place for place in np.argsort(-adds, kind="stable")[:TOLD].tolist() if adds[place] > 0]
        beside = (places[name] for place in top for name in self._beside(found.names[place]) if name in places)
        told = [(found.names[place], float(adds[place])) for place in dict.fromkeys([*top, *beside])]
        return [{"input": name, "value": self._value(name, values.get(name)), "adds": share} for name, share in told]

    def _value(self, name: str, value: Any) -> str | None:
        return None if value is None or name not in self._told_as else self._told_as[name](value)


def known_texts(scorer: Any) -> dict[str, frozenset[str]]:
    """By column the texts that a scorer has a code for, as far as it tells what it reads."""
    known: dict[str, frozenset[str]] = {}
    for inputs in inputs_of(scorer):
        for name, values in zip(inputs.texts, inputs.values, strict=True):
            known[name] = known.get(name, frozenset()).union(values)
    return known


def _writer(kind: Any) -> Callable[[Any], str | None]:
    """How polars writes a value of a column."""
    if kind.is_nested():
        return lambda _: None
    if kind in (pl.String, pl.Categorical) or isinstance(kind, pl.Enum) or kind.is_integer():
        return str
    if kind == pl.Boolean:
        return lambda value: str(value).lower()
    if kind == pl.Float64:
        return lambda value: str(float(value)) if 1e-4 <= abs(value) < 1e15 or value == 0 else _written(value, kind)
    return lambda value: _written(value, kind)


def _written(value: Any, kind: Any) -> str | None:
    text: str | None = pl.Series([value], dtype=kind).cast(pl.String)[0]
    return text
