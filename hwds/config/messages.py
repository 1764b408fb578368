"""A refusal by pydantic as one line in the house's shape: path, what must be, the value."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

from pydantic import ValidationError

from hwds.errors import ConfigError, nearest
from hwds.recipe import Recipe

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
    """The first mistake of a refusal.

    Args:
        cls: The recipe that was built.
        path: Where its node is in the config.
        error: What pydantic says.
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
    said = SHAPES.get(first["type"], first["msg"][0].lower() + first["msg"][1:])
    return ConfigError(f"{where}: {said.format(**first.get('ctx', {}))}, got {shown(first['input'])}.")


def _path(start: str, parts: list[Any]) -> str:
    """`dataset.join[0].run`."""
    return (start + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)).lstrip(".")


def _is_branch(part: Any) -> bool:
    """The names that pydantic gives to the arms of a union, which no user wrote."""
    return isinstance(part, str) and (part in ("int", "str", "float", "bool", "none") or "[" in part or "(" in part)


def _fields_at(cls: type, parents: list[Any]) -> list[str]:
    for key in parents:
        hint = get_type_hints(cls).get(str(key))
        inner = [arg for arg in (hint, *get_args(hint)) if is_dataclass(arg)]
        if inner:
            cls = inner[0]  # type: ignore[assignment]
    return [field.name.rstrip("_") for field in fields(cls) if field.name != "name"]  # `as_` is written `as`


def shown(value: Any) -> str:
    """A value as the user would write it, cut where it is long."""
    text = {True: "true", False: "false", None: "null"}.get(value) if isinstance(value, bool | None) else None
    text = text or repr(value.name if isinstance(value, Recipe) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."
