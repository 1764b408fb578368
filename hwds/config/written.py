"""A composed config as the YAML of an experiment: its options, and its differences from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from hwds.config.compose import option
from hwds.core.registry import options

CHOSEN = ("dataset", "features", "model", "protocol", "decision")
"""The groups that belong to an experiment; compute, sweep and tracker do not."""

ROOT = {"seed": 0, "size": "full", "save_model": "none", "decision_pack": "none", "pictures": "auto", "uncapped": []}
"""The root values with their defaults."""


def as_experiment(data: Mapping[str, Any], command: str, *said: str) -> str:
    """Return the text of an experiment's file that composes to this config.

    Args:
        data: The composed config.
        command: The command that uses the file.
        said: Further lines of comment.
    """
    comments = ["# @package _global_", f"# {command}", *(f"# {line}" for line in said)]
    node: dict[str, Any] = {"defaults": [{f"override /{group}": option_of(group, data[group])} for group in CHOSEN]}
    node |= {key: data[key] for key, usual in ROOT.items() if data.get(key, usual) != usual}
    node |= {group: changes for group in CHOSEN if (changes := changes_of(group, data[group]))}
    if data["rivals"]:
        node["rivals"] = [as_choice("model", rival) for rival in data["rivals"]]
    text = yaml.safe_dump(node, sort_keys=False, allow_unicode=True, width=120)
    return "\n".join(comments) + f"\n{text}"


def option_of(group: str, node: Mapping[str, Any]) -> str:
    """Return the option of a node: `forecast/xgboost` of one labelled `forecast/xgboost(trees=500)`."""
    name = str(node["name"])
    return name if name in options(group) else name.partition("(")[0]


def changes_of(group: str, node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the differences of a node from its option."""
    name = option_of(group, node)
    usual = option(group, group, name)
    changed = _changes(group, node, usual)
    return {key: value for key, value in changed.items() if key != "name"}


def as_choice(group: str, node: Mapping[str, Any]) -> str | dict[str, Any]:
    """Return a node as an item of a list of rivals or members: the option, or the option with its changes."""
    name, changes = option_of(group, node), changes_of(group, node)
    return {name: changes} if changes else name


def _changes(group: str, node: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for key, value in node.items():
        before = usual.get(key)
        if value == before:
            continue
        if isinstance(value, Mapping) and "recipe" not in value and isinstance(before, Mapping):
            found[key] = _changes(group, value, before)
        else:
            found[key] = _plain(group, value)
    return found


def _plain(group: str, value: Any) -> Any:
    """Return a value in which nodes are replaced by their options' names."""
    if isinstance(value, Mapping) and "recipe" in value:
        return as_choice(group, value)
    return [_plain(group, item) for item in value] if isinstance(value, list | tuple) else value
