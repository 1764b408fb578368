"""Rules: conditions on inputs, as an analyst writes them (`night: tx_amount > 200 and tx_during_night = 1`)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwds.core.errors import ConfigError, nearest
from hwds.core.serialization import Serializable
from hwds.frames.base import RowReader

Compare = Callable[[Any, Any], Any]
SIGNS: dict[str, Compare] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
CONDITION = re.compile(r"\s*(?P<input>\w+)\s*(?P<sign>>=|<=|!=|>|<|=)\s*(?P<value>\S.*?)\s*")
NAMED = re.compile(r"\s*(?P<name>[\w -]+?)\s*:\s*(?P<body>.+)")


@dataclass(frozen=True)
class Condition(Serializable):
    """One comparison.

    Attributes:
        input: The name of the input.
        sign: One of `SIGNS`.
        value: A number, or a text for `=` and `!=`.
    """

    input: str
    sign: str
    value: float | str

    def holds(self, rows: RowReader) -> np.ndarray:
        """Return a mask of the rows; a value that is not known meets no condition."""
        if isinstance(self.value, str):
            texts = rows.texts(self.input)
            return np.array([each is not None and SIGNS[self.sign](each, self.value) for each in texts], bool)
        numbers = rows.numbers((self.input,))[:, 0]
        return np.isfinite(numbers) & SIGNS[self.sign](numbers, self.value)

    def __str__(self) -> str:
        value = f"{self.value:g}" if isinstance(self.value, float) else self.value
        return f"{self.input} {self.sign} {value}"


@dataclass(frozen=True)
class Rule(Serializable):
    """Conditions that must all hold.

    Attributes:
        name: Its name; its conditions where it has none.
        conditions: At least one.
    """

    name: str
    conditions: tuple[Condition, ...]

    def holds(self, rows: RowReader) -> np.ndarray:
        """Return a mask of the rows that it names."""
        return np.logical_and.reduce([each.holds(rows) for each in self.conditions])

    @property
    def title(self) -> str:
        """Its name, with its conditions where that says something else."""
        body = " and ".join(map(str, self.conditions))
        return body if self.name == body else f"{self.name}: {body}"


def parsed(text: str) -> Rule:
    """Return the rule that a text says: `name: input > 3 and other = web`; the name may be missing.

    Raises:
        ValueError: It is no rule, with what is wrong.
    """
    match = NAMED.fullmatch(text)
    body = match["body"] if match else text
    conditions = tuple(_condition(part) for part in re.split(r"\s+and\s+", body.strip()))
    return Rule(match["name"] if match else " and ".join(map(str, conditions)), conditions)


def _condition(text: str) -> Condition:
    match = CONDITION.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text.strip()}' is no condition such as 'quantity > 10'")
    value = match["value"].strip("'\"")
    try:
        return Condition(match["input"], match["sign"], float(value))
    except ValueError:
        if match["sign"] not in ("=", "!="):
            raise ValueError(f"'{text.strip()}' compares with no number") from None
        return Condition(match["input"], match["sign"], value)


def check_inputs(rules: Sequence[Rule], names: Sequence[str]) -> None:
    """Refuse a rule about an input that is not there.

    Raises:
        ConfigError: With the nearest name.
    """
    for rule in rules:
        for each in rule.conditions:
            if each.input not in names:
                raise ConfigError(f"model.rules: no input '{each.input}' for '{rule.title}'{nearest(each.input, names)}")
