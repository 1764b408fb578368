"""Reasons of a score in words: from inputs, their values and what they add to sentences that an investigator can read.

Inputs are known by their names. Inputs of one topic make one sentence. A number that is unusual says so: in which share of the
rows that a model learned from it is lower, or higher.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from math import floor, isfinite
from typing import Any

from hwds.detection.reasons.phrases import (
    COUNTED,
    FLAGS,
    counts_of,
    missing_phrase,
    number,
    phrase_of,
    span,
    topic_of,
)
from hwds.results.formatting import percent

MOST = 3
"""Sentences of one row."""

UNUSUAL = 0.9
"""The share of rows with a lower (or a higher) value from which on a value is said to be high (or low)."""

LEAST_SHARE = 0.001
"""The least share of rows that is named: rarer texts are seen too seldom among those that shares are computed from."""

NOTHING = "none of "
"""The begin of a sentence that says that something did not happen."""

PEERS = re.compile(r"(?P<base>.+)_(?P<kind>z|peers)")
"""Inputs that compare the input of the base's name with its peers."""

RULE = "rule "
"""The begin of the name of a rule; behind it come its name and its conditions."""

CONDITION = re.compile(r"(?:^|: | and )(\w+) [<>=!]")
"""The input of a condition."""

RISK = re.compile(r"(?P<place>.+)_risk_(?P<window>\d+d)")
"""A share of confirmed rows that is shrunk; beside it stand the rows themselves."""

Value = float | str | None


@dataclass(frozen=True, slots=True)
class Fact:
    """An input of a row.

    Attributes:
        name: The input's.
        value: A number or a text; None where there is none.
        adds: Its contribution to the score.
        below, above: The share of the rows that were learned from with a lower and with a higher value, of a text with a
            commoner one; None where not known.
        share: The share of rows with a text; None of a number, and where not known.
    """

    name: str
    value: Value
    adds: float
    below: float | None
    above: float | None
    share: float | None

    @classmethod
    def of(cls, reason: Mapping[str, Any]) -> Fact:
        """Read one reason: `input`, `value` as a text, `adds`, and where they are known `below`, `above` and `share`."""
        below, above, share = (reason.get(each) for each in ("below", "above", "share"))
        value = _read(reason["value"]) if share is None else str(reason["value"])
        return cls(str(reason["input"]), value, float(reason["adds"]), below, above, share)


def in_words(reasons: Iterable[Mapping[str, Any]], most: int = MOST) -> list[str]:
    """Return sentences for the main inputs of a row's score, the topic that adds most first.

    Args:
        reasons: `input`, `value` (a text, null where there is none), `adds`, `below`, `above` and `share` of each; see `Fact`.
        most: Sentences at most.

    Example:
        >>> peers = {"input": "quantity_30d_peers", "value": "3.0", "adds": 0.1}
        >>> in_words([{"input": "quantity_30d", "value": "41.0", "adds": 2.0}, peers])
        ['bought 41 units in 30 days, its peers buy 3']
    """
    topics: dict[str, list[Fact]] = {}
    for fact in map(Fact.of, reasons):
        topics.setdefault(subject(fact.name), []).append(fact)
    ordered = sorted(topics.values(), key=lambda facts: -sum(fact.adds for fact in facts))
    grounds = [facts for facts in ordered if not all(map(_is_usual, facts))] or ordered
    sentences = [_sentence(facts) for facts in grounds]
    said = [sentence for sentence in sentences if not sentence.startswith(NOTHING)]
    return (said or sentences)[:most]  # that nobody looked is no ground by itself


@cache
def companions(name: str) -> tuple[str, ...]:
    """Return the inputs that make one readable: the input it compares, and the median of peers; of a rule those it is about.

    Example:
        >>> companions("quantity_30d_z")
        ('quantity_30d', 'quantity_30d_peers')
    """
    if name.startswith(RULE):
        return tuple(dict.fromkeys(CONDITION.findall(name.removeprefix(RULE))))
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


def _is_usual(fact: Fact) -> bool:
    """Return whether an input is a number or a text as most rows have it: by itself no ground to look at a row."""
    shares = [share for share in (fact.below, fact.above) if share is not None]
    return bool(shares) and max(shares) < UNUSUAL


