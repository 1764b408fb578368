"""Questions of strangers: their ids and their JSON, one rule for every server; Python alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hwds.core.errors import DataError

# Ids of questions: one rule for every face of a model; it needs nothing but Python.

ID = "id"
"""The field of a question's id, which its answer bears."""

LONGEST_ID = 1000
"""Characters of an id at most."""


def id_of(question: Any, place: int) -> str:
    """Return the id of a question; its place in the request where it bears none.

    Raises:
        DataError: The question is no object, or its id neither a text nor a whole number, or too
            long.
    """
    if not isinstance(question, Mapping):
        raise DataError(f"question {place}: must be a JSON object, got {type(question).__name__}.")
    id = question.get(ID)
    if id is None:
        return str(place)
    if isinstance(id, bool) or not isinstance(id, str | int):
        raise DataError(
            f"question {place}: '{ID}' must be a text or a whole number, got {type(id).__name__}."
        )
    if len(str(id)) > LONGEST_ID:
        raise DataError(f"question {place}: '{ID}' must have {LONGEST_ID:,} characters at most.")
    return str(id)


# JSON of strangers: one strict reader for every face of a service; it needs nothing but Python.


def parsed_json(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        DataError: It is none, holds NaN or infinity, which JSON has not, or half of a surrogate
            pair, which is no text.
    """
    try:
        value = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise DataError(f"body: is no JSON ({error}).") from error
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON; a missing one is null")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
