"""The rules of plain English, and what they find in a passage."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tests.words.reading import Passage, words

LONGEST_SENTENCE = 25
LONGEST_CELL = 12

WORDS = {
    r"beside": "next to, compared with, as well as",
    r"besides": "also",
    r"amid(st)?": "in the middle of, among",
    r"anew": "again",
    r"afresh": "again",
    r"rubbish": "random values",
    r"to be had|(is|are|was|were) had": "available",
    r"lays?|laid": "put, store",
    r"says?|said": "set, show, print, mean, state",
    r"(?<!thing )(?<!one )(?<!body )else": "otherwise",
    r"held against|held to": "compared with, checked against",
    r"remarked|remarks? on": "warned, warns about",
    r"of (which|whom|whose)": "a sentence of its own",
    r"(that|those) of": "repeat the noun",
    r"(those|that|ones?|he|she) who|those (that|which)|that which": "name the noun",
    r"th(e|is|at) one (that|which|who)|th(e|is|at) one of": "name the noun",
    r"(to|for|of|by|from|with) who": "name who: users, clients",
    r"than (which|that)": "a sentence of its own",
    r"(where|there|here|where)(in|of|upon|by)|whence|hence|hereby|thereof": "here, so, in it",
    r"upon": "on",
    r"lest": "so that ... not",
    r"thrice": "three times",
    r"whoever|whosoever|whichever|whatever": "name it",
    r"nought|naught|aught": "zero",
    r"hang together": "depend on each other",
    r"told apart|tells? apart": "distinguished, separated",
    r"at hand": "available",
    r"in the place of|in (its|their) (place|stead)": "instead of",
    r"for want of|for lack of": "because there is no",
    r"goes on|went on|going on": "continues",
    r"(come|comes|came|made) of": "come from, made from",
    r"dear(er|est|ly)": "more expensive",
    r"mak(es?|ing) good|made good": "repair, catch up",
    r"bears? (the|a|its|their|one|no|it)": "have",
    r"lies? about": "is around",
    r"giv(es?|ing) away|gave away": "reveal",
    r"brings? (it|them|the \w+) back": "restore",
    r"some (two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|\d+)": "about",
    r"(is|are|be|being|was|were) (told|given) (how|what|that|which|of)": "know",
    r"no matter": "also if",
    r"as it were|so to say|that is to": "leave it out",
    r"were it|were they|be it|had it": "if it",
    r"but (those|that of|for the|one)": "except",
    r"thanks to|by dint of": "because of",
    r"not (only|yet) .{3,60} but": "two sentences",
    r"at (the )?least that is": "at least",
    r"ere|yonder|hitherto|thereby|therein|thereto|herewith": "here, so",
    r"some ?such": "like this",
    r"answered (by|with|from)|asks? (a|the) model|(is|are|was|were) asked": "forecast, predicted",
    r"(models?|forecasters?|polic(y|ies)|networks?|members?|naive)( \w+)? answers?": "forecasts",
}
"""Words and phrases, as regular expressions, and what to write."""

BRITISH = {
    r"\w*colors?\w*|\w*behaviors?\w*|favor\w*|neighbor\w*|honor\w*|labor\w*": "-our",
    r"centers?|centered|theaters?|(kilo|milli|centi)meters?": "-re",
    r"model(ed|ing|er)|label(ed|ing)|travel(ed|ing)|cancel(ed|ing)|signal(ed|ing)": "-ll-",
    r"(?!(re|down|up|over|under)?(siz|seiz|priz|max-?siz)|serializ|deserializ)\w+iz(e|ed|es|ing|ation|er)"
    r"(?<!\bsize)": "-ise",
    r"\w+lyz(e|ed|es|ing)": "-lyse",
    r"catalogs?|programs? of study|gray(?! market)(?!\w)": "catalogue, grey (gray market)",
    r"(a|the|no|its|which|whose|their|open) licenses?": "licence (the noun)",
}
"""American spellings, as regular expressions, and the British rule."""

VERBS = r"(is|are|has|have|had|may|can|cannot|was|were|do|does|would|will|need|needs|must)"
STARTS = r"(^|[,;:(–—] ?|\b(and|but|or|that|so) )"


WHOLE = r"(?<![\w§'-])({})(?![\w-])".format


class Rule(NamedTuple):
    """A pattern that is not to be read, and what to write."""

    name: str
    pattern: re.Pattern[str]
    write: dict[re.Pattern[str], str] | str

    def instead(self, match: re.Match[str]) -> str:
        """Return what to write for a match."""
        if isinstance(self.write, str):
            return self.write
        fits = (
            write for one, write in self.write.items() if one.match(match.string, match.start())
        )
        return next(fits)


def _rule(name: str, pattern: str, write: str) -> Rule:
    return Rule(name, re.compile(pattern, re.IGNORECASE), write)


def _list(name: str, listed: dict[str, str]) -> Rule:
    """Return one rule of many words: one pattern is searched several times as fast."""
    every = re.compile(WHOLE("|".join(listed)), re.IGNORECASE)
    parts = {re.compile(WHOLE(word), re.IGNORECASE): write for word, write in listed.items()}
    return Rule(name, every, parts)


RULES = [
    _list("words", WORDS),
    _rule("words", rf"[,;:] for (?!example|instance)[^,;.]*\b{VERBS}\b", "because"),
    _rule("words", rf"{STARTS}where(?![\w-])(?=[^?]*$)", "if, when"),
    _rule(
        "words",
        r"(\d|\b(one|two|three|four|five|six|ten|once|thousand|million|second|minute)s?)"
        r"(?: [a-zA-Z$€]+){0,2} (?<!in )an? (day|second|minute|hour|week|month|year|row|series|unit|request"
        r"|call|machine|cutoff|fold|window|core|thousand|customer|image|reading|order)\b",
        "per day",
    ),
    _rule(
        "clauses",
        r"\bwhat(?! (to|if|happens|it costs)\b)(?!-)(?=[^?]*$)",
        "a noun: the cost, the result",
    ),
    _rule("fronted", r"^(Of|From|What|Where|Beside)\b(?!.*\?$)", "subject"),
    _list("british", BRITISH),
    _rule("decimals", r"(?<![\w.\]])\.\d+(?![\w.]*\w)", "a zero before the point"),
]


class Finding(NamedTuple):
    """What a rule found."""

    line: int
    rule: str
    found: str
    write: str
    sentence: str


def findings(passage: Passage) -> Iterator[Finding]:
    """Yield what the rules find in a passage."""
    if passage.kind == "cell" and (count := words(passage.text)) > LONGEST_CELL:
        yield Finding(passage.line, "cells", f"{count} words", "below the table", passage.text)
    for sentence in passage.sentences():
        count = words(sentence)
        if passage.kind != "cell" and count > LONGEST_SENTENCE:
            yield Finding(passage.line, "long", f"{count} words", "two sentences", sentence)
        for rule in RULES:
            for match in rule.pattern.finditer(sentence):
                found = " ".join(match[0].split())
                yield Finding(passage.line, rule.name, found, rule.instead(match), sentence)
