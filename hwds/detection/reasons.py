"""Reasons of a score in words: from inputs, their values and what they add to sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from math import floor, isfinite
from typing import Any

from hwds.core.settings import read_beside
from hwds.report.words import say
from hwds.results.formatting import brief, fixed, percent

# Headings of subjects of inputs, for a row or a bar.

WORDS = read_beside(__file__, "reasons.yaml")
"""The headings, phrases and nouns of inputs."""


def topic_heading(topic: str) -> str:
    """Return the heading of a topic; the topic itself where there is none.

    Example:
        >>> heading_of("risk store")
        'found before at its store'
    """
    for kind, heading in WORDS["headings_at"].items():
        if topic.startswith(f"{kind} "):
            place = topic.removeprefix(f"{kind} ").replace("_", " ")
            return (
                f"{heading}: the customer" if place == "customer" else f"{heading} at its {place}"
            )
    return str(WORDS["headings"].get(topic, topic.replace("_", " ")))


# Phrases for single inputs, by the pattern of their names.

NAMES = {
    "window": r"_(?P<days>\d+)d(?:ay_window)?",
    "over": r"(?:_(?P<days>\d+)d)?",
    "place": r"(?P<place>[a-z][a-z_]*?)",
}
"""The parts of names of inputs that many patterns share."""

COUNTED: dict[str, tuple[str, str, str]] = WORDS["counted"]
"""For a sum over a window the verb, that of peers, and the noun that is counted."""


def written_number(value: float) -> str:
    """Return a number as people write it: three digits, and no decimals that are zeros."""
    if abs(value) >= 1000:
        return fixed(value, 0)
    shown = brief(value)
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def counted_noun(value: float, nouns: str) -> str:
    """Return a number with its noun: `1 order`, `41 units`, `2.5 units`; alone for no noun."""
    return f"{written_number(value)} {nouns.removesuffix('s') if value == 1 else nouns}".rstrip()


def _place_words(place: str) -> dict[str, str]:
    """Return a place in words: `rows` (`the rows at its store`) and `there` (`at its store`)."""
    if place == "customer":
        return {"place": place, "rows": "its own rows", "there": "of the customer"}
    there = f"at its {place.replace('_', ' ')}"
    return {"place": place, "rows": f"the rows {there}", "there": there}


def days_in_words(days: str) -> str:
    """Return a number of days in words: `a day`, `30 days`."""
    return "a day" if days == "1" else f"{days} days"


def duration_in_words(days: float) -> str:
    """Return a duration: `4 minutes`, `30 hours`, `42 days`."""
    for size, unit, per_day in ((2.0, "days", 1), (1 / 12, "hours", 24)):
        if days >= size:
            return counted_noun(float(round(per_day * days)), unit)
    return counted_noun(float(round(1440 * days)), "minutes")


COUNTS_BEHIND_SHARE = """
{%- if not labels -%}
none of {{ rows }} was investigated in {{ days }}
{%- elif not confirmed -%}
none of {{ rows }} was confirmed of {{ number(labels) }} that were investigated in {{ days }}
{%- else -%}
of {{ rows }} {{ number(labels) }} were investigated in {{ days }} and {{ number(confirmed) }}
confirmed
{%- endif %}
"""


def counted_share_phrase(base: str, confirmed: float, labels: float) -> str:
    """Return the counts behind a share that is shrunk: `of the rows at its store 12 were
    investigated ... and 3 confirmed`.

    Args:
        base: The name of the share (`store_risk_30d`).
        confirmed: The number of rows that were confirmed.
        labels: The number of rows that were investigated.
    """
    match = re.fullmatch("{place}_risk{window}".format(**NAMES), base)
    assert match is not None
    return say(
        COUNTS_BEHIND_SHARE,
        _place_words(match["place"]),
        days=days_in_words(match["days"]),
        confirmed=confirmed,
        labels=labels,
        number=written_number,
    )


FLAG_NAMES = re.compile("cross_channel{over}|promotion|tx_during_(?:weekend|night)".format(**NAMES))
"""Inputs that are 1 or 0: yes or no."""


def topic_of(name: str) -> str | None:
    """Return the topic of an input; None where no pattern fits it."""
    match = _match_phrase(name)
    if match is None:
        return None
    topic, _, groups = match
    return f"{topic} {groups['place']}" if groups.get("place") else topic


@lru_cache(maxsize=10_000)
def phrase_of(name: str, value: float) -> str | None:
    """Return an input in words; None where no pattern fits it."""
    match = _match_phrase(name)
    if match is None:
        return None
    _, template, groups = match
    number, size = written_number(value), abs(value)
    return say(
        template,
        _place_words(groups.get("place") or ""),
        value=value,
        number=number,
        share=percent(value),
        size=written_number(size),
        size_share=percent(size),
        inverse=written_number(1 / value) if value else "",
        duration=duration_in_words(value),
        ratio="" if value == 1 else f"{'less than usual: ' * (value < 1)}{number} times ",
        earns="earns" if value >= 0 else "loses",
        count=partial(counted_noun, value),
        what=(groups.get("what") or "").replace("_", " "),
        days=(days := days_in_words(groups.get("days") or "")),
        window=f" in {days}" if groups.get("days") else "",
    )


@cache
def _match_phrase(name: str) -> tuple[str, str, Mapping[str, str | None]] | None:
    for each in WORDS["phrases"]:
        match = re.fullmatch(each["input"].format(**NAMES), name)
        if match:
            return each["topic"], each["phrase"], match.groupdict()
    return None


# Reasons of a score in words: from inputs, their values and what they add to sentences that an
# investigator can read.
# Inputs are known by their names. Inputs of one topic make one sentence. A number that is
# unusual says so: in which share of the rows that a model learned from it is lower, or higher.

MOST_SENTENCES = 3
"""Sentences of one row."""

UNUSUAL = 0.9
"""The share of rows with a lower (or a higher) value from which on a value is said to be high (or
low).
"""

LEAST_SHARE = 0.001
"""The least share of rows that is named: rarer texts are seen too seldom among those that shares
are computed from.
"""

NOTHING = "none of "
"""The begin of a sentence that says that something did not happen."""

PEERS = re.compile(r"(?P<base>.+)_(?P<kind>z|peers)")
"""Inputs that compare the input of the base's name with its peers."""

