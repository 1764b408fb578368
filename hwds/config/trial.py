"""The config of a trial: the experiment's config with the trial's values, as plain data without the sweep."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from hwds.config.space import START, Leaf

NO_SWEEP = {"name": "none", "recipe": "none", "space": {}}
"""The node of `sweep=none`."""


def applied(data: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config with values set by path; a group's path takes the name of an option and must come first.

    Raises:
        ConfigError: No such option.
    """
    from hwds.config.compose import expand, option

    changed = {group: deepcopy(data[group]) for group in {path.partition(".")[0] for path in settings}}
    for path, value in settings.items():
        group, *keys = path.split(".")
        if not keys:
            changed[group] = option(group, f"{START}.{group}", value)
            continue
        node = changed[group]
        for key in keys[:-1]:
            node = node[key]
        if "recipe" in node:  # its value may name an option, or a list of them
            value = expand(group, path, {"recipe": node["recipe"], keys[-1]: value})[keys[-1]]  # noqa: PLW2901
        node[keys[-1]] = value
    own = changed["model"]["name"] if "model" in changed else None
    rivals = [node for node in data["rivals"] if node["name"] != own]  # a rival that is the model itself is left out
    return {**data, **changed, "rivals": rivals, "sweep": dict(NO_SWEEP)}


def conditions(leaf: Leaf, leaves: tuple[Leaf, ...]) -> dict[str, Any]:
    """Return the values of the choices that a leaf depends on."""
    values = {other.path: other.values for other in leaves if other.listed}
    return {path: values[path][place] for path, place in leaf.when}
