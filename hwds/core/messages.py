"""Refusals by pydantic as one line: the path, the requirement, and the value."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

from pydantic import ValidationError

from hwds.core.errors import ConfigError, nearest
from hwds.core.secrets import without_secrets
from hwds.core.settings import as_yaml

SHAPES = {
    "greater_than_equal": "must be >= {ge}",
    "greater_than": "must be > {gt}",
    "less_than_equal": "must be <= {le}",
    "less_than": "must be < {lt}",
    "literal_error": "must be {expected}",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "dataclass_type": "must be a mapping",
    "too_short": "must have at least {min_length} item(s)",
    "too_long": "must have at most {max_length} item(s)",
    "value_error": "{error}",
}


def refused(cls: type, path: str, error: ValidationError) -> ConfigError:
    """Return the first error of a refusal, as one line.

    Args:
        cls: The recipe that was built.
        path: Where its node is in the config.
        error: The error of pydantic.
    """
    first = error.errors()[0]
    location = [part for part in first["loc"] if not _is_branch(part)]
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        *parents, last = location
        where = _path(path, parents)
        return ConfigError(f"{where + ': ' if where else ''}no key '{last}'{nearest(str(last), _fields_at(cls, parents))}")
    where = _path(path, location)
    if first["type"] in ("missing", "missing_keyword_only_argument", "missing_argument"):
        return ConfigError(f"{where}: must be given.")
    branches = error.errors() if first["type"] == "literal_error" else [first]
    said = dict.fromkeys(_required(each) for each in branches if [p for p in each["loc"] if not _is_branch(p)] == location)
    either = " or ".join(text.removeprefix("must be ") if place else text for place, text in enumerate(said))
    return ConfigError(f"{where}: {either}, got {shown(first['input'])}.")


def _required(error: Any) -> str:
    text = SHAPES.get(error["type"], error["msg"][0].lower() + error["msg"][1:])
    return text.format(**error.get("ctx", {}))


def _path(start: str, parts: list[Any]) -> str:
    """Return the path of a value: `dataset.join[0].run`."""
    return (start + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)).lstrip(".")


def _is_branch(part: Any) -> bool:
    """Return whether a part is pydantic's name of a branch of a union, which no user wrote."""
    return isinstance(part, str) and (part in ("int", "str", "float", "bool", "none") or "[" in part or "(" in part)


def _fields_at(cls: type, parents: list[Any]) -> list[str]:
    for key in parents:
        hint = get_type_hints(cls).get(str(key))
        inner = [arg for arg in (hint, *get_args(hint)) if is_dataclass(arg)]
        if inner:
            cls = inner[0]  # type: ignore[assignment]
    return [field.name.rstrip("_") for field in fields(cls) if field.name != "name"]  # `as_` is written `as`


def shown(value: Any) -> str:
    """Return a value as the user would write it, truncated where it is long; of a recipe its name, or its class."""
    if is_dataclass(value) and not isinstance(value, type):
        value = getattr(value, "name", "") or type(value).__name__
    text = without_secrets(as_yaml(value) if isinstance(value, bool | None) else repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."
