"""Plain data in, one typed recipe out; every refusal has a path, the value and the nearest right name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from hwds.core.errors import ConfigError
from hwds.core.messages import shown
from hwds.core.recipe import Recipe, Small, construct
from hwds.core.registry import GROUPS, resolve_node

BASES = {
    "dataset": "dataset",
    "features": "featureset",
    "protocol": "evaluation",
    "compute": "compute",
    "decision": "decision",
    "sweep": "sweep",
    "tracker": "tracker",
}
"""The kind that the recipe of each group must have; the protocol determines that of its models."""


def build(group: str, path: str, node: dict[str, Any]) -> Recipe:
    """Return the recipe of one node.

    Raises:
        ConfigError: A key, type, range or name is wrong.
    """
    cls = resolve_node(group, path, node)
    values = {key: _members(group, f"{path}.{key}", value) for key, value in node.items() if key != "recipe"}
    missing = next(missing_paths(values), None)
    if missing:
        raise ConfigError(f"{path}.{missing}: must be given.")
    recipe: Recipe = construct(cls, path, values)
    check_types(node, recipe, path)
    return recipe


def missing_paths(values: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the paths of values that must be given and are not (`???`)."""
    for key, value in values.items():
        if isinstance(value, str) and value == "???":
            yield f"{path}{key}"
        elif isinstance(value, dict):
            yield from missing_paths(value, f"{path}{key}.")


def _members(group: str, path: str, value: Any) -> Any:
    """Return a composed node, or a list of them (a stack's members), as recipes."""
    if isinstance(value, dict) and "recipe" in value:
        return build(group, path, value)
    if isinstance(value, list) and value and isinstance(value[0], dict) and "recipe" in value[0]:
        return tuple(build(group, f"{path}[{i}]", node) for i, node in enumerate(value))
    return value


def check_types(node: dict[str, Any], recipe: Recipe, path: str) -> None:
    """Refuse `true` for 1, which pydantic would take.

    Raises:
        ConfigError: A number is given as `true` or `false`.
    """
    for field in fields(recipe):  # type: ignore[arg-type]
        given, built = node.get(field.name), getattr(recipe, field.name)
        where = f"{path}.{field.name}".lstrip(".")
        if isinstance(built, Recipe) and isinstance(given, dict) and field.name not in GROUPS:
            check_types(given, built, where)
        _refuse_true(given, built, where)


def _refuse_true(given: Any, built: Any, where: str) -> None:
    if isinstance(given, bool) and not isinstance(built, bool):
        raise ConfigError(f"{where}: must be a number, got {shown(given)}.")
    if isinstance(given, list) and isinstance(built, list | tuple):
        for i, (item, made) in enumerate(zip(given, built, strict=False)):
            _refuse_true(item, made, f"{where}[{i}]")


def kind(cls: type) -> str:
    """Return the kind of a recipe: the name of its base (`forecaster`, `policy`); that of a group before any other."""
    bases = [base.__name__.lower() for base in cls.__mro__ if Recipe in base.__bases__]
    return next((base for base in bases if base in BASES.values()), bases[-1] if bases else cls.__name__.lower())


def small(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data under `size=small`: every field marked `Small(n)` is at most n, but for those that `uncapped` names."""
    kept = frozenset(data.get("uncapped") or ())
    shrunk = {group: _shrink(group, group, data[group], kept) for group in GROUPS}
    return data | shrunk | {"rivals": [_shrink("model", f"rivals.{node['name']}", node, kept) for node in data["rivals"]]}


def sized(data: Mapping[str, Any], group: str) -> dict[str, Any]:
    """Return one group's node of a stored config as its `size` left it."""
    node = dict(data[group])
    return _shrink(group, group, node, frozenset(data.get("uncapped") or ())) if data.get("size") == "small" else node


def _shrink(group: str, path: str, node: dict[str, Any], kept: frozenset[str]) -> dict[str, Any]:
    """Return a node with its caps; members of a list have their labels in the path."""
    hints = get_type_hints(resolve_node(group, group, node), include_extras=True)
    caps = {key: cap for key, hint in hints.items() if f"{path}.{key}" not in kept and (cap := _cap(hint)) is not None}
    shrunk = {key: caps[key].of(value) if key in caps and isinstance(value, int) else value for key, value in node.items()}
    members: dict[str, Any] = {
        key: [_shrink(group, f"{path}.{key}.{item['name']}", item, kept) for item in value]
        for key, value in node.items()
        if _are_nodes(value)
    }
    members |= {key: _shrink(group, f"{path}.{key}", value, kept) for key, value in node.items() if _are_nodes([value])}
    return shrunk | members


def _are_nodes(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) and "recipe" in item for item in value)


def _cap(hint: Any) -> Small | None:
    marks = getattr(hint, "__metadata__", ())
    own = next((mark for mark in marks if isinstance(mark, Small)), None)
    inner = (_cap(arg) for arg in get_args(hint)) if own is None and not marks else iter(())
    return own if own is not None else next((cap for cap in inner if cap is not None), None)
