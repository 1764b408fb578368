"""Questions of strangers: their ids, their JSON and the actions on them, one rule for every server;
Python alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self

from hwds.core.errors import DataError

if TYPE_CHECKING:
    from numpy import ndarray

# JSON objects: as they are made, and as they are read.

Json = dict[str, Any]
"""A JSON object, or a row by its columns."""

Fields = Mapping[str, Any]
"""The same where it is only read."""

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


def parsed_json(text: str, what: str = "body") -> Any:
    """Return the value of a JSON text.

    Args:
        text: The text.
        what: Its name in a refusal.

    Raises:
        DataError: It is none, has a key twice in an object, holds NaN or infinity, which JSON has
            not, or half of a surrogate pair, which is no text.
    """
    try:
        value = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise DataError(f"{what}: is no JSON ({error}).") from error
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON; a missing one is null")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; of a key that stands twice readers would take one value or the other."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:80]!r} stands twice in an object")
    return fields


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_object)


# Actions on rows as they arrive, by the decision of a run.

TIER_FIELDS = ("tier", "expected_gain")
"""The fields of an answer that a decision adds: the action, and the money that it is expected to
save.
"""


class RowRule(Protocol):
    """What the decision of a run says of rows one by one.

    A bundle stores it as plain data with the path of its class; the packed runtime reads it with
    numpy alone.
    """

    @property
    def amount(self) -> str:
        """The column of what is at stake."""

    def tiers(
        self, ids: Sequence[str], probability: ndarray | None, stakes: Sequence[float | None]
    ) -> Sequence[tuple[str, float] | None]:
        """Return the `TIER_FIELDS` of rows, each as if it stood alone; None where a probability or
        a stake is not known.
        """

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""

    @classmethod
    def stored(cls, stored: Mapping[str, Any] | None) -> Self | None:
        """Return what `as_dict` gave; None where there is none."""


def tier_fields(tier: tuple[str, float] | None) -> dict[str, Any]:
    """Return the `TIER_FIELDS` of an answer, null where the rule says nothing."""
    return dict(zip(TIER_FIELDS, tier or (None, None), strict=True))