RULE = "rule "
"""The begin of the name of a rule; behind it come its name and its conditions."""

CONDITION_INPUT = re.compile(r"(?:^|: | and )(\w+) [<>=!]")
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
        below, above: The share of the rows that were learned from with a lower and with a higher
            value, of a text with a commoner one; None where not known.
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
        """Read one reason: `input`, `value` as a text, `adds`, and where they are known `below`,
        `above` and `share`.
        """
        below, above, share = (reason.get(each) for each in ("below", "above", "share"))
        value = _parse_value(reason["value"]) if share is None else str(reason["value"])
        return cls(str(reason["input"]), value, float(reason["adds"]), below, above, share)


def in_words(reasons: Iterable[Mapping[str, Any]], most: int = MOST_SENTENCES) -> list[str]:
    """Return sentences for the main inputs of a row's score, the topic that adds most first.

    Args:
        reasons: `input`, `value` (a text, null where there is none), `adds`, `below`, `above` and
            `share` of each; see `Fact`.
        most: Sentences at most.

    Example:
        >>> peers = {"input": "quantity_30d_peers", "value": "3.0", "adds": 0.1}
        >>> in_words([{"input": "quantity_30d", "value": "41.0", "adds": 2.0}, peers])
        ['bought 41 units in 30 days, its peers buy 3']
    """
    topics: dict[str, list[Fact]] = {}
    for fact in map(Fact.of, reasons):
        topics.setdefault(input_subject(fact.name), []).append(fact)
    ordered = sorted(topics.values(), key=lambda facts: -sum(fact.adds for fact in facts))
    grounds = [facts for facts in ordered if not all(map(_is_usual, facts))] or ordered
    sentences = [_sentence(facts) for facts in grounds]
    grounded = [sentence for sentence in sentences if not sentence.startswith(NOTHING)]
    return (grounded or sentences)[:most]  # that nobody looked is no ground by itself


