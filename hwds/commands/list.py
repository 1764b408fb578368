"""Show the options of a config group, or of all: `hwds list model`, `hwds list --json`.

Groups are dataset, features, model, protocol, compute, decision, sweep, tracker and experiment; `--json` prints data.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import yaml

from hwds.errors import ConfigError, nearest
from hwds.registry import PACKAGES, options, source_file

GROUPS = (*PACKAGES, "experiment")


def main(words: list[str]) -> int:
    """Print each option with a sentence; nothing is imported for it."""
    asked = [word for word in words if word != "--json"]
    for word in asked:
        if word.startswith("-"):
            raise ConfigError(f"list: no flag '{word}'{nearest(word, ['--json'])}")
        if word not in GROUPS:
            raise ConfigError(f"no group '{word}'{nearest(word, GROUPS)}")
    told = {group: {name: sentence(group, file) for name, file in options(group).items()} for group in asked or GROUPS}
    if "--json" in words:
        print(json.dumps(told, indent=1))
        return 0
    for group, found in told.items():
        print(f"{group}:")
        width = max((len(name) for name in found), default=0)
        for name, said in found.items():
            print(f"  {name:<{width}}  {said}")
    return 0


def choices() -> list[str]:
    """The words it takes, for completion."""
    return [*GROUPS, "--json"]


def sentence(group: str, file: Path) -> str:
    """What an option is: the first line of its class's docstring, read without importing it, or the YAML's command."""
    text = file.read_text(encoding="utf-8")
    comments = [line[1:].strip() for line in text.splitlines() if line.startswith("#") and "@package" not in line]
    node: Any = yaml.safe_load(text) or {}
    if group == "experiment":
        return comments[1] if len(comments) > 1 else comments[0] if comments else ""
    recipe = str(node.get("recipe") or file.relative_to(_root(file, group)).with_suffix("").as_posix())
    changes = ", ".join(f"{key}={value}" for key, value in node.items() if key != "recipe")
    said = _docstring(group, recipe) or (comments[0] if comments else "")
    return f"{said} ({changes})" if changes else said


def _root(file: Path, group: str) -> Path:
    return next(parent for parent in file.parents if parent.name == group and parent.parent.name == "conf")


def _docstring(group: str, recipe: str) -> str:
    source = source_file(group, recipe)
    if source is None:
        return ""
    wanted = recipe.replace(":", "/").rsplit("/", 1)[-1].replace("_", "").lower()
    for item in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(item, ast.ClassDef) and item.name.replace("_", "").lower() == wanted:
            return (ast.get_docstring(item) or "").partition("\n")[0]
    return ""