def _sentence(facts: list[Fact]) -> str:
    """Return one topic in words: its strongest input and how that compares with peers; else its strongest comparison."""
    known = {fact.name: fact for fact in facts}
    ordered = [fact.name for fact in sorted(facts, key=lambda fact: -fact.adds)]
    if RISK.fullmatch(ordered[0]):
        counted = [known[name].value for name in companions(ordered[0]) if name in known]
        if len(counted) == 2 and isinstance(counted[0], float) and isinstance(counted[1], float):
            return counts_of(ordered[0], counted[0], counted[1]) + (_rank(known[ordered[0]]) if counted[0] else "")
    if ordered[0].endswith("_peers") and known[ordered[0]].adds > 0 and isinstance(known[ordered[0]].value, float):
        return _kind(known[ordered[0]], known.get(ordered[0].removesuffix("_peers")))
    plain = [name for name in ordered if not PEERS.fullmatch(name)]
    plain = [name for name in plain if known[name].value is not None] or plain
    compared = [name for name in ordered if PEERS.fullmatch(name) and isinstance(known[name].value, float)]
    if not plain:
        return _alone(known[(compared or ordered)[0]])
    match = next((name for name in (f"{plain[0]}_peers", f"{plain[0]}_z") if name in compared), None)
    if match:
        return f"{_plain(known[plain[0]], rank=False)}{_beside(known[match])}"
    far = [name for name in compared if name.endswith("_z")]  # what peers do over other days compares with nothing
    if far:
        return f"{_plain(known[plain[0]])}, {_alone(known[far[0]])}"
    return _plain(known[next((name for name in plain if not _is_usual(known[name])), plain[0])])


def _kind(fact: Fact, own: Fact | None) -> str:
    """Return what the peers of a row do, where that itself is unusual, after what the row does."""
    assert isinstance(fact.value, float)
    base = fact.name.removesuffix("_peers")
    match = re.fullmatch(r"(?P<what>\w+?)_(?P<days>\d+)d", base)
    if match is None or match["what"] not in COUNTED:
        return f"its peers' {_noun(base)}: {number(fact.value)}{_rank(fact)}"
    _, verb, noun = COUNTED[match["what"]]
    counted = f"{number(fact.value)} {noun}".rstrip()
    if own is None or own.value is None:
        return f"its peers {verb} {counted} in {span(match['days'])}{_rank(fact)}"
    return f"{_plain(own, rank=False)}, among peers who {verb} {counted}{_rank(fact)}"


def _plain(fact: Fact, *, rank: bool = True) -> str:
    """Return an input in words, and where asked for how unusual it is."""
    if fact.name.startswith(RULE):
        return f"meets the {fact.name}" + (f" ({fact.value})" if fact.value else "")
    if fact.value is None:
        return missing_phrase(fact.name) or f"its {_noun(fact.name)} is not known"
    if isinstance(fact.value, str):
        return f"its {_noun(fact.name)} is {fact.value}{_share(fact)}"
    words = phrase_of(fact.name, fact.value) or f"its {_noun(fact.name)} is {number(fact.value)}"
    return f"{words}{_rank(fact)}" if rank else words


def _share(fact: Fact) -> str:
    """Return in which share of rows a text stands; empty where that is not known."""
    if fact.share is None:
        return ""
    if fact.share < LEAST_SHARE:
        return f", as in less than {percent(LEAST_SHARE)} of rows"
    return f", as in {'only ' if (fact.above or 0) >= UNUSUAL else ''}{percent(fact.share)} of rows"


def _rank(fact: Fact) -> str:
    """Return how unusual a number is, in brackets; empty where it is not, or where that is not known."""
    if fact.below is None or fact.above is None:
        return ""
    share = max(fact.below, fact.above)
    if share < UNUSUAL:
        return ""
    whole = min(floor(100 * share + 1e-9), 99)
    if fact.value == 0 or FLAGS.fullmatch(fact.name):
        return f" (unlike {whole} % of rows)"
    return f" ({'more' if fact.below >= fact.above else 'less'} than in {whole} % of rows)"


def _beside(fact: Fact) -> str:
    """Return how the input before it compares with its peers."""
    assert isinstance(fact.value, float)
    if fact.name.endswith("_z"):
        return f", {_far(fact.value)}"
    return f", its peers {COUNTED.get(subject(fact.name), ('', 'have', ''))[1]} {number(fact.value)}"


def _alone(fact: Fact) -> str:
    """Return a comparison in words without its input."""
    match = PEERS.fullmatch(fact.name)
    if match is None or not isinstance(fact.value, float):
        return _plain(fact)
    what = _noun(match["base"])
    return f"its {what}: {_far(fact.value)}" if match["kind"] == "z" else f"its peers' {what}: {number(fact.value)}"


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
