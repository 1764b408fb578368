"""Where each value of a composed config came from: the class, the option's file, the experiment's file, the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from hwds.registry import PACKAGES, options


def origins(data: dict[str, Any], words: list[str]) -> dict[str, tuple[Any, str]]:
    """Dotted path to (value, origin) for every leaf of the config.

    Args:
        data: The composed config.
        words: The overrides of the command line.
    """
    given = {word.lstrip("+~").partition("=")[0] for word in words if "=" in word}
    chosen = options("experiment").get(str(data["experiment"]))
    from_experiment = set(_paths(_read(chosen))) if chosen else set()
    found: dict[str, tuple[Any, str]] = {}
    for path, value in leaves(data).items():
        group = path.partition(".")[0]
        if path in given or any(path.startswith(f"{name}.") and "." in name for name in given):
            found[path] = (value, "command line")
        elif chosen and (path in from_experiment or path.partition("[")[0] in from_experiment):
            found[path] = (value, _shown(chosen))
        else:
            found[path] = (value, _option_or_default(data, group, path))
    return found


def leaves(node: Any, path: str = "") -> dict[str, Any]:
    """Every value below a node by its dotted path; a list is one value."""
    if not isinstance(node, dict) or not node:
        return {path: node}
    return {
        where: value for key, item in node.items() for where, value in leaves(item, f"{path}.{key}" if path else key).items()
    }


def _option_or_default(data: dict[str, Any], group: str, path: str) -> str:
    if group not in PACKAGES:
        return "conf/config.yaml"
    name = data[group]["name"]
    file = options(group).get(name)
    if file and path.partition(".")[2] in _paths(_read(file)):
        return _shown(file)
    return "option" if path in (f"{group}.name", f"{group}.recipe") else "default"


def _read(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8")) or {}


def _paths(node: Any) -> list[str]:
    return (
        list(leaves(node)) + [key for key, value in node.items() if isinstance(value, dict | list)]
        if isinstance(node, dict)
        else []
    )


def _shown(file: Path) -> str:
    return str(Path(*file.parts[-(len(file.parts) - file.parts.index("conf")) :])) if "conf" in file.parts else str(file)
