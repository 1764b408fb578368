"""Typed recipes from plain data: built, made small, and each value's origin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

from hwds.core.errors import ConfigError
from hwds.core.extras import extras_of
from hwds.core.recipe import Recipe, Small, construct, show_value
from hwds.core.registry import GROUPS, options, resolve_node
from hwds.core.settings import flatten, read_yaml

# The ways in which a value of a searched setting is drawn, by the key of its leaf.

LISTS = ("choice", "grid")
BOUNDS = "[lower, upper]"
RANGES = {
    "uniform": BOUNDS,
    "loguniform": BOUNDS,
    "randint": BOUNDS,
    "quniform": "[lower, upper, step]",
}
KINDS = (*LISTS, *RANGES)


# Plain data in, one typed recipe out; every refusal has a path, the value and the nearest right
# name.

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
    values = {
        key: _members(group, f"{path}.{key}", value)
        for key, value in node.items()
        if key != "recipe"
    }
    missing = next(missing_paths(values), None)
    if missing:
        raise ConfigError(f"{path}.{missing}: must be given.")
    recipe: Recipe = construct(cls, path, values)
    check_types(node, recipe, path)
    return recipe


def extras_of_node(group: str, node: Any) -> tuple[str, ...]:
    """Return the extras with the packages that the recipes of a composed node import."""

    def modules(value: Any) -> Iterator[str]:
        items = value.values() if isinstance(value, Mapping) else value
        for item in items if isinstance(value, Mapping | list | tuple) else ():
            yield from modules(item)
        if isinstance(value, Mapping) and "recipe" in value:
            cls = resolve_node(group, group, dict(value))
            yield from (*cls.imports, *cls.may_import)

    return extras_of(modules(node))


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
        raise ConfigError(f"{where}: must be a number, got {show_value(given)}.")
    if isinstance(given, list) and isinstance(built, list | tuple):
        for i, (item, made) in enumerate(zip(given, built, strict=False)):
            _refuse_true(item, made, f"{where}[{i}]")


def recipe_kind(cls: type) -> str:
    """Return the kind of a recipe: the name of its base (`forecaster`, `policy`).

    That of a group before any other.
    """
    bases = [base.__name__.lower() for base in cls.__mro__ if Recipe in base.__bases__]
    return next(
        (base for base in bases if base in BASES.values()),
        bases[-1] if bases else cls.__name__.lower(),
    )


def shrink_to_small(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data under `size=small`: every field marked `Small(n)` is at most n, but for those
    that `uncapped` names.
    """
    kept = frozenset(data.get("uncapped") or ())
    shrunk = {group: _shrink(group, group, data[group], kept) for group in GROUPS}
    rivals = [_shrink("model", f"rivals.{node['name']}", node, kept) for node in data["rivals"]]
    return data | shrunk | {"rivals": rivals}


def sized_node(data: Mapping[str, Any], group: str) -> dict[str, Any]:
    """Return one group's node of a stored config as its `size` left it."""
    node = dict(data[group])
    return (
        _shrink(group, group, node, frozenset(data.get("uncapped") or ()))
        if data.get("size") == "small"
        else node
    )


def _shrink(group: str, path: str, node: dict[str, Any], kept: frozenset[str]) -> dict[str, Any]:
    """Return a node with its caps; members of a list have their labels in the path."""
    hints = get_type_hints(resolve_node(group, group, node), include_extras=True)
    shrunk = dict(node)
    for key, value in node.items():
        where = f"{path}.{key}"
        if _are_nodes(value):
            shrunk[key] = [_shrink(group, f"{where}.{each['name']}", each, kept) for each in value]
        elif _are_nodes([value]):
            shrunk[key] = _shrink(group, where, value, kept)
        elif isinstance(value, int) and where not in kept and (cap := _cap(hints.get(key))):
            shrunk[key] = cap.of(value)
    return shrunk


def _are_nodes(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and "recipe" in item for item in value)
    )


def _cap(hint: Any) -> Small | None:
    marks = getattr(hint, "__metadata__", ())
    found = marks or map(_cap, get_args(hint))
    return next((cap for cap in found if isinstance(cap, Small)), None)


# The settings that `size=small` leaves as they are, because the command line says them.

SPACE = "sweep.space"

WORKERS = "compute.workers"
"""What `compute=processes` says itself: they are not one."""


def typed_paths(data: Mapping[str, Any], words: Sequence[str]) -> tuple[str, ...]:
    """Return the paths of the settings that words of a command line set, sorted.

    The changes of an option within a list stand below its label:
    `rivals.forecast/xgboost(trees=500).trees`. A setting whose space is typed counts too, so that
    its trials keep their values.

    Args:
        data: The composed config, before the options in its lists are filled in.
        words: The overrides.
    """
    keys = [
        word.lstrip("+").partition("=")[0]
        for word in words
        if "=" in word and not word.startswith(("-", "~"))
    ]
    paths = {
        path
        for key in keys
        if key == "rivals" or "." in key
        for path in _paths_below(key, _value(data, key))
    }
    paths |= {WORKERS} if "compute" in keys and _value(data, WORKERS) is not None else set()
    return tuple(sorted(paths | set(_searched_paths(data, keys))))