@cache
def companion_inputs(name: str) -> tuple[str, ...]:
    """Return the inputs that make one readable: the input it compares, and the median of peers.

    Of a rule those it is about.

    Example:
        >>> companions("quantity_30d_z")
        ('quantity_30d', 'quantity_30d_peers')
    """
    if name.startswith(RULE):
        return tuple(dict.fromkeys(CONDITION_INPUT.findall(name.removeprefix(RULE))))
    risk = RISK.fullmatch(name)
    if risk:
        return (
            f"{risk['place']}_confirmed_{risk['window']}",
            f"{risk['place']}_labels_{risk['window']}",
        )
    match = PEERS.fullmatch(name)
    base = match["base"] if match else name
    return tuple(each for each in (base, f"{base}_peers") if each != name)


def input_subject(name: str) -> str:
    """Return the subject of an input: the same for a quantity over 7 and 30 days and for its
    comparison with peers.
    """
    peers = PEERS.fullmatch(name)
    base = peers["base"] if peers else name
    return topic_of(base) or base


def _is_usual(fact: Fact) -> bool:
    """Return whether an input is a number or a text as most rows have it: by itself no ground to
    look at a row.
    """
    shares = [share for share in (fact.below, fact.above) if share is not None]
    return bool(shares) and max(shares) < UNUSUAL


def _sentence(facts: list[Fact]) -> str:
    """Return one topic in words: its strongest input and how that compares with peers.

    Else its strongest comparison.
    """
    known = {fact.name: fact for fact in facts}
    ordered = [fact.name for fact in sorted(facts, key=lambda fact: -fact.adds)]
    if RISK.fullmatch(ordered[0]):
        counted = [known[name].value for name in companion_inputs(ordered[0]) if name in known]
        if len(counted) == 2 and isinstance(counted[0], float) and isinstance(counted[1], float):
            return counted_share_phrase(ordered[0], counted[0], counted[1]) + (
                _rank_words(known[ordered[0]]) if counted[0] else ""
            )
    if (
        ordered[0].endswith("_peers")
        and known[ordered[0]].adds > 0
        and isinstance(known[ordered[0]].value, float)
    ):
        return _peers_clause(known[ordered[0]], known.get(ordered[0].removesuffix("_peers")))
    plain = [name for name in ordered if not PEERS.fullmatch(name)]
    plain = [name for name in plain if known[name].value is not None] or plain
    compared = [
        name for name in ordered if PEERS.fullmatch(name) and isinstance(known[name].value, float)
    ]
    if not plain:
        return _comparison_phrase(known[(compared or ordered)[0]])
    match = next(
        (name for name in (f"{plain[0]}_peers", f"{plain[0]}_z") if name in compared), None
    )
    if match:
        return f"{_input_phrase(known[plain[0]], rank=False)}{_comparison_clause(known[match])}"
    far = [
        name for name in compared if name.endswith("_z")
    ]  # what peers do over other days compares with nothing
    if far:
        return f"{_input_phrase(known[plain[0]])}, {_comparison_phrase(known[far[0]])}"
    return _input_phrase(
        known[next((name for name in plain if not _is_usual(known[name])), plain[0])]
    )


