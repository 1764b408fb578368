"""Draws: which requests are captured, and which units a canary answers, by a hash of their names."""

from __future__ import annotations

import hashlib
import json

from hwds.production.services.base import Question
from hwds.serving.ids import ID

MAIN, CANARY, SHADOW = ARMS = ("main", "canary", "shadow")
"""The bundle that answers, the one that answers a share of the units, and the one that answers for the record alone."""


def share_of(question: Question, unit: str = "", purpose: str = "") -> float:
    """Return a number from 0 to 1 that is always the same for one unit, and uniform over units.

    Args:
        question: Its unit counts; without one its id, or what an event is a message of; without any all that it says.
        unit: The field that names the unit; empty where questions have none.
        purpose: Draws of different purposes are independent.
    """
    name = question.get(unit) if unit else None
    for field in (ID, "of"):
        name = question.get(field) if name is None else name
    named = json.dumps(question, sort_keys=True, default=str) if name is None else str(name)
    digest = hashlib.sha256(f"{purpose}{named}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
