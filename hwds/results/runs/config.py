"""The config of a run as a file: YAML to read, and the same as JSON beside it for programs that read thousands of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from hwds.core.atomic import write_text
from hwds.core.checksums.files import read_json, write_json
from hwds.core.hashing import digest_bytes
from hwds.core.moved import current_paths
from hwds.core.secrets import redact_env
from hwds.core.yaml_text import read_yaml

CONFIG, PLAIN = "config.yaml", ".config.json"
"""The file of a run's config, and its copy as JSON."""

NEEDED = ("dataset", "model", "protocol", "seed")
"""The keys of every config; a file that lacks one was truncated."""


def write_config(path: Path, data: dict[str, Any]) -> None:
    """Write a resolved config, with the variable's name in place of each secret of the environment."""
    redacted = redact_env(data)
    text = yaml.safe_dump(redacted, sort_keys=False, allow_unicode=True)
    write_text(path, text)
    plain = json.loads(json.dumps(redacted, default=str))
    copy = {"config": plain} if plain == redacted else {}  # not where JSON has no such thing, a date
    write_json(path.with_name(PLAIN), {"of": _digest(text), **copy}, redacted=True)


def config_of(path: Path) -> dict[str, Any]:
    """Return the config that a run wrote as YAML, with the present paths of moved classes.

    The copy as JSON is read a hundred times as fast; where there is one, the text must be the very one that it belongs to.

    Raises:
        ValueError: The file was damaged or edited, holds something else, or ends early.
    """
    text, beside = path.read_text(encoding="utf-8"), path.with_name(PLAIN)
    copy = read_json(beside) if beside.is_file() else {}
    changed = bool(copy) and copy["of"] != _digest(text)
    config = dict((not changed and copy.get("config")) or _parsed(path, text))
    missing = next((key for key in NEEDED if config.get(key) is None), None)
    if missing:
        raise ValueError(f"{path.name} ends early: it has no {missing}")
    if changed:
        raise ValueError(f"{path.name} has changed since the run wrote it")
    return dict(current_paths(config)) if "hwds." in text else config


def _parsed(path: Path, text: str) -> dict[str, Any]:
    config = read_yaml(text, path.name)
    if not isinstance(config, dict):
        raise ValueError(f"{path.name} holds no config")
    return config


def _digest(text: str) -> str:
    return digest_bytes([text.encode()])
