"""Reasons of a score in words: from inputs, their values and what they add to sentences that a lawyer can read.

Inputs are known by their names. Inputs of one topic make one sentence; one that nothing is known of is `name = value`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from math import isfinite
from typing import Any

from hwds.detection.reasons.phrases import COUNTED, counts_of, number, phrase_of, span, topic_of

MOST = 3
"""Sentences of one row."""

PEERS = re.compile(r"(?P<base>.+)_(?P<kind>z|peers)")
"""Inputs that compare the input of the base's name with its peers."""

RISK = re.compile(r"(?P<place>.+)_risk_(?P<window>\d+d)")
"""A share of confirmed rows that is shrunk; beside it stand the rows themselves."""

Value = float | str | None


def in_words(reasons: Iterable[Mapping[str, Any]], most: int = MOST) -> list[str]:
    """Return sentences for the main inputs of a row's score, the topic that adds most first.

    Args:
        reasons: `input`, `value` (a text, null where there is none) and `adds` of each.
        most: Sentences at most.

    Example:
        >>> peers = {"input": "quantity_30d_peers", "value": "3.0", "adds": 0.1}
        >>> in_words([{"input": "quantity_30d", "value": "41.0", "adds": 2.0}, peers])
        ['bought 41 units in 30 days; its peers buy 3']
    """
    topics: dict[str, list[tuple[float, str, Value]]] = {}
    for reason in reasons:
        name = str(reason["input"])
        topics.setdefault(subject(name), []).append((float(reason["adds"]), name, _read(reason["value"])))
    ordered = sorted(topics.values(), key=lambda inputs: -sum(adds for adds, _, _ in inputs))
    return [_sentence(inputs) for inputs in ordered[:most]]


@cache
def companions(name: str) -> tuple[str, ...]:
    """Return the inputs that make one readable: the input it compares, and the median of peers.

    Example:
        >>> companions("quantity_30d_z")
        ('quantity_30d', 'quantity_30d_peers')
    """
    risk = RISK.fullmatch(name)
    if risk:
        return f"{risk['place']}_confirmed_{risk['window']}", f"{risk['place']}_labels_{risk['window']}"
    match = PEERS.fullmatch(name)
    base = match["base"] if match else name
    return tuple(each for each in (base, f"{base}_peers") if each != name)


def subject(name: str) -> str:
    """Return the subject of an input: the same for a quantity over 7 and 30 days and for its comparison with peers."""
    peers = PEERS.fullmatch(name)
    base = peers["base"] if peers else name
    return topic_of(base) or base


def _sentence(inputs: list[tuple[float, str, Value]]) -> str:
    """Return one topic in words: its strongest input and how that compares with peers; else its strongest comparison."""
    known = {name: value for _, name, value in inputs}
    ordered = [name for _, name, _ in sorted(inputs, key=lambda each: -each[0])]
    if RISK.fullmatch(ordered[0]):
        counted = [known.get(name) for name in companions(ordered[0])]
        if isinstance(counted[0], float) and isinstance(counted[1], float):
            return counts_of(ordered[0], counted[0], counted[1])
    plain = [name for name in ordered if not PEERS.fullmatch(name)]
    compared = [name for name in ordered if PEERS.fullmatch(name) and isinstance(known[name], float)]
    if not plain:
        return _alone(ordered[0], known[ordered[0]])
    match = next((name for name in (f"{plain[0]}_peers", f"{plain[0]}_z") if name in compared), None)
    beside = _beside(match, known[match]) if match else f"; {_alone(compared[0], known[compared[0]])}" if compared else ""
    return f"{_plain(plain[0], known[plain[0]])}{beside}"


def _plain(name: str, value: Value) -> str:
    phrase = phrase_of(name, value) if isinstance(value, float) else None
    return phrase or f"{name} = {'nothing' if value is None else number(value) if isinstance(value, float) else value}"


def _beside(name: str, value: Value) -> str:
    """Return how the input before it compares with its peers."""
    assert isinstance(value, float)
    if name.endswith("_z"):
        return f", {_far(value)}"
    return f"; its peers {COUNTED.get(subject(name), ('', 'have', ''))[1]} {number(value)}"


def _alone(name: str, value: Value) -> str:
    """Return a comparison in words without its input."""
    match = PEERS.fullmatch(name)
    if match is None or not isinstance(value, float):
        return _plain(name, value)
    what = _noun(match["base"])
    return f"{what} {_far(value)}" if match["kind"] == "z" else f"its peers' {what}: {number(value)}"


def _far(z: float) -> str:
    return f"{abs(z):.1f} deviations {'above' if z >= 0 else 'below'} its peers"


def _noun(base: str) -> str:
    """Return the noun of an input: `units in 30 days` for `quantity_30d`."""
    match = re.fullmatch(r"(?P<what>\w+?)_(?P<days>\d+)d", base)
    if match is None:
        return base.replace("_", " ")
    noun = COUNTED.get(match["what"], ("", "", ""))[2] or match["what"].replace("_", " ")
    return f"{noun} in {span(match['days'])}"


def _read(value: str | None) -> Value:
    """Return a text as a number where it is one."""
    if value is None:
        return None
    try:
        parsed = float({"true": "1", "false": "0"}.get(value, value))
    except ValueError:
        return value
    return parsed if isfinite(parsed) else None