def _peers_clause(fact: Fact, own: Fact | None) -> str:
    """Return what the peers of a row do, where that itself is unusual, after what the row does."""
    assert isinstance(fact.value, float)
    base = fact.name.removesuffix("_peers")
    match = re.fullmatch(r"(?P<what>\w+?)_(?P<days>\d+)d", base)
    if match is None or match["what"] not in COUNTED:
        return f"its peers' {_input_noun(base)}: {written_number(fact.value)}{_rank_words(fact)}"
    _, verb, noun = COUNTED[match["what"]]
    counted = f"{written_number(fact.value)} {noun}".rstrip()
    if own is None or own.value is None:
        return f"its peers {verb} {counted} in {days_in_words(match['days'])}{_rank_words(fact)}"
    return f"{_input_phrase(own, rank=False)}, among peers who {verb} {counted}{_rank_words(fact)}"


def _input_phrase(fact: Fact, *, rank: bool = True) -> str:
    """Return an input in words, and where asked for how unusual it is."""
    if fact.name.startswith(RULE):
        return f"meets the {fact.name}" + (f" ({fact.value})" if fact.value else "")
    if fact.value is None:
        parts = WORDS["missing"].items()
        known = (words for part, words in parts if re.fullmatch(part.format(**NAMES), fact.name))
        return next(known, f"its {_input_noun(fact.name)} is not known")
    if isinstance(fact.value, str):
        return f"its {_input_noun(fact.name)} is {fact.value}{_text_share_words(fact)}"
    words = (
        phrase_of(fact.name, fact.value)
        or f"its {_input_noun(fact.name)} is {written_number(fact.value)}"
    )
    return f"{words}{_rank_words(fact)}" if rank else words


def _text_share_words(fact: Fact) -> str:
    """Return in which share of rows a text stands; empty where that is not known."""
    if fact.share is None:
        return ""
    if fact.share < LEAST_SHARE:
        return f", as in less than {percent(LEAST_SHARE)} of rows"
    return f", as in {'only ' if (fact.above or 0) >= UNUSUAL else ''}{percent(fact.share)} of rows"


def _rank_words(fact: Fact) -> str:
    """Return how unusual a number is, in brackets.

    Empty where it is not, or where that is not known.
    """
    if fact.below is None or fact.above is None:
        return ""
    share = max(fact.below, fact.above)
    if share < UNUSUAL:
        return ""
    whole = min(floor(100 * share + 1e-9), 99)
    if fact.value == 0 or FLAG_NAMES.fullmatch(fact.name):
        return f" (unlike {whole} % of rows)"
    return f" ({'more' if fact.below >= fact.above else 'less'} than in {whole} % of rows)"


def _comparison_clause(fact: Fact) -> str:
    """Return how the input before it compares with its peers."""
    assert isinstance(fact.value, float)
    if fact.name.endswith("_z"):
        return f", {_deviation_words(fact.value)}"
    return (
        f", its peers {COUNTED.get(input_subject(fact.name), ('', 'have', ''))[1]} "
        f"{written_number(fact.value)}"
    )


def _comparison_phrase(fact: Fact) -> str:
    """Return a comparison in words without its input."""
    match = PEERS.fullmatch(fact.name)
    if match is None or not isinstance(fact.value, float):
        return _input_phrase(fact)
    what = _input_noun(match["base"])
    return (
        f"its {what}: {_deviation_words(fact.value)}"
        if match["kind"] == "z"
        else f"its peers' {what}: {written_number(fact.value)}"
    )


def _deviation_words(z: float) -> str:
    return f"{abs(z):.1f} deviations {'above' if z >= 0 else 'below'} its peers"


def _input_noun(base: str) -> str:
    """Return the noun of an input: `units in 30 days` for `quantity_30d`."""
    match = re.fullmatch(r"(?P<what>\w+?)_(?P<days>\d+)d", base)
    if match is None:
        return base.replace("_", " ")
    noun = COUNTED.get(match["what"], ("", "", ""))[2] or match["what"].replace("_", " ")
    return f"{noun} in {days_in_words(match['days'])}"


def _parse_value(value: str | None) -> Value:
    """Return a text as a number where it is one."""
    if value is None:
        return None
    try:
        parsed = float({"true": "1", "false": "0"}.get(value, value))
    except ValueError:
        return value
    return parsed if isfinite(parsed) else None
