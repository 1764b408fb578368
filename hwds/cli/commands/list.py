"""List the options of all config groups or of one, or explain one option.

Groups are dataset, features, model, protocol, compute, decision, sweep, tracker, rules and
experiment. An option is named after its group: `model/forecast/xgboost`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path
from textwrap import wrap
from typing import Any

import click
from click.shell_completion import CompletionItem

from hwds.cli.words import AS_JSON, KnownWord, command
from hwds.core.errors import ConfigError, nearest
from hwds.core.extras import extras_of, missing_modules
from hwds.core.registry import GROUPS as RECIPES
from hwds.core.registry import WRITTEN, options, source_file
from hwds.core.settings import read_yaml, utf8_text
from hwds.results.formatting import WIDTH

GROUPS = (*RECIPES, *WRITTEN, "experiment")
CLASS = re.compile(r"^class ", re.MULTILINE)
"""What a class begins with; to parse three hundred modules would take four times as long."""

FIRST_PARAGRAPH = re.compile(r'\w+[^:]*:\n[ \t]+r?"""(.*?)(?:"""|\n[ \t]*\n)', re.DOTALL)
IMPORTS = re.compile(r"^    imports = \((.*)\)$", re.MULTILINE)
NAME = re.compile(r'"([\w.]+)"')
COMMAND = re.compile(r"(python -m )?hwds ")
END_OF_SENTENCE = re.compile(r"(?<=[.?!]) +(?=[A-Z`-])")


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
    tables = {
        group: [
            {"option": name, "about": option_sentence(group, file)}
            for name, file in options(group).items()
        ]
        for group in groups or GROUPS
    }
    texts = (_as_text(group, rows) for group, rows in tables.items())
    print(json.dumps(tables, indent=1) if as_json else "\n".join(texts))
    return 0


def _as_text(group: str, rows: Sequence[Mapping[str, str]]) -> str:
    """Return the options of a group in two columns, at most 100 letters wide."""
    width = max((len(row["option"]) for row in rows), default=0)
    lines = (
        wrap(
            row["about"],
            WIDTH,
            initial_indent=f"  {row['option']:<{width}}  ",
            subsequent_indent=" " * (width + 4),
            break_on_hyphens=False,
        )
        or [f"  {row['option']}"]
        for row in rows
    )
    return "\n".join([f"{group}:", *(line for each in lines for line in each)])


def option_sentence(group: str, file: Path) -> str:
    """Return the first sentence on an option: of the comment on top of its YAML, or else of the
    docstring of its class, which is not imported; behind it the extra that is not installed.
    """
    text, node = _file_of_option(group, file)
    top = takewhile(lambda line: line.startswith("#") or not line.strip(), text.splitlines())
    comments = [line[1:].strip() for line in top if line.strip() and "@package" not in line]
    own = " ".join(line for line in comments if not COMMAND.match(line))
    if group not in RECIPES:
        return first_sentence(own) or " ".join(comments)
    about = own or _docstring(group, _recipe(group, file, node)) or " ".join(comments)
    extras = extras_of(missing_modules(imports_of(group, file)))
    return first_sentence(about) + (f" [needs hwds[{','.join(extras)}]]" if extras else "")


def first_sentence(text: str) -> str:
    """Return the text up to the first full stop that a new sentence follows."""
    return END_OF_SENTENCE.split(text, maxsplit=1)[0]


def imports_of(group: str, file: Path) -> set[str]:
    """Return `imports` of an option and of those that it names as members, read without importing
    one.
    """
    _, node = _file_of_option(group, file)
    recipe = _recipe(group, file, node)
    needs = IMPORTS.search(_class_text(group, recipe))
    members = [name for name in _words(node) if name in options(group) and name != recipe]
    return {
        *(NAME.findall(needs[1]) if needs else ()),
        *(need for name in members for need in imports_of(group, options(group)[name])),
    }


@cache
def _file_of_option(group: str, file: Path) -> tuple[str, dict[str, Any]]:
    """Return the text of an option's file, and what it says."""
    try:
        text = utf8_text(file)
        node: Any = read_yaml(text, file) or {}
    except ValueError as error:
        raise ConfigError(f"{error}.") from error
    if not isinstance(node, dict):
        from hwds.core.recipe import show_value

        raise ConfigError(f"{group}/{file.stem}.yaml: must be a mapping, got {show_value(node)}.")
    return text, node


def _recipe(group: str, file: Path, node: dict[str, Any]) -> str:
    root = next(
        parent for parent in file.parents if parent.name == group and parent.parent.name == "conf"
    )
    return str(node.get("recipe") or file.relative_to(root).with_suffix("").as_posix())


def _words(value: Any) -> Iterator[str]:
    """Yield all keys and texts of plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in [*value, *(value.values() if isinstance(value, dict) else ())]:
            yield from _words(item)


@cache
def _class_text(group: str, recipe: str) -> str:
    """Return the text of a recipe's class; empty where there is none."""
    source = source_file(group, recipe)
    wanted = recipe.replace(":", "/").rsplit("/", 1)[-1].replace("_", "").lower()
    for text in CLASS.split(source.read_text(encoding="utf-8"))[1:] if source else ():
        if re.match(r"\w*", text)[0].lower().replace("_", "") == wanted:  # type: ignore[index]
            return text
    return ""


def _docstring(group: str, recipe: str) -> str:
    first = FIRST_PARAGRAPH.match(_class_text(group, recipe))
    return " ".join(first[1].split()) if first else ""