def changed_label(name: str, changes: Mapping[str, Any]) -> str:
    """Return the label of an option with changes: `forecast/xgboost(trees=500)`."""
    listed = ",".join(f"{key}={value}" for key, value in sorted(changes.items()))
    return f"{name}({listed})" if listed else name


def _value(data: Mapping[str, Any], key: str) -> Any:
    node: Any = data
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _paths_below(path: str, value: Any) -> Iterator[str]:
    if not isinstance(value, list):
        yield from (inner for inner, _ in flatten(value, path))
        return
    yield path
    for item in value:
        if isinstance(item, Mapping) and len(item) == 1:
            ((name, changes),) = item.items()
            if isinstance(changes, Mapping):
                label = changed_label(str(changes.get("name", name)), changes)
                yield from (f"{path}.{label}.{key}" for key in changes)


def _searched_paths(data: Mapping[str, Any], keys: Sequence[str]) -> Iterator[str]:
    typed = [key for key in keys if key == SPACE or key.startswith(f"{SPACE}.")]
    for leaf, values in flatten(_value(data, SPACE) or {}, SPACE) if typed else ():
        if values and any(
            f"{leaf}.".startswith(f"{key}.") or key.startswith(f"{leaf}.") for key in typed
        ):
            path, _, kind = leaf.removeprefix(f"{SPACE}.").rpartition(".")
            yield path if kind in KINDS else f"{path}.{kind}"


# The origin of each value of a composed config: class, option's file, experiment's file, or
# command line.

ROOT_FILE = "conf/config.yaml"
CONVENTION = ("name", "recipe")
"""Keys of a node that follow from its option's name where its file does not set them."""


def value_origins(data: dict[str, Any], words: list[str]) -> dict[str, tuple[Any, str]]:
    """Return a mapping from dotted path to (value, origin) for every leaf of the config.

    Rivals appear by their labels.

    Args:
        data: The composed config.
        words: The overrides of the command line.
    """
    given = {word.lstrip("+~").partition("=")[0] for word in words if "=" in word}
    chosen = options("experiment").get(str(data["experiment"]))
    full = dict(flatten(data))
    capped = dict(flatten(shrink_to_small(data))) if data["size"] == "small" else full
    found: dict[str, tuple[Any, str]] = {}
    for path, value in capped.items():
        lowered = path != "rivals" and value != full[path]
        shown = [node["name"] for node in value] if path == "rivals" else value
        found[path] = (shown, "size=small" if lowered else _origin(data, path, given, chosen))
    return found


def refuse_left_over(data: dict[str, Any], experiment: str) -> None:
    """Refuse a setting that an experiment's file gives to its own option, in whose place is one
    without such a setting.

    Args:
        data: The composed config.
        experiment: The name of the experiment; empty for none.

    Raises:
        ConfigError: With the file, and the word that leaves the setting out.
    """
    file = options("experiment").get(experiment)
    content = _read(file) if file else {}
    overridden = [item for item in content.get("defaults") or [] if isinstance(item, dict)]
    chosen = {
        key.removeprefix("override /"): name for item in overridden for key, name in item.items()
    }
    for group in GROUPS:
        node, settings = data.get(group), content.get(group)
        if (
            not isinstance(node, dict)
            or not isinstance(settings, dict)
            or chosen.get(group) in (None, node["name"])
        ):
            continue
        settable = {each.name for each in fields(resolve_node(group, group, node))} | set(
            CONVENTION
        )
        if file and (
            unfit := [f"{group}.{key}" for key in settings if key in node and key not in settable]
        ):
            raise ConfigError(
                f"{unfit[0]}: {_conf_path(file)} sets it for {chosen[group]}, and {node['name']} "
                f"has no such setting; leave it out by"
                f" {' '.join(f'~{path}' for path in unfit)}."
            )


def _origin(data: dict[str, Any], path: str, given: set[str], chosen: Path | None) -> str:
    group, _, key = path.partition(".")
    if path in given or any(path.startswith(f"{name}.") and "." in name for name in given):
        return "command line"
    if chosen and path in _paths(_read(chosen)):
        return _conf_path(chosen)
    if group not in GROUPS:
        return ROOT_FILE if group != "experiment" else "default"
    file = options(group).get(data[group]["name"].partition("(")[0])
    if file and key in _paths(_read(file)):
        return _conf_path(file)
    return _choice(group, given, chosen) if key in CONVENTION else "default"


def _choice(group: str, given: set[str], chosen: Path | None) -> str:
    """Return the origin of the choice of a group's option."""
    if group in given:
        return "command line"
    overridden = [
        key for item in (_read(chosen).get("defaults") or [] if chosen else []) for key in item
    ]
    return _conf_path(chosen) if chosen and f"override /{group}" in overridden else ROOT_FILE


def _read(file: Path) -> Any:
    return _parse(file.read_text(encoding="utf-8"), file)


@cache
def _parse(text: str, file: Path) -> Any:
    return read_yaml(text, file) or {}


def _paths(node: Any) -> list[str]:
    return [path for path, _ in flatten(node)] if isinstance(node, dict) else []


def _conf_path(file: Path) -> str:
    """Return the path of a file from its conf folder on."""
    at = max((place for place, part in enumerate(file.parts) if part == "conf"), default=0)
    return str(Path(*file.parts[at:]))
