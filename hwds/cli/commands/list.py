"""Show the options of a config group, or of all; or what one option is and what its settings mean.

Groups are dataset, features, model, protocol, compute, decision, sweep, tracker, rules and
experiment; an option is named after its group: `model/forecast/xgboost`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from hwds.cli.words import AS_JSON, KnownWord, command
from hwds.core.errors import ConfigError, nearest
from hwds.core.registry import GROUPS as RECIPES
from hwds.core.registry import WRITTEN, options, source_file
from hwds.core.settings import read_yaml, utf8_text

GROUPS = (*RECIPES, *WRITTEN, "experiment")
FIRST_PARAGRAPH = re.compile(
    r'^class (\w+)[^:]*:\n[ \t]+r?"""(.*?)(?:"""|\n[ \t]*\n)', re.MULTILINE | re.DOTALL
)
"""Name and first paragraph of the docstring of a class; to parse three hundred modules would take
four times as long.
"""


class GroupOrOption(KnownWord):
    """A config group, or an option after its group."""

    def __init__(self) -> None:
        super().__init__("group or option", lambda: GROUPS)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the groups that begin so, or the options once a group is written."""
        group, _, name = incomplete.partition("/")
        if "/" not in incomplete or group not in (*RECIPES, *WRITTEN):
            return super().shell_complete(ctx, param, incomplete)
        return [
            CompletionItem(f"{group}/{other}") for other in options(group) if other.startswith(name)
        ]


@command(help=__doc__)
@click.argument("groups", nargs=-1, type=GroupOrOption())
@AS_JSON
def main(groups: tuple[str, ...], as_json: bool) -> int:
    """Print each option with a sentence, for which nothing is imported.

    Or the settings of the options that are named.
    """
    named = [group for group in groups if "/" in group]
    if named and len(named) < len(groups):
        whole = next(group for group in groups if group not in named)
        raise ConfigError(f"list: takes groups or options, got both '{whole}' and '{named[0]}'.")
    if named:
        from hwds.cli.described import describe_named

        print(describe_named(named, as_json))
        return 0
    for group in groups:
        if group not in GROUPS:
            raise ConfigError(f"no group '{group}'{nearest(group, GROUPS)}")
    sentences = {
        group: {name: option_sentence(group, file) for name, file in options(group).items()}
        for group in groups or GROUPS
    }
    if as_json:
        print(json.dumps(sentences, indent=1))
        return 0
    for group, sentences_by_name in sentences.items():
        print(f"{group}:")
        width = max((len(name) for name in sentences_by_name), default=0)
        for name, text in sentences_by_name.items():
            print(f"  {name:<{width}}  {text}")
    return 0


def option_sentence(group: str, file: Path) -> str:
    """Return the first paragraph of the docstring of an option's class, read without importing it,
    or the YAML's command.
    """
    try:
        text = utf8_text(file)
        node: Any = read_yaml(text, file) or {}
    except ValueError as error:
        raise ConfigError(f"{error}.") from error
    if not isinstance(node, dict):
        from hwds.core.recipe import show_value

        raise ConfigError(f"{group}/{file.stem}.yaml: must be a mapping, got {show_value(node)}.")
    comments = [
        line[1:].strip()
        for line in text.splitlines()
        if line.startswith("#") and "@package" not in line
    ]
    if group not in RECIPES:
        return comments[1] if len(comments) > 1 else comments[0] if comments else ""
    recipe = str(
        node.get("recipe") or file.relative_to(_root(file, group)).with_suffix("").as_posix()
    )
    changes = ", ".join(f"{key}={value}" for key, value in node.items() if key != "recipe")
    text_of_option = _docstring(group, recipe) or (comments[0] if comments else "")
    return f"{text_of_option} ({changes})" if changes else text_of_option


def _root(file: Path, group: str) -> Path:
    return next(
        parent for parent in file.parents if parent.name == group and parent.parent.name == "conf"
    )


def _docstring(group: str, recipe: str) -> str:
    source = source_file(group, recipe)
    if source is None:
        return ""
    wanted = recipe.replace(":", "/").rsplit("/", 1)[-1].replace("_", "").lower()
    for name, first in FIRST_PARAGRAPH.findall(source.read_text(encoding="utf-8")):
        if name.replace("_", "").lower() == wanted:
            return " ".join(first.split())
    return ""
