"""The config of a run as a file: YAML to read, and the same as JSON beside it for programs that read thousands of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from hwds.hashing import digest_bytes
from hwds.results.atomic import write_text
from hwds.results.secrets import sealed

CONFIG, PLAIN = "config.yaml", ".config.json"
"""The config of a run, and the same for programs that read thousands of them."""

NEEDED = ("dataset", "model", "protocol", "seed")
"""What every config has; one that lacks any was cut short."""


def write_config(path: Path, data: dict[str, Any]) -> None:
    """Write a resolved config: of a secret of the environment the name of its variable."""
    told = sealed(data)
    text = yaml.safe_dump(told, sort_keys=False, allow_unicode=True)
    write_text(path, text)
    plain = json.dumps({"of": _told(text), "config": told}, default=str)
    if json.loads(plain)["config"] == told:  # not where JSON has no such thing, a date
        write_text(path.with_name(PLAIN), plain)


def config_of(path: Path) -> dict[str, Any]:
    """The config that a run wrote as YAML.

    What lies beside it in JSON is read a hundred times as fast, and taken where it is of the very same text.

    Raises:
        ValueError: The file holds something else, or ends early.
    """
    text = path.read_text(encoding="utf-8")
    found = _beside(path.with_name(PLAIN), text) or _parsed(path, text)
    missing = next((key for key in NEEDED if found.get(key) is None), None)
    if missing:
        raise ValueError(f"{path.name} ends early: it has no {missing}")
    return found


def _beside(path: Path, text: str) -> dict[str, Any]:
    """What is kept of this text; nothing where there is no such file, or it is of another text or damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return dict(kept["config"]) if kept["of"] == _told(text) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name} is no YAML: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} holds no config")
    return found


def _told(text: str) -> str:
    return digest_bytes([text.encode()])
