"""The origin of each value of a composed config: class, option's file, experiment's file, or command line."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from hwds.config.build import small
from hwds.core.errors import ConfigError
from hwds.core.registry import GROUPS, options, resolve_node
from hwds.core.settings import flatten
from hwds.core.yaml_text import read_yaml

ROOT = "conf/config.yaml"
CONVENTION = ("name", "recipe")
"""Keys of a node that follow from its option's name where its file does not set them."""


def origins(data: dict[str, Any], words: list[str]) -> dict[str, tuple[Any, str]]:
    """Return a mapping from dotted path to (value, origin) for every leaf of the config; rivals appear by their labels.

    Args:
        data: The composed config.
        words: The overrides of the command line.
    """
    given = {word.lstrip("+~").partition("=")[0] for word in words if "=" in word}
    chosen = options("experiment").get(str(data["experiment"]))
    full = dict(flatten(data))
    capped = dict(flatten(small(data))) if data["size"] == "small" else full
    found: dict[str, tuple[Any, str]] = {}
    for path, value in capped.items():
        lowered = path != "rivals" and value != full[path]
        shown = [node["name"] for node in value] if path == "rivals" else value
        found[path] = (shown, "size=small" if lowered else _origin(data, path, given, chosen))
    return found


def refuse_left_over(data: dict[str, Any], experiment: str) -> None:
    """Refuse a setting that an experiment's file gives to its own option, in whose place is one without such a setting.

    Args:
        data: The composed config.
        experiment: The name of the experiment; empty for none.

    Raises:
        ConfigError: With the file, and the word that leaves the setting out.
    """
    file = options("experiment").get(experiment)
    said = _read(file) if file else {}
    overridden = [item for item in said.get("defaults") or [] if isinstance(item, dict)]
    own = {key.removeprefix("override /"): name for item in overridden for key, name in item.items()}
    for group in GROUPS:
        node, settings = data.get(group), said.get(group)
        if not isinstance(node, dict) or not isinstance(settings, dict) or own.get(group) in (None, node["name"]):
            continue
        known = {each.name for each in fields(resolve_node(group, group, node))} | set(CONVENTION)
        if file and (lost := [f"{group}.{key}" for key in settings if key in node and key not in known]):
            raise ConfigError(
                f"{lost[0]}: {_shown(file)} sets it for {own[group]}, and {node['name']} has no such setting; leave it out by"
                f" {' '.join(f'~{path}' for path in lost)}."
            )


def _origin(data: dict[str, Any], path: str, given: set[str], chosen: Path | None) -> str:
    group, _, key = path.partition(".")
    if path in given or any(path.startswith(f"{name}.") and "." in name for name in given):
        return "command line"
    if chosen and path in _paths(_read(chosen)):
        return _shown(chosen)
    if group not in GROUPS:
        return ROOT if group != "experiment" else "default"
    file = options(group).get(data[group]["name"].partition("(")[0])
    if file and key in _paths(_read(file)):
        return _shown(file)
    return _choice(group, given, chosen) if key in CONVENTION else "default"


def _choice(group: str, given: set[str], chosen: Path | None) -> str:
    """Return the origin of the choice of a group's option."""
    if group in given:
        return "command line"
    overridden = [key for item in (_read(chosen).get("defaults") or [] if chosen else []) for key in item]
    return _shown(chosen) if chosen and f"override /{group}" in overridden else ROOT


def _read(file: Path) -> Any:
    return _parsed(file.read_text(encoding="utf-8"), file)


@cache
def _parsed(text: str, file: Path) -> Any:
    return read_yaml(text, file) or {}


def _paths(node: Any) -> list[str]:
    return [path for path, _ in flatten(node)] if isinstance(node, dict) else []


def _shown(file: Path) -> str:
    """Return the path of a file from its conf folder on."""
    at = max((place for place, part in enumerate(file.parts) if part == "conf"), default=0)
    return str(Path(*file.parts[at:]))
