"""Secrets: what of the environment no file, page or line of ours may show."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|PWD$|CREDENTIAL", re.IGNORECASE)
"""What the name of a variable has in it whose value is a secret."""

SHORTEST = 6
"""Characters of a value below which it is a word and no secret."""

SEALED = re.compile(r"\$\{oc\.env:(\w+)\}")
"""A secret in a config that was written down: the name of its variable."""

IN_ADDRESS = re.compile(r"(?<=://)[^/\s@'\"]+(?=@)")
"""The user and the password of an address."""


def without_secrets(text: str) -> str:
    """The text with `***` for every secret of the environment and for the password of every address."""
    found = text
    for value in secrets():
        found = found.replace(value, "***")
    return IN_ADDRESS.sub("***", found)


def data_without_secrets(node: Any) -> Any:
    """Plain data without secrets: texts as `without_secrets` has them, dates as texts, keys and numbers as they are."""
    if isinstance(node, Mapping):
        return {str(key): data_without_secrets(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [data_without_secrets(value) for value in node]
    return node if node is None or isinstance(node, int | float) else without_secrets(str(node))


def sealed(node: Any) -> Any:
    """A config with `${oc.env:NAME}`, as users write it, for every secret of the environment; options keep their names."""
    if isinstance(node, Mapping):
        return {key: value if key in ("name", "recipe") else sealed(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [sealed(value) for value in node]
    if isinstance(node, str):
        for value, name in _named().items():
            node = node.replace(value, f"${{oc.env:{name}}}")
    return node


def unsealed(node: Any) -> Any:
    """What `sealed` was given, where the environment is as it was; a variable that is not there stays named."""
    if isinstance(node, Mapping):
        return {key: unsealed(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [unsealed(value) for value in node]
    return SEALED.sub(lambda found: os.environ.get(found[1], found[0]), node) if isinstance(node, str) else node


def secrets() -> list[str]:
    """The values of variables that are named like secrets, the longest first; one that is a path here is none."""
    return list(_named())


def _named() -> dict[str, str]:
    """Each secret with the name of its variable."""
    named = {value: name for name, value in sorted(os.environ.items()) if NAMES.search(name) and len(value) >= SHORTEST}
    return {value: named[value] for value in sorted(named, key=len, reverse=True) if not _is_path(value)}


def _is_path(value: str) -> bool:
    try:
        return value.startswith(("/", ".", "~")) and Path(value).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False
