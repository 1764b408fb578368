"""The config of a run as a file: YAML to read, and the same as JSON beside it for programs that read thousands of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from hwds.core.atomic import write_text
from hwds.core.hashing import digest_bytes
from hwds.core.yaml_text import read_yaml
from hwds.results.secrets import redact_env

CONFIG, PLAIN = "config.yaml", ".config.json"
"""The file of a run's config, and its copy as JSON."""

NEEDED = ("dataset", "model", "protocol", "seed")
"""The keys of every config; a file that lacks one was truncated."""


def write_config(path: Path, data: dict[str, Any]) -> None:
    """Write a resolved config, with the variable's name in place of each secret of the environment."""
    redacted = redact_env(data)
    text = yaml.safe_dump(redacted, sort_keys=False, allow_unicode=True)
    write_text(path, text)
    plain = json.dumps({"of": _digest(text), "config": redacted}, default=str)
    if json.loads(plain)["config"] == redacted:  # not where JSON has no such thing, a date
        write_text(path.with_name(PLAIN), plain)


def config_of(path: Path) -> dict[str, Any]:
    """Return the config that a run wrote as YAML.

    The copy as JSON is read a hundred times as fast; it is used where it belongs to the very same text.

    Raises:
        ValueError: The file holds something else, or ends early.
    """
    text = path.read_text(encoding="utf-8")
    config = _copy_of(path.with_name(PLAIN), text) or _parsed(path, text)
    missing = next((key for key in NEEDED if config.get(key) is None), None)
    if missing:
        raise ValueError(f"{path.name} ends early: it has no {missing}")
    return config


def _copy_of(path: Path, text: str) -> dict[str, Any]:
    """Return the config of the JSON copy; empty where there is none, or it belongs to another text or is damaged."""
    try:
        copy = json.loads(path.read_text(encoding="utf-8"))
        return dict(copy["config"]) if copy["of"] == _digest(text) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _parsed(path: Path, text: str) -> dict[str, Any]:
    config = read_yaml(text, path.name)
    if not isinstance(config, dict):
        raise ValueError(f"{path.name} holds no config")
    return config


def _digest(text: str) -> str:
    return digest_bytes([text.encode()])
