"""JSON of strangers: one strict reader for every face of a service; it needs nothing but Python."""

from __future__ import annotations

import json
from typing import Any

from hwds.core.errors import DataError


def parsed_json(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        DataError: It is none, holds NaN or infinity, which JSON has not, or half of a surrogate pair, which is no text.
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
