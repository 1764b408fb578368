"""Service: what answers questions by a bundle's model, whoever asks (HTTP, files, a Lambda), one
answer a question.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, ClassVar

import numpy as np
import polars as pl

from hwds.serve.questions import ID

STATEFUL = ("events", "policy")
"""Kinds of questions whose answers depend on earlier ones; one process owns their store."""

Question = Mapping[str, Any]
Answer = dict[str, Any]


class Service(ABC):
    """A model that answers questions.

    Class attributes: `kind`, the kind of question; `stateful`, whether answers depend on earlier
    questions, so that one process must own all of them; `threads`, calls that may come at once, of
    which each waits for something else than a core.
    """

    kind: ClassVar[str] = ""
    stateful: ClassVar[bool] = False
    threads: ClassVar[int] = 1

    @abstractmethod
    def answer(self, questions: Sequence[Question], *, reasons: bool = False) -> list[Answer]:
        """Return an answer to each question, in their order; all or none.

        Args:
            questions: Objects of `question_schema`.
            reasons: Whether answers say why, where the model can.

        Raises:
            DataError: One is no such question, with its id.
        """

    @abstractmethod
    def question_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a question."""

    def close(self) -> None:  # noqa: B027  most hold nothing
        """Give back what the service holds."""


def json_value(value: Any) -> Any:
    """Return a value as JSON has it: no NaN, dates as texts, lists of numbers."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, np.generic):
        return json_value(value.item())
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray | pl.Series):
        return [json_value(item) for item in value]
    return value


def column_schema(kind: pl.DataType) -> dict[str, Any]:
    """Return the JSON Schema of a column's values; any may be null."""
    if isinstance(kind, pl.Enum):
        return {"enum": [*kind.categories.to_list(), None]}
    names = {pl.Boolean: "boolean", pl.String: "string", pl.Categorical: "string"}
    name = (
        "integer"
        if kind.is_integer()
        else "number"
        if kind.is_float()
        else names.get(type(kind), "string")
    )
    formats = {"Date": "date", "Datetime": "date-time"}
    more: dict[str, Any] = (
        {"format": formats[kind.base_type().__name__]}
        if kind.base_type().__name__ in formats
        else {}
    )
    if kind.is_integer():
        bounds = np.iinfo(str(kind).lower())
        more = {"minimum": int(bounds.min), "maximum": int(bounds.max)}
    return {"type": [name, "null"], **more}


NAME_SCHEMA = {"type": ["string", "integer"]}
"""The JSON Schema of an id, and of the name of a unit."""


def object_schema(
    properties: Mapping[str, Any], required: Sequence[str], title: str
) -> dict[str, Any]:
    """Return the JSON Schema of an object with properties and an id."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "properties": {
            ID: NAME_SCHEMA if ID in required else {"type": [*NAME_SCHEMA["type"], "null"]},
            **properties,
        },
        "required": list(required),
        "additionalProperties": False,
    }
