"""Queries of runs: conditions such as `model=forecast/*`, `mase<0.9` or `age<7d`, and an order."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from operator import ge, gt, le, lt

from hwds.core.errors import ConfigError, nearest
from hwds.results.runs.fields import Value
from hwds.results.runs.index import RunIndex
from hwds.results.runs.progress import statuses

OPERATORS = ("!=", ">=", "<=", "=", ">", "<", "~")
"""Not, bounds, equal (any of several, with `*`), and containing."""

_BOUNDS = {">=": ge, "<=": le, ">": gt, "<": lt}
_SPANS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

ALIASES = {"tag": "tags", "id": "run"}
"""Other names of fields."""

DERIVED = ("age", "id")
"""Fields that are derived from others."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a query: a field, an operator of `OPERATORS`, and the value to compare with."""

    name: str
    operator: str
    wanted: str

    def holds(self, value: Value) -> bool:
        """Return whether a field meets it; a missing one meets only `!=`."""
        if self.operator == "!=":
            return not _is(self.name, value, self.wanted)
        if value is None:
            return False
        if self.operator == "=":
            return _is(self.name, value, self.wanted)
        if self.operator == "~":
            return self.wanted.lower() in str(value).lower()
        if isinstance(value, str):
            return bool(_BOUNDS[self.operator](value, self.wanted))
        return bool(_BOUNDS[self.operator](value, _number(self)))


def _number(condition: Condition) -> float:
    text = condition.wanted
    try:
        return span(text) if condition.name == "age" else float(text)
    except ValueError as error:
        raise ConfigError(f"{condition.name}: must be held against a number, got '{text}'.") from error


def _is(name: str, value: Value, wanted: str) -> bool:
    """Return whether a field equals any of several values; of tags any one counts, of ids the beginning."""
    if value is None:
        return wanted == ""
    if isinstance(value, float):
        return any(_same(value, text) for text in wanted.split(","))
    known = value.split() if name == "tags" else [value, value.rpartition("/")[2]] if name == "run" else [value]
    return any(fnmatchcase(each, f"{text}*" if name == "run" else text) for text in wanted.split(",") for each in known)


def _same(value: float, text: str) -> bool:
    try:
        return value == float(text)
    except ValueError:
        return False


def span(text: str) -> float:
    """Return the seconds of `30min`, `12h`, `7d` or `4w`.

    Raises:
        ValueError: It is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(min|[shdw])", text)
    if not match:
        raise ValueError(text)
    return float(match[1]) * _SPANS[match[2]]


def parsed_condition(index: RunIndex, word: str) -> Condition | None:
    """The condition that a word is, by the longest known name in front of an operator; None for a bare word.

    Raises:
        ConfigError: There is no such field.
    """
    if not any(operator in word for operator in OPERATORS):
        return None
    known = sorted({*index.names, *ALIASES, *DERIVED}, key=len, reverse=True)
    for name in known:
        rest = word.removeprefix(name)
        operator = next((each for each in OPERATORS if rest.startswith(each)), None)
        if rest != word and operator:
            return Condition(ALIASES.get(name, name), operator, rest[len(operator) :].strip())
    name = re.split("|".join(map(re.escape, OPERATORS)), word)[0]
    raise ConfigError(f"runs: no field or metric '{name}'{nearest(name, known)}")


def column(index: RunIndex, name: str) -> dict[str, Value]:
    """Return a field of each folder; `age` in seconds, `status` as of now.

    Raises:
        ConfigError: There is no such field.
    """
    if name == "age":
        now = time.time()
        return {path: now - float(value or 0) for path, value in index.column("modified").items()}
    if name == "status":
        return statuses(index)
    name = ALIASES.get(name, name)
    if name not in index.names:
        raise ConfigError(f"runs: no field or metric '{name}'{nearest(name, {*index.names, *ALIASES, *DERIVED})}")
    return index.column(name)


def matching(index: RunIndex, words: Sequence[str], kind: str = "run") -> list[str]:
    """Return the folders of a kind that meet all conditions, in the order of their names.

    Args:
        index: The index of all folders.
        words: Conditions; a bare word is an experiment, a run, or the beginning of one.
        kind: `run` or `sweep`.

    Raises:
        ConfigError: A word names no field, no experiment and no run.
    """
    kinds, titles = index.column("kind"), index.column("run")
    paths = [path for path in index.paths if kinds.get(path) == kind]
    for word in words:
        condition = parsed_condition(index, word)
        if condition is None:
            paths = _named(paths, titles, word)
        else:
            values = column(index, condition.name)
            paths = [path for path in paths if condition.holds(values.get(path))]
    return paths


def _named(paths: Iterable[str], titles: dict[str, Value], word: str) -> list[str]:
    """Return the folders that a bare word refers to: of an experiment, or of an id that begins so."""
    title_of = {path: str(titles[path]) for path in paths}
    matches = [path for path, title in title_of.items() if _begins(title, word)]
    if not matches and not any(_begins(str(title), word) for title in titles.values()):
        known = {part for title in titles.values() for part in (str(title).partition("/")[0], str(title).rpartition("/")[2])}
        raise ConfigError(f"no experiment or run '{word}'{nearest(word, known)}")
    return matches


def _begins(title: str, word: str) -> bool:
    experiment, _, run = title.partition("/")
    return fnmatchcase(experiment, word) or run.startswith(word) or ("/" in word and title.startswith(word))


def ordered(index: RunIndex, paths: Iterable[str], by: str) -> list[str]:
    """Return folders sorted by a field: metrics best first, others ascending; `-` in front reverses. Missing values are last.

    Raises:
        ConfigError: There is no such field.
    """
    turned, name = by.startswith("-"), by.removeprefix("-")
    values = column(index, name)
    down = turned != (index.better(ALIASES.get(name, name)) == "high")
    there = [path for path in paths if values.get(path) is not None]
    text = any(isinstance(values[path], str) for path in there)
    there.sort(key=lambda path: str(values[path]) if text else float(values[path] or 0), reverse=down)
    return [*there, *(path for path in paths if values.get(path) is None)]
