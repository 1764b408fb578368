"""Rules: conditions on inputs, as an analyst writes them (`night: tx_amount > 200 and
tx_during_night = 1`).
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwds.core.errors import ConfigError, nearest
from hwds.core.serialization import Serializable
from hwds.frames.table import RowReader

Compare = Callable[[Any, Any], Any]
SIGNS: dict[str, Compare] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
SIGN = re.compile(r"[<>=!]")
CONDITION = re.compile(r"\s*(?P<input>\w+)\s*(?P<sign>>=|<=|!=|>|<|=)\s*(?P<value>\S.*?)\s*")
NAMED = re.compile(r"\s*(?P<name>[\w -]+?)\s*:\s*(?P<body>.+)")


@dataclass(frozen=True)
class RuleCondition(Serializable):
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
            return np.array(
                [each is not None and SIGNS[self.sign](each, self.value) for each in texts], bool
            )
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
        conditions: The conditions, at least one.
    """

    name: str
    conditions: tuple[RuleCondition, ...]

    def holds(self, rows: RowReader) -> np.ndarray:
        """Return a mask of the rows that it names."""
        return np.logical_and.reduce([each.holds(rows) for each in self.conditions])

    @property
    def title(self) -> str:
        """Its name, with its conditions where that says something else."""
        body = " and ".join(map(str, self.conditions))
        return body if self.name == body else f"{self.name}: {body}"


def rule_from_conditions(name: str, conditions: Sequence[str]) -> Rule:
    """Return the rule of a name whose conditions must all hold; a text may join several by `and`.

    Raises:
        ValueError: A text is no condition.
    """
    texts = [part for text in conditions for part in re.split(r"\s+and\s+", text.strip())]
    return Rule(name, tuple(map(_parse_condition, texts)))


def conditions_by_rule(rules: object) -> dict[str, tuple[str, ...]]:
    """Return conditions by the name of their rule.

    Args:
        rules: A mapping from a name to a condition or several; or texts such as `night: amount >
            200 and night = 1`, in which the name may be missing.

    Raises:
        ValueError: It is neither, a rule has no condition, or two have one name.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, conditions in _named_conditions(rules):
        if name in found:
            raise ValueError(f"has '{name}' more than once")
        found[name] = conditions
    return found


def _named_conditions(rules: object) -> Iterator[tuple[str, tuple[str, ...]]]:
    if isinstance(rules, Mapping):
        yield from (
            (_check_name(name), _condition_texts(str(name), conditions))
            for name, conditions in rules.items()
        )
        return
    if isinstance(rules, str) or not isinstance(rules, Sequence):
        raise ValueError(f"must be rules by name, or the name of an option of rules, got {rules!r}")
    for text in rules:
        match = NAMED.fullmatch(str(text))
        body = match["body"] if match else str(text)
        yield (
            match["name"]
            if match
            else " and ".join(map(str, rule_from_conditions("", (body,)).conditions)),
            (body,),
        )


def _check_name(name: object) -> str:
    if not isinstance(name, str) or not name.strip() or ":" in name or "\n" in name:
        raise ValueError(f"{name!r} is no name of a rule: it must be one line without a colon")
    return name.strip()


def _condition_texts(name: str, conditions: object) -> tuple[str, ...]:
    several = [conditions] if isinstance(conditions, str) else conditions
    if (
        not isinstance(several, Sequence)
        or not several
        or not all(isinstance(each, str) for each in several)
    ):
        raise ValueError(
            f"'{name}' must be a condition such as 'quantity > 10', or a list of them, got "
            f"{conditions!r}"
        )
    return tuple(several)


def _parse_condition(text: str) -> RuleCondition:
    match = CONDITION.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text.strip()}' is no condition such as 'quantity > 10'")
    value, sign = match["value"].strip("'\""), match["sign"]
    try:
        number = float(value)
    except ValueError:
        if sign not in ("=", "!="):
            raise ValueError(f"'{text.strip()}' compares with no number") from None
        if value == match["value"] and SIGN.search(value):
            raise ValueError(
                f"'{text.strip()}' has two signs: conditions are joined by 'and', a text with a "
                f"sign is quoted"
            ) from None
        return RuleCondition(match["input"], sign, value)
    if not math.isfinite(number):
        raise ValueError(f"'{text.strip()}' compares with no number")
    return RuleCondition(match["input"], sign, number)


def check_rules(rules: Sequence[Rule], names: Sequence[str]) -> None:
    """Refuse a rule about an input that is not there.

    Raises:
        ConfigError: With the nearest name.
    """
    for rule in rules:
        for each in rule.conditions:
            if each.input not in names:
                raise ConfigError(
                    f"model.rules: no input '{each.input}' for "
                    f"'{rule.title}'{nearest(each.input, names)}"
                )
