"""Digests of settings, bytes and source: what cache keys and run folders are made of."""

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any


def digest(data: Any) -> str:
    """The digest of plain data (16 hexadecimal digits); equal data in another order of keys gives the same."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def digest_bytes(parts: Iterable[bytes | memoryview]) -> str:
    """The digest of a sequence of byte strings (32 hexadecimal digits)."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        hasher.update(part)
    return hasher.hexdigest()


@cache
def digest_source(folder: Path) -> str:
    """The digest of every Python file below a folder, or of one file: names and contents."""
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]
    return digest_bytes(part for file in files for part in (file.name.encode(), b"\0", file.read_bytes(), b"\0"))
