"""Descriptions of options and of their settings (meaning, bounds, value), read from class and
YAML.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

from hwds.core.compose import option
from hwds.core.extras import extras_of
from hwds.core.recipe import Recipe, show_value
from hwds.core.registry import conf_dirs, resolve_node
from hwds.core.settings import read_yaml

SECTION = re.compile(r"^(\w+):$", re.MULTILINE)
"""The title of a section of a docstring: `Attributes:`."""

UNBOUNDED = 1e9
"""A bound that only keeps numbers from overflowing is none to a reader."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of an option.

    Attributes:
        name: Its path below the option.
        value: Its value as YAML writes it, `???` where it must be given, an option by its name.
            Empty where others are below it.
        allowed: The values that it may have; empty where its meaning says so.
        meaning: The sentence of the class' docstring.
    """

    name: str
    value: str
    allowed: str
    meaning: str


def about(group: str, name: str) -> str:
    """Return the docstring of an option's class up to its first section, and the extra that it
    needs.
    """
    cls = _class_of(group, name)
    text = SECTION.split(inspect.getdoc(cls) or "")[0].strip()
    extras = ",".join(extras_of(cls.imports))
    return f"{text}\n\nNeeds hwds[{extras}]." if extras else text


def settings_of(group: str, name: str) -> Iterator[Setting]:
    """Yield the settings of an option in the order of its class, each followed by those below it
    (`roles.time`).
    """
    yield from _settings(_class_of(group, name), option(group, group, name), "")


def root_settings(experiment: type[Recipe]) -> Iterator[Setting]:
    """Yield the settings of a composed config beside its options, in the order of conf/config.yaml.

    Args:
        experiment: The class of the typed config.
    """
    hints, meanings = get_type_hints(experiment, include_extras=True), _meanings(experiment)
    file = conf_dirs()[0] / "config.yaml"
    for key, value in read_yaml(file.read_text(encoding="utf-8"), file).items():
        if key not in ("defaults", "hydra"):
            name = (
                "experiment" if key == "name" else key
            )  # the class has the name of the run under the experiment's
            yield Setting(key, _plain(value), allowed_values(hints[name]), meanings[name])


def _settings(cls: Any, values: Mapping[str, Any], path: str) -> Iterator[Setting]:
    hints, meanings = get_type_hints(cls, include_extras=True), _meanings(cls)
    for field in fields(cls):
        if field.name == "name" or field.name not in values:
            continue
        value, hint, meaning = values[field.name], hints[field.name], meanings.get(field.name, "")
        below = _settings_class(hint) if isinstance(value, Mapping) else None
        if below is None or "recipe" in value:
            yield Setting(
                f"{path}{field.name}",
                _plain(value if below is None else value["name"]),
                allowed_values(hint),
                meaning,
            )
        else:
            yield Setting(f"{path}{field.name}", "", allowed_values(hint), meaning)
            yield from _settings(below, value, f"{path}{field.name}.")


def _settings_class(hint: Any) -> Any:
    """Return the class of settings that a type holds; None where it holds none."""
    return next(
        (each for each in (hint, *get_args(hint)) if isinstance(each, type) and is_dataclass(each)),
        None,
    )


def _class_of(group: str, name: str) -> type[Recipe]:
    return resolve_node(group, group, option(group, group, name))


def _plain(value: Any) -> str:
    return "???" if value == "???" else show_value(value).strip("'")


def allowed_values(hint: Any) -> str:
    """Return the values of a type in words: `auto, min or max`, `1 to 1,000,000`, `> 0`.

    Empty where it has no such bounds.
    """
    options = [
        part for part in (get_args(hint) if _is_union(hint) else (hint,)) if part is not NoneType
    ]
    words = [text for text in map(_of_one, options) if text]
    return " or ".join(
        [*words, "null"]
        if words and len(options) < len(get_args(hint)) and _is_union(hint)
        else words
    )


def _is_union(hint: Any) -> bool:
    return NoneType in get_args(hint) or str(get_origin(hint)) in (
        "typing.Union",
        "<class 'types.UnionType'>",
    )


def _of_one(hint: Any) -> str:
    marks = getattr(hint, "__metadata__", ())
    kind = hint.__origin__ if marks else hint
    if get_origin(kind) is Literal:
        *names, last = map(str, get_args(kind))
        return f"{', '.join(names)} or {last}" if names else last
    if kind is bool:
        return "true or false"
    if _is_union(kind):
        return allowed_values(kind)
    return _between(marks) if kind in (int, float) else ""


def _between(marks: tuple[Any, ...]) -> str:
    """Return the bounds of a number: `1 to 10`, `>= 0`, `> 0 to 1`."""
    bounds = {
        type(mark): mark
        for mark in marks
        if isinstance(mark, Ge | Gt | Le | Lt) and abs(_bound(mark)) < UNBOUNDED
    }
    low, high = bounds.get(Ge, bounds.get(Gt)), bounds.get(Le, bounds.get(Lt))
    if low and high:
        return (
            f"{'> ' if Gt in bounds else ''}{_number(low)} to "
            f"{'< ' if Lt in bounds else ''}{_number(high)}"
        )
    if low:
        return f"{'>' if Gt in bounds else '>='} {_number(low)}"
    return f"{'<' if Lt in bounds else '<='} {_number(high)}" if high else ""


def _bound(mark: Ge | Gt | Le | Lt) -> Any:
    return next(getattr(mark, name) for name in ("ge", "gt", "le", "lt") if hasattr(mark, name))


def _number(mark: Ge | Gt | Le | Lt) -> str:
    return f"{_bound(mark):,}" if isinstance(_bound(mark), int) else f"{_bound(mark):g}"


def _meanings(cls: type) -> dict[str, str]:
    """Return the sentence of each attribute from the docstrings of a class and its bases, the
    class' own first.
    """
    meanings: dict[str, str] = {}
    for base in cls.__mro__:
        text = inspect.cleandoc(vars(base).get("__doc__") or "")
        parts = SECTION.split(text)
        listed = dict(zip(parts[1::2], parts[2::2], strict=True)).get("Attributes", "")
        for names, meaning in re.findall(
            r"^    ([\w, ]+): (.*(?:\n {8,}.*)*)", listed, re.MULTILINE
        ):
            for name in names.split(", "):
                meanings.setdefault(name, " ".join(meaning.split()))
    return meanings
