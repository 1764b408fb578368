"""Secrets: values of environment variables that no file, page or message may show."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|PWD$|CREDENTIAL", re.IGNORECASE)
"""A part of the name of a variable whose value is a secret."""

SHORTEST = 6
"""The least length of a secret; shorter values are ordinary words."""

REDACTED = re.compile(r"\$\{oc\.env:(\w+)\}")
"""A redacted secret in a stored config: the name of its variable."""

IN_ADDRESS = re.compile(r"(?<=://)[^/\s@'\"]+(?=@)")
"""The user and the password in an address."""


def without_secrets(text: str) -> str:
    """Return the text with `***` for every secret of the environment and for the credentials in every address."""
    redacted = text
    for value in secrets():
        redacted = redacted.replace(value, "***")
    return IN_ADDRESS.sub("***", redacted)


def data_without_secrets(node: Any) -> Any:
    """Return plain data without secrets: texts by `without_secrets`, dates as texts, keys and numbers unchanged."""
    if isinstance(node, Mapping):
        return {str(key): data_without_secrets(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [data_without_secrets(value) for value in node]
    return node if node is None or isinstance(node, int | float) else without_secrets(str(node))


def redact_env(node: Any) -> Any:
    """Return a config with `${oc.env:NAME}` for every secret of the environment; names of options are unchanged."""
    if isinstance(node, Mapping):
        return {key: value if key in ("name", "recipe") else redact_env(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [redact_env(value) for value in node]
    if isinstance(node, str):
        for value, name in _named().items():
            node = node.replace(value, f"${{oc.env:{name}}}")
    return node


def restore_env(node: Any) -> Any:
    """Return the config that `redact_env` was given, in the same environment; a missing variable stays named."""
    if isinstance(node, Mapping):
        return {key: restore_env(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [restore_env(value) for value in node]
    return REDACTED.sub(lambda match: os.environ.get(match[1], match[0]), node) if isinstance(node, str) else node


def secrets() -> list[str]:
    """Return the values of variables that are named like secrets, the longest first; existing paths are not secrets."""
    return list(_named())


def _named() -> dict[str, str]:
    """Return each secret with the name of its variable."""
    named = {value: name for name, value in sorted(os.environ.items()) if NAMES.search(name) and len(value) >= SHORTEST}
    return {value: named[value] for value in sorted(named, key=len, reverse=True) if not _is_path(value)}


def _is_path(value: str) -> bool:
    try:
        return value.startswith(("/", ".", "~")) and Path(value).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False
